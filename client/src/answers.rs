use crate::call::Answer;
use crate::{ClientError, Outcome};
use shoal_proto::types::Value;

/// The answer to a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `None` on a miss.
    pub value: Option<Value>,
    /// What the answer was worth.
    pub outcome: Outcome,
}

/// The answer to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// What the answer was worth.
    pub outcome: Outcome,
}

/// The answer to a delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// A live value was present on an owner that answered. After a retry, it may be the first attempt that deleted it.
    pub existed: bool,
    /// What the answer was worth.
    pub outcome: Outcome,
}

/// The answer to a change of expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touched {
    /// There was a live value whose expiry could be changed.
    pub existed: bool,
    /// What the answer was worth.
    pub outcome: Outcome,
}

impl TryFrom<Answer> for Found {
    type Error = ClientError;

    fn try_from(answer: Answer) -> Result<Self, ClientError> {
        let Answer::Get(got) = answer else { return Err(unexpected("get", &answer)) };
        let value = got.value.map(Value::new).transpose();
        let value = value.map_err(|error| ClientError::Protocol(error.to_string()))?;
        Ok(Self { value, outcome: got.outcome.try_into()? })
    }
}

impl TryFrom<Answer> for Stored {
    type Error = ClientError;

    fn try_from(answer: Answer) -> Result<Self, ClientError> {
        let Answer::Set(stored) = answer else { return Err(unexpected("set", &answer)) };
        Ok(Self { outcome: stored.outcome.try_into()? })
    }
}

impl TryFrom<Answer> for Deleted {
    type Error = ClientError;

    fn try_from(answer: Answer) -> Result<Self, ClientError> {
        let Answer::Delete(deleted) = answer else { return Err(unexpected("delete", &answer)) };
        Ok(Self { existed: deleted.existed, outcome: deleted.outcome.try_into()? })
    }
}

impl TryFrom<Answer> for Touched {
    type Error = ClientError;

    fn try_from(answer: Answer) -> Result<Self, ClientError> {
        let Answer::Expire(touched) = answer else { return Err(unexpected("expire", &answer)) };
        Ok(Self { existed: touched.existed, outcome: touched.outcome.try_into()? })
    }
}

fn unexpected(asked: &str, answer: &Answer) -> ClientError {
    let kind = match answer {
        Answer::Get(_) => "get",
        Answer::Set(_) => "set",
        Answer::Delete(_) => "delete",
        Answer::Expire(_) => "expire",
        Answer::Failure(_) => "failure",
    };
    ClientError::Protocol(format!("the answer to a {kind} came for a {asked}"))
}
