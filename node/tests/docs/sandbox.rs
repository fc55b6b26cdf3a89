//! A directory that looks like a checkout after a release build, in which nothing can be harmed.

use std::{
    env, fs,
    net::{Ipv4Addr, TcpListener, UdpSocket},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::Instant,
};

/// What `cargo` is asked in documents and is not done here, and who does it.
pub(crate) const DONE_ELSEWHERE: &[(&str, &str)] = &[
    ("test --workspace", ".ci/run runs the tests by this command"),
    ("test -p shoal-node --test docs", "these tests"),
    ("bench -p shoal-benches", "they only measure; .ci/run's lints compile them"),
    (
        "run -p shoal-sim -- ",
        "sim/tests/simulation.rs runs seeds, .ci/run the mutants, shoal-sim parses each of these",
    ),
];
/// Where `node/tests/clients/install.sh` puts an interpreter and what its programs use, from the workspace.
pub(crate) const PYTHON: &str = "target/clients/venv/bin/python";
pub(crate) const NODE_MODULES: &str = "target/clients/node_modules";
/// Addresses of the machines that documents speak of, and what stands for them where they cannot be had.
const MACHINES: [(&str, &str); 3] =
    [("10.0.0.1", "127.10.0.1"), ("10.0.0.2", "127.10.0.2"), ("10.0.0.3", "127.10.0.3")];
/// Default ports of a node, and from one node of `shoal dev` to the next.
const PORTS: [u16; 4] = [7379, 7380, 7381, 7382];
const PORT_STEP: u16 = 100;
/// How long the nodes of a document before may take to let go of them, and how often that is looked at.
const RELEASE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);

/// How the network of this machine is kept out.
pub(crate) enum Network {
    /// A namespace of its own, entered by this command.
    Own(&'static [&'static str]),
    /// That of the machine, on which nobody uses the default ports. One terminal at a time may.
    Shared { _turn: MutexGuard<'static, ()> },
}

static DEFAULT_PORTS: Mutex<()> = Mutex::const_new(());

/// The directory; it goes away with this.
pub(crate) struct Sandbox {
    directory: TempDir,
}

impl Network {
    /// What this machine allows; `None` if documents cannot be followed here. Only Linux gives to each the addresses and
    /// the process table that this takes.
    pub(crate) async fn find() -> Option<Self> {
        if !cfg!(target_os = "linux") {
            return None;
        }
        let ways: [&'static [&'static str]; 2] = [&["unshare", "-n"], &["unshare", "-rn"]];
        let works = |way: &[&str]| {
            let mut command = Command::new(way[0]);
            command
                .args(&way[1..])
                .args(["sh", "-c", &Self::set_up()])
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        if let Some(way) = ways.into_iter().find(|way| works(way)) {
            return Some(Self::Own(way));
        }
        let _turn = DEFAULT_PORTS.lock().await;
        let deadline = Instant::now() + RELEASE;
        while !default_ports_are_free() {
            if Instant::now() > deadline {
                return None;
            }
            tokio::time::sleep(POLL).await;
        }
        Some(Self::Shared { _turn })
    }

    /// What makes a new namespace usable.
    pub(crate) fn set_up() -> String {
        let machines = MACHINES.map(|(machine, _)| format!(" && ip address add {machine}/32 dev lo"));
        format!("ip link set lo up{}", machines.concat())
    }

    /// The command with addresses that this network has.
    pub(crate) fn reachable(&self, command: &str) -> String {
        match self {
            Self::Own(_) => command.to_owned(),
            Self::Shared { .. } => MACHINES
                .iter()
                .fold(command.to_owned(), |command, (machine, loopback)| command.replace(machine, loopback)),
        }
    }
}

fn default_ports_are_free() -> bool {
    let ports = (0..3).flat_map(|node| PORTS.map(|port| (Ipv4Addr::LOCALHOST, port + PORT_STEP * node)));
    ports.into_iter().all(|at| TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok())
}

impl Sandbox {
    /// Lays it out.
    pub(crate) fn new(workspace: &Path) -> Self {
        let sandbox = Self { directory: tempfile::tempdir().unwrap() };
        for folder in
            [sandbox.checkout().join("target/release"), sandbox.checkout().join(".ci"), sandbox.bin()]
        {
            fs::create_dir_all(folder).unwrap();
        }
        for entry in fs::read_dir(workspace).unwrap() {
            let name = entry.unwrap().file_name();
            if !["target", ".ci", ".git"].iter().any(|other| name == *other) {
                copy(&workspace.join(&name), &sandbox.checkout());
            }
        }
        let shoal = env!("CARGO_BIN_EXE_shoal");
        symlink(shoal, sandbox.checkout().join("target/release/shoal")).unwrap();
        script(&sandbox.checkout().join(".ci/run"), "# The tests that run this are run by it.");
        script(&sandbox.bin().join("cargo"), &cargo(shoal, &sandbox.left_out()));
        let installed = |path: &str| quoted(workspace.join(path).to_str().unwrap());
        script(&sandbox.bin().join("python"), &format!("exec {} \"$@\"", installed(PYTHON)));
        let node = format!(
            "export NODE_PATH={}\nPATH={}\nexec node \"$@\"",
            installed(NODE_MODULES),
            quoted(&env::var("PATH").unwrap())
        );
        script(&sandbox.bin().join("node"), &node);
        // What a terminal shows.
        script(
            &sandbox.bin().join("redis-cli"),
            &format!("PATH={}\nexec redis-cli --no-raw \"$@\"", quoted(&env::var("PATH").unwrap())),
        );
        sandbox
    }

    /// Where documents are followed.
    pub(crate) fn checkout(&self) -> PathBuf {
        self.directory.path().join("shoal")
    }

    /// Home of whoever follows them.
    pub(crate) fn home(&self) -> &Path {
        self.directory.path()
    }

    /// What goes before all other programs.
    pub(crate) fn bin(&self) -> PathBuf {
        self.directory.path().join("bin")
    }

    /// What was asked of `cargo` and is done elsewhere.
    pub(crate) fn done_elsewhere(&self) -> Vec<String> {
        let text = fs::read_to_string(self.left_out()).unwrap_or_default();
        text.lines().map(|line| format!("cargo {line}")).collect()
    }

    fn left_out(&self) -> PathBuf {
        self.directory.path().join("left-out")
    }
}

/// A `cargo` that runs what is built and builds nothing.
fn cargo(shoal: &str, left_out: &Path) -> String {
    let elsewhere: Vec<String> =
        DONE_ELSEWHERE.iter().map(|(command, _)| format!("{}*", quoted(command))).collect();
    format!(
        "case \"$*\" in\n\
         'run --release --bin shoal -- '*) shift 5; exec {} \"$@\" ;;\n\
         'build --release --bin shoal') ;;\n\
         {}) echo \"$*\" >>{} ;;\n\
         *) echo \"cargo $*: not a command that snippets may use\" >&2; exit 101 ;;\n\
         esac",
        quoted(shoal),
        elsewhere.join("|"),
        quoted(left_out.to_str().unwrap()),
    )
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-R").arg(from).arg(to).status().unwrap();
    assert!(status.success(), "cannot copy {}", from.display());
}

fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/usr/bin/env bash\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
