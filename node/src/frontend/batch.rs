//! Many commands of one request.

use super::{Door, Reply, Translated};
use crate::coordinator::CoordinatorError;
use crate::limits;
use futures::stream::{self, StreamExt as _};

/// Runs commands side by side over the owners of their keys. The answers come in the order of the commands, errors in
/// place of those that could not be translated; of the answers that carry values there are as many as `value_bytes` has
/// room for, and an error in place of each further one.
///
/// Commands on the same key keep no order.
pub(in crate::frontend) async fn execute_all(
    door: &Door,
    commands: Vec<Translated>,
    value_bytes: usize,
) -> Vec<Result<Reply, CoordinatorError>> {
    let mut room = Room { left: value_bytes };
    let mut answers: Vec<Option<Result<Reply, CoordinatorError>>> = Vec::with_capacity(commands.len());
    let mut waiting = Vec::new();
    let mut tally = door.tally();
    for (index, command) in commands.into_iter().enumerate() {
        let begun = match command {
            Ok((command, options)) => {
                door.try_execute(command, &options, &mut tally).map_err(|command| (command, options))
            }
            Err(error) => Ok(Err(error)),
        };
        match begun {
            Ok(answer) => answers.push(Some(room.admit(answer))),
            Err((command, options)) => {
                answers.push(None);
                waiting.push((index, command, options));
            }
        }
    }
    door.conclude(&mut tally);
    let run = |(index, command, options)| async move { (index, door.execute(command, &options).await) };
    let mut running = stream::iter(waiting).map(run).buffer_unordered(limits::BATCH_IN_FLIGHT);
    while let Some((index, answer)) = running.next().await {
        answers[index] = Some(room.admit(answer));
    }
    answers.into_iter().flatten().collect()
}

/// Bounds what the values of one answer take.
struct Room {
    left: usize,
}

impl Room {
    fn admit(&mut self, answer: Result<Reply, CoordinatorError>) -> Result<Reply, CoordinatorError> {
        let bytes = match &answer {
            Ok(Reply::Value(reply)) => reply.value.as_ref().map_or(0, |value| value.as_bytes().len()),
            _ => 0,
        };
        if bytes > self.left {
            return Err(CoordinatorError::TooLarge(
                "the values asked for at once are too large; ask for fewer",
            ));
        }
        self.left -= bytes;
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{coordinator::GetReply, test_support::outcome};
    use shoal_proto::types::Value;

    fn value(bytes: usize) -> Result<Reply, CoordinatorError> {
        Ok(Reply::Value(GetReply { value: Some(Value::new(vec![0; bytes]).unwrap()), outcome: outcome() }))
    }

    #[test]
    fn values_beyond_the_room_become_errors_and_smaller_ones_still_fit() {
        let mut room = Room { left: 10 };
        assert!(room.admit(value(6)).is_ok());
        assert!(matches!(room.admit(value(5)), Err(CoordinatorError::TooLarge(_))));
        assert!(room.admit(value(4)).is_ok());
        assert!(room.admit(value(0)).is_ok());
        assert!(matches!(room.admit(value(1)), Err(CoordinatorError::TooLarge(_))));
    }
}
