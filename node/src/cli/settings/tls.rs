use super::{Settings, rules::Complaint};
use shoal_node::tls::{Part, Pem, Tls, TlsError};
use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

const CERTIFICATE: &str = "tls_cert_file";
const KEY: &str = "tls_key_file";
const CA: &str = "tls_ca_file";
const CLIENT_CA: &str = "tls_client_ca_file";
const PEER_NAME: &str = "tls_peer_name";

/// A larger file is no certificate but a mistake.
const MAX_PEM_BYTES: u64 = 1024 * 1024;

/// Where the parts of a node's TLS are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
    client_ca: Option<PathBuf>,
    peer_name: Option<String>,
}

impl TlsFiles {
    /// `None` when nothing is set, or not all that must be, which is complained of.
    pub(super) fn of(settings: &Settings, complaints: &mut Vec<Complaint>) -> Option<Self> {
        let needed = [
            (CERTIFICATE, &settings.tls_cert_file.0),
            (KEY, &settings.tls_key_file.0),
            (CA, &settings.tls_ca_file.0),
        ];
        let others = [
            (CLIENT_CA, settings.tls_client_ca_file.0.is_some()),
            (PEER_NAME, settings.tls_peer_name.0.is_some()),
        ];
        let all = needed.iter().map(|(name, path)| (*name, path.is_some())).chain(others);
        let (given, _) = all.into_iter().find(|(_, is_set)| *is_set)?;
        for (name, path) in &needed {
            if path.is_none() {
                complaints.push((
                    name,
                    format!("TLS takes {CERTIFICATE}, {KEY} and {CA} together, and {given} is set"),
                ));
            }
        }
        let [Some(certificate), Some(key), Some(ca)] = needed.map(|(_, path)| path.clone()) else {
            return None;
        };
        let (client_ca, peer_name) = (
            settings.tls_client_ca_file.0.clone(),
            settings.tls_peer_name.0.as_ref().map(ToString::to_string),
        );
        Some(Self { certificate, key, ca, client_ca, peer_name })
    }

    /// Reads the files, and makes of them what a node speaks TLS with.
    ///
    /// # Errors
    /// Names the setting whose file is of no use, and why.
    pub(super) fn load(&self) -> Result<Arc<Tls>, Complaint> {
        Ok(Arc::new(Tls::new(&self.read()?).map_err(complaint)?))
    }

    /// Reads the files.
    ///
    /// # Errors
    /// Names the setting whose file cannot be read, and why.
    pub(crate) fn read(&self) -> Result<Pem, Complaint> {
        Ok(Pem {
            certificate: read(CERTIFICATE, &self.certificate)?,
            key: read(KEY, &self.key)?,
            ca: read(CA, &self.ca)?,
            client_ca: self.client_ca.as_deref().map(|path| read(CLIENT_CA, path)).transpose()?,
            peer_name: self.peer_name.clone(),
        })
    }

    /// What is wrong with what a setting names, in words that name the setting and its file.
    pub(crate) fn describe(&self, (setting, why): Complaint) -> String {
        let path = match setting {
            CERTIFICATE => Some(&self.certificate),
            KEY => Some(&self.key),
            CA => Some(&self.ca),
            CLIENT_CA => self.client_ca.as_ref(),
            _ => None,
        };
        match path {
            Some(path) => format!("{setting} {}: {why}", path.display()),
            None => format!("{setting}: {why}"),
        }
    }
}

/// What a part of no use means for the settings.
pub(crate) fn complaint(TlsError { part, why }: TlsError) -> Complaint {
    let setting = match part {
        Part::Certificate => CERTIFICATE,
        Part::Key => KEY,
        Part::Ca => CA,
        Part::ClientCa => CLIENT_CA,
        Part::Name => PEER_NAME,
    };
    (setting, why)
}

fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, Complaint> {
    let mut pem = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_PEM_BYTES + 1).read_to_end(&mut pem))
        .map_err(|error| (setting, error.to_string()))?;
    if pem.len() as u64 > MAX_PEM_BYTES {
        return Err((setting, format!("it is larger than {MAX_PEM_BYTES} bytes")));
    }
    Ok(pem)
}
