use super::refused::READ_MODIFY_WRITE;
use crate::{
    frontend::resp::{
        parser::{ProtocolError, TooLarge},
        request::Request,
    },
    live::SetError,
};
use shoal_proto::types::{KeyTooLong, UnknownConsistency, ValueTooLong};

/// Why a command was not even tried. Texts that Redis has are Redis's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::frontend::resp) enum CommandError {
    #[error("unknown command '{name}', with args beginning with: {arguments}")]
    Unknown { name: String, arguments: String },
    #[error("unknown subcommand '{subcommand}'. Try {command} HELP.")]
    UnknownSubcommand { command: &'static str, subcommand: String },
    #[error("wrong number of arguments for '{}|{}' command", .0.to_ascii_lowercase(), .1.to_ascii_lowercase())]
    SubcommandArity(&'static str, &'static str),
    #[error("wrong number of arguments for '{}' command", .0.to_ascii_lowercase())]
    Arity(&'static str),
    #[error("syntax error")]
    Syntax,
    #[error("value is not an integer or out of range")]
    NotAnInteger,
    #[error("invalid expire time in '{}' command", .0.to_ascii_lowercase())]
    Expire(&'static str),
    #[error("Unsupported option {0}")]
    Option(String),
    #[error("Unrecognized option '{0}'")]
    Unrecognized(String),
    #[error("Unknown client type '{0}'")]
    ClientType(String),
    #[error("'{0}' {READ_MODIFY_WRITE}")]
    NeedsConsensus(&'static str),
    #[error("'{name}' {reason}")]
    Refused { name: &'static str, reason: &'static str },
    #[error("'{0}' takes no consistency level")]
    NoLevel(&'static str),
    #[error("{0}")]
    NotOffered(&'static str),
    #[error(
        "AUTH <password> called without any password configured for the default user. \
         Are you sure your configuration is correct?"
    )]
    NoPassword,
    #[error("Authentication required.")]
    Unproven,
    #[error(
        "HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> \
         option can be used to authenticate the client and select the RESP protocol version at the same time"
    )]
    HelloUnproven,
    #[error("Authentication required, and the time for it is up.")]
    Late,
    #[error("invalid username-password pair or user is disabled.")]
    WrongPassword,
    #[error("User {user} has no permissions to run the '{}' command", command.to_ascii_lowercase())]
    Forbidden { user: String, command: String },
    #[error("unsupported protocol version")]
    Protocol,
    #[error("DB index is out of range")]
    Database,
    #[error("{0} cannot contain spaces, newlines or special characters.")]
    Name(&'static str),
    #[error(transparent)]
    Key(#[from] KeyTooLong),
    #[error(transparent)]
    Value(#[from] ValueTooLong),
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    #[error("this is no HTTP server")]
    Http,
    #[error("Protocol error: {0}")]
    Stream(#[from] ProtocolError),
    #[error(transparent)]
    Setting(#[from] SetError),
    #[error(transparent)]
    Level(#[from] UnknownConsistency),
}

impl CommandError {
    /// No command has the name of `request`.
    pub(super) fn unknown(request: &Request) -> Self {
        // A browser tricked into posting here must not have the body of its request run as commands.
        if [&b"POST"[..], b"Host:"].iter().any(|word| request.argument(0).eq_ignore_ascii_case(word)) {
            return Self::Http;
        }
        const SHOWN: usize = 128;
        let mut arguments = String::new();
        for argument in request.arguments().skip(1) {
            if arguments.len() >= SHOWN {
                break;
            }
            let left = SHOWN - arguments.len();
            arguments.push_str(&format!("'{}' ", shown(argument, left)));
        }
        Self::Unknown { name: shown(request.argument(0), SHOWN), arguments }
    }

    /// `command` has no such subcommand.
    pub(super) fn subcommand(command: &'static str, request: &Request) -> Self {
        Self::UnknownSubcommand { command, subcommand: shown(request.argument(1), 128) }
    }

    /// An option that is not understood.
    pub(super) fn option(text: &[u8]) -> Self {
        Self::Option(shown(text, 128))
    }

    /// A field that is not known.
    pub(super) fn unrecognized(text: &[u8]) -> Self {
        Self::Unrecognized(shown(text, 128))
    }

    /// A type of clients that is not known.
    pub(super) fn client_type(text: &[u8]) -> Self {
        Self::ClientType(shown(text, 128))
    }

    /// Whether nothing can be understood after it.
    pub(in crate::frontend::resp) fn ends_connection(&self) -> bool {
        matches!(self, Self::Stream(_) | Self::Http | Self::Late)
    }

    /// The text of a RESP error: a code, a blank, the text.
    pub(in crate::frontend::resp) fn text(&self) -> String {
        match self {
            Self::Protocol => format!("NOPROTO {self}"),
            Self::Unproven | Self::HelloUnproven | Self::Late => format!("NOAUTH {self}"),
            Self::WrongPassword => format!("WRONGPASS {self}"),
            Self::Forbidden { .. } => format!("NOPERM {self}"),
            _ => format!("ERR {self}"),
        }
    }
}

/// At most `len` bytes as text.
fn shown(bytes: &[u8], len: usize) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(len)]).into_owned()
}
