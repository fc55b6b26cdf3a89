use super::{
    Settings,
    fault::{Fault, SettingsError},
    flags::Flags,
    table::{self, SETTINGS, Setting},
};
use figment::{
    Figment, Metadata, Profile, Provider,
    error::Kind,
    value::{Dict, Map, Value},
};
use std::{collections::BTreeMap, fs, path::Path};

const DEFAULTS: &str = "default";
const ENVIRONMENT: &str = "environment";
const FLAGS: &str = "flags";

/// The sources of settings, each laid over the one before: defaults, file, environment, flags.
pub(crate) struct Layers {
    figment: Figment,
}

impl Layers {
    /// Reads the sources.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or has settings that do not exist.
    pub(crate) fn read(flags: &Flags, environment: &BTreeMap<String, String>) -> Result<Self, SettingsError> {
        let defaults = Layer::new(DEFAULTS, |setting| Some(setting.default.to_owned()));
        let mut figment = Figment::from(defaults);
        if let Some(path) = &flags.config {
            figment = figment.merge(read_file(path)?);
        }
        let figment = figment
            .merge(Layer::new(ENVIRONMENT, |setting| environment.get(&setting.variable()).cloned()))
            .merge(Layer::new(FLAGS, |setting| flags.values.get(setting.name).cloned()));
        Ok(Self { figment })
    }

    /// The settings, each in its type.
    ///
    /// # Errors
    /// All values that cannot be read.
    pub(crate) fn settings(&self) -> Result<Settings, SettingsError> {
        let mut faults = Vec::new();
        let mut figment = self.figment.clone();
        loop {
            let error = match figment.extract::<Settings>() {
                Ok(settings) if faults.is_empty() => return Ok(settings),
                Ok(_) => return Err(SettingsError::Invalid(faults)),
                Err(error) => error,
            };
            let why = match &error.kind {
                Kind::Message(why) => why.clone(),
                other => other.to_string(),
            };
            let Some(setting) = error.path.first().and_then(|name| table::find(name)) else {
                return Err(SettingsError::Unreadable(error.to_string()));
            };
            faults.push(self.fault(setting.name, why));
            // Deserializing stops at the first fault: put the default in its place and look for the next.
            figment = figment.merge((setting.name, setting.default));
        }
    }

    /// A complaint about the value a setting has.
    pub(crate) fn fault(&self, name: &'static str, why: impl Into<String>) -> Fault {
        Fault { setting: name, value: self.value(name), origin: self.origin(name), why: why.into() }
    }

    /// The text of a setting.
    pub(crate) fn value(&self, name: &str) -> String {
        self.figment.find_value(name).map_or_else(|_| String::new(), |value| show(&value))
    }

    /// Where the value of a setting comes from: a flag, a variable, a file, or `default`.
    pub(crate) fn origin(&self, name: &str) -> String {
        let source = self.figment.find_metadata(name).map_or(DEFAULTS, |metadata| metadata.name.as_ref());
        match (source, table::find(name)) {
            (FLAGS, Some(setting)) => format!("--{}", setting.flag()),
            (ENVIRONMENT, Some(setting)) => setting.variable(),
            _ => source.to_owned(),
        }
    }
}

/// One source of settings.
struct Layer {
    name: String,
    values: Dict,
}

impl Layer {
    fn new(name: &str, text: impl Fn(&'static Setting) -> Option<String>) -> Self {
        let values = SETTINGS.iter().filter_map(|s| Some((s.name.to_owned(), Value::from(text(s)?))));
        Self { name: name.to_owned(), values: values.collect() }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

fn read_file(path: &Path) -> Result<Layer, SettingsError> {
    let name = path.display().to_string();
    let text =
        fs::read_to_string(path).map_err(|source| SettingsError::File { path: name.clone(), source })?;
    let values: Dict = toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        SettingsError::Syntax { path: name.clone(), line, why: error.message().to_owned() }
    })?;
    let unknown: Vec<String> = values.keys().filter(|key| table::find(key).is_none()).cloned().collect();
    if !unknown.is_empty() {
        return Err(SettingsError::Unknown { path: name, names: unknown.join(", ") });
    }
    Ok(Layer { name, values })
}

/// A value as its user wrote it.
fn show(value: &Value) -> String {
    match value {
        Value::String(_, text) => text.clone(),
        Value::Bool(_, value) => value.to_string(),
        Value::Array(_, values) => values.iter().map(show).collect::<Vec<_>>().join(","),
        Value::Num(_, number) => number
            .to_i128()
            .map(|n| n.to_string())
            .or_else(|| number.to_u128().map(|n| n.to_string()))
            .or_else(|| number.to_f64().map(|n| n.to_string()))
            .unwrap_or_default(),
        Value::Dict(..) => "a table".into(),
        other => other.to_actual().to_string(),
    }
}
