use crate::{coordinator::RequestOptions, frontend::Command};

/// What a request asks of the coordinator: one or many commands of the same kind, and how their replies become one
/// answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) commands: Commands,
    pub(super) shape: Shape,
    pub(super) options: RequestOptions,
    /// The client wants to know what the answer was worth.
    pub(super) with_outcome: bool,
    /// The client does not want to be answered.
    pub(super) mute: bool,
}

/// One command without an allocation, or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Commands {
    One(Command),
    /// No key is written twice.
    Many(Vec<Command>),
}

/// How replies become an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// The value or null.
    Value,
    /// All values in order, null where there is none.
    Values,
    /// OK.
    Stored,
    /// How many existed.
    Existed,
    /// The part of the value between two places, both included, counted from its end when negative.
    Range {
        /// The first.
        start: i64,
        /// The last.
        end: i64,
    },
    /// The value's length, 0 without one.
    Length,
    /// The type's name: `string` or `none`.
    Type,
    /// Time to live or instant of expiry; -1 without one, -2 without a value.
    Expiry(ExpiryUnit),
    /// What every owner holds.
    Explanation,
    /// How Redis would keep the value, or null.
    Encoding,
    /// How many refer to the value, or null.
    References,
    /// How often the key was used lately, or null.
    Frequency,
    /// What the key is charged, or null.
    Usage,
    /// A cursor and keys.
    Scan,
    /// How many keys there are.
    KeyCount,
    /// Keys.
    Keys,
}

/// How an expiry is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExpiryUnit {
    /// Seconds from now, rounded.
    Seconds,
    /// Milliseconds from now.
    Millis,
    /// Unix seconds.
    UnixSeconds,
    /// Unix milliseconds.
    UnixMillis,
}

impl Plan {
    pub(super) fn one(command: Command, shape: Shape) -> Self {
        Self {
            commands: Commands::One(command),
            shape,
            options: RequestOptions::default(),
            with_outcome: false,
            mute: false,
        }
    }

    pub(super) fn many(commands: Vec<Command>, shape: Shape) -> Self {
        Self {
            commands: Commands::Many(commands),
            shape,
            options: RequestOptions::default(),
            with_outcome: false,
            mute: false,
        }
    }

    /// The commands in the order of their keys.
    pub(super) fn commands(&self) -> &[Command] {
        match &self.commands {
            Commands::One(command) => std::slice::from_ref(command),
            Commands::Many(commands) => commands,
        }
    }
}

impl Commands {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(commands) => commands.len(),
        }
    }
}
