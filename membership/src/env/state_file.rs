use parking_lot::Mutex;
use prost::Message as _;
use shoal_proto::{convert::DecodeError, types::NodeState, wire::ring::v1 as wire};
use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};
use xxhash_rust::xxh3::xxh3_64;

/// First bytes of a state file: name and format version.
const MAGIC: [u8; 8] = *b"shoal\0s1";
/// Magic, then the hash of the rest.
const HEADER_BYTES: usize = 16;

/// Where a node keeps what it must not forget across restarts.
pub trait StateFile: Send + Sync + 'static {
    /// The state last saved; `None` for a new node.
    ///
    /// # Errors
    /// When there is a state that cannot be read: a node must not take itself for new then.
    fn load(&self) -> Result<Option<NodeState>, StateError>;

    /// Replaces the state. When this returns, the new state survives a crash.
    ///
    /// # Errors
    /// When it could not be made durable; the old state may still stand.
    fn save(&self, state: &NodeState) -> Result<(), StateError>;
}

/// The state file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The operating system refused.
    #[error("state file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what was written.
    #[error("state file {path} is corrupt ({what}); restore it, or delete it to start as a new node")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
}

/// The state in a file of its own, written beside it, synced and renamed.
#[derive(Debug)]
pub struct DiskState {
    path: PathBuf,
}

impl DiskState {
    /// Keeps the state in `directory`, which is made if need be.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        let path = directory.join("node.state");
        fs::create_dir_all(directory).map_err(|source| StateError::Io { path: path.clone(), source })?;
        Ok(Self { path })
    }

    fn write_synced(&self, bytes: &[u8]) -> io::Result<()> {
        let draft = self.path.with_extension("draft");
        let mut file = fs::File::create(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        // The rename itself is durable only once the directory is.
        match self.path.parent() {
            Some(directory) => fs::File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl StateFile for DiskState {
    fn load(&self) -> Result<Option<NodeState>, StateError> {
        match fs::read(&self.path) {
            Ok(bytes) => decode(&bytes)
                .map(Some)
                .map_err(|what| StateError::Corrupt { path: self.path.clone(), what: what.to_string() }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateError::Io { path: self.path.clone(), source }),
        }
    }

    fn save(&self, state: &NodeState) -> Result<(), StateError> {
        self.write_synced(&encode(state)).map_err(|source| StateError::Io { path: self.path.clone(), source })
    }
}

/// The state in memory, for tests and simulation: it survives as long as the handle is kept.
#[derive(Debug, Default)]
pub struct MemoryState(Mutex<Option<Vec<u8>>>);

impl StateFile for MemoryState {
    fn load(&self) -> Result<Option<NodeState>, StateError> {
        self.0
            .lock()
            .as_deref()
            .map(decode)
            .transpose()
            .map_err(|what| StateError::Corrupt { path: "memory".into(), what: what.to_string() })
    }

    fn save(&self, state: &NodeState) -> Result<(), StateError> {
        *self.0.lock() = Some(encode(state));
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
enum FormatError {
    #[error("not a state file of this version")]
    Magic,
    #[error("checksum does not match")]
    Checksum,
    #[error("undecodable: {0}")]
    Protobuf(#[from] prost::DecodeError),
    #[error(transparent)]
    Content(#[from] DecodeError),
}

fn encode(state: &NodeState) -> Vec<u8> {
    let body = wire::NodeState::from(state.clone()).encode_to_vec();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&xxh3_64(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

fn decode(bytes: &[u8]) -> Result<NodeState, FormatError> {
    let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(FormatError::Magic)?;
    if *magic != MAGIC {
        return Err(FormatError::Magic);
    }
    let (checksum, body) = rest.split_first_chunk::<8>().ok_or(FormatError::Checksum)?;
    if u64::from_le_bytes(*checksum) != xxh3_64(body) {
        return Err(FormatError::Checksum);
    }
    Ok(wire::NodeState::decode(body)?.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_proto::types::NodeId;

    fn state(generation: u64) -> NodeState {
        let node_id = NodeId::new("127.0.0.1:7382").unwrap();
        NodeState { node_id, generation, record: None, promised: None, accepted: None }
    }

    #[test]
    fn what_was_saved_is_loaded_and_a_new_directory_is_a_new_node() {
        let directory = tempfile::tempdir().unwrap();
        let file = DiskState::open(&directory.path().join("deep/er")).unwrap();
        assert_eq!(file.load().unwrap(), None);
        file.save(&state(1)).unwrap();
        file.save(&state(2)).unwrap();
        assert_eq!(file.load().unwrap(), Some(state(2)));
    }

    #[test]
    fn every_damaged_byte_and_every_cut_is_noticed() {
        let good = encode(&state(7));
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 0x40;
            assert!(decode(&bad).is_err(), "byte {i}");
            assert!(decode(&good[..i]).is_err(), "cut at {i}");
        }
    }

    #[test]
    fn a_corrupt_file_is_named_and_not_taken_for_a_new_node() {
        let directory = tempfile::tempdir().unwrap();
        let file = DiskState::open(directory.path()).unwrap();
        fs::write(directory.path().join("node.state"), "junk").unwrap();
        let error = file.load().unwrap_err().to_string();
        assert!(error.contains("node.state") && error.contains("corrupt"), "{error}");
    }
}
