use super::{
    output,
    settings::{self, Flags, Layers, SETTINGS, Setup},
};
use clap::Args;
use serde::Serialize;
use shoal_node::auth::Credential;
use std::{path::PathBuf, process::ExitCode};

/// `shoal check-config`.
#[derive(Debug, Args)]
pub(crate) struct CheckConfig {
    #[command(flatten)]
    flags: Flags,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Checked {
    node_id: String,
    role: &'static str,
    advertise: shoal_membership::Addresses,
    state_dir: PathBuf,
    has_secret: bool,
    has_tls: bool,
    credentials: Vec<Known>,
    settings: Vec<Effective>,
    unknown_variables: Vec<String>,
}

#[derive(Serialize)]
struct Effective {
    name: &'static str,
    value: String,
    from: String,
}

/// Who clients can prove to be. How is nobody's business.
#[derive(Serialize)]
struct Known {
    name: String,
    scope: &'static str,
}

impl CheckConfig {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let environment = settings::environment();
        let layers = Layers::read(&self.flags, &environment)?;
        let setup = Setup::new(&layers, &environment)?;
        let unknown = settings::unknown_variables(&environment).into_iter().map(str::to_owned).collect();
        let checked = Checked::new(&layers, setup, unknown);
        if self.json {
            output::json(&checked)?
        } else {
            checked.print()?
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl From<&Credential> for Known {
    fn from(credential: &Credential) -> Self {
        Self { name: credential.name().to_owned(), scope: credential.scope().name() }
    }
}

impl Checked {
    fn new(layers: &Layers, setup: Setup, unknown_variables: Vec<String>) -> Self {
        let settings = SETTINGS.iter().map(|setting| Effective {
            name: setting.name,
            value: layers.value(setting.name),
            from: layers.origin(setting.name),
        });
        Self {
            node_id: setup.node.node_id.to_string(),
            role: if setup.is_member() { "member" } else { "gateway" },
            has_secret: !setup.node.secrets.current().is_empty(),
            has_tls: setup.node.tls.is_some(),
            credentials: setup.node.credentials.iter().map(Known::from).collect(),
            advertise: setup.node.advertise,
            state_dir: setup.state_dir,
            settings: settings.collect(),
            unknown_variables,
        }
    }

    fn print(&self) -> anyhow::Result<()> {
        let row = |s: &Effective| vec![s.name.to_owned(), s.value.clone(), s.from.clone()];
        let rows: Vec<Vec<String>> = self.settings.iter().map(row).collect();
        output::table(&["setting", "value", "from"], &rows)?;
        for name in &self.unknown_variables {
            output::line(format!("warning: the variable {name} is no setting and was not used"))?;
        }
        let secret = if self.has_secret { "with" } else { "without" };
        output::line(format!(
            "ok: {} {}, state in {}, {secret} a cluster secret, {}{}",
            self.role,
            self.node_id,
            self.state_dir.display(),
            self.clients(),
            if self.has_tls { ", TLS on all TCP doors" } else { "" }
        ))?;
        Ok(())
    }
    /// Which clients are let in.
    fn clients(&self) -> String {
        if self.credentials.is_empty() {
            return "open to every client".into();
        }
        let each = self.credentials.iter().map(|known| format!("{} ({})", known.name, known.scope));
        format!("for clients {}", each.collect::<Vec<_>>().join(", "))
    }
}
