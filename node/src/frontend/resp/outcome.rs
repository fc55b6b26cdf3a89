//! What an answer was worth, told beside it to clients that asked with `SHOAL.OUTCOME ON`.
//!
//! In RESP3 it is an attribute of the reply, which libraries that do not know it skip. RESP2 has none: there the reply
//! becomes an array of itself and the outcome.

use super::writer::{Protocol, Writer};
use crate::coordinator::Outcome;
use shoal_proto::types::Tag;

/// Writes `outcomes`, one per key of the command, around the reply that `reply` writes.
pub(super) fn write(outcomes: &[Outcome], writer: &mut Writer<'_>, reply: impl FnOnce(&mut Writer<'_>)) {
    match writer.protocol() {
        Protocol::Resp3 => {
            writer.attribute(1);
            writer.bulk(b"shoal");
            all(outcomes, writer);
            reply(writer);
        }
        Protocol::Resp2 => {
            writer.array(2);
            reply(writer);
            all(outcomes, writer);
        }
    }
}

/// One map, or an array of as many as there were keys.
fn all(outcomes: &[Outcome], writer: &mut Writer<'_>) {
    if let [outcome] = outcomes {
        return one(outcome, writer);
    }
    writer.array(outcomes.len());
    outcomes.iter().for_each(|outcome| one(outcome, writer));
}

/// The fields have the names and the meaning of those of gRPC and of the headers of REST.
fn one(outcome: &Outcome, writer: &mut Writer<'_>) {
    writer.map(8);
    let number = |writer: &mut Writer<'_>, name: &str, number: Option<u64>| {
        writer.bulk(name.as_bytes());
        match number {
            // As text: tags use all 64 bits, integers of this protocol have a sign.
            Some(number) => writer.bulk(number.to_string().as_bytes()),
            None => writer.null(),
        }
    };
    number(writer, "version", outcome.tag.map(Tag::to_bits));
    writer.bulk(b"reached");
    writer.bulk(outcome.reached.name().as_bytes());
    number(writer, "asked", Some(outcome.asked.into()));
    number(writer, "answered", Some(outcome.answered.into()));
    number(writer, "superseded-by", outcome.superseded_by.map(Tag::to_bits));
    writer.bulk(b"flags");
    let flags: Vec<_> = outcome.flags().collect();
    writer.array(flags.len());
    flags.iter().for_each(|flag| writer.bulk(flag.as_bytes()));
    number(writer, "expires-at", outcome.expires_at.map(|at| at.0));
    number(writer, "ttl-ms", outcome.ttl.map(|ttl| ttl.as_millis() as u64));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::resp::{output::Output, testing::outcome};
    use shoal_proto::types::UnixMillis;
    use std::time::Duration;

    fn written(outcomes: &[Outcome], protocol: Protocol) -> String {
        let mut output = Output::default();
        write(outcomes, &mut Writer::new(&mut output, protocol), |writer| writer.ok());
        String::from_utf8(output.to_vec()).unwrap().replace("\r\n", " ")
    }

    #[test]
    fn resp3_has_an_attribute_before_the_reply_and_resp2_an_array_behind_it() {
        let outcome = Outcome {
            tag: Tag::from_bits(77),
            expires_at: Some(UnixMillis(5_000)),
            ttl: Some(Duration::from_millis(1_500)),
            asked: 3,
            answered: 2,
            superseded_by: Tag::from_bits(u64::MAX),
            hinted: true,
            ..outcome()
        };
        let fields = "$7 version $2 77 $7 reached $3 ONE $5 asked $1 3 $8 answered $1 2 \
             $13 superseded-by $20 18446744073709551615 $5 flags *2 $6 hinted $10 superseded \
             $10 expires-at $4 5000 $6 ttl-ms $4 1500 ";
        assert_eq!(written(&[outcome], Protocol::Resp3), format!("|1 $5 shoal %8 {fields}+OK "));
        assert_eq!(written(&[outcome], Protocol::Resp2), format!("*2 +OK *16 {fields}"));
    }

    #[test]
    fn several_keys_have_several_outcomes() {
        let text = written(&[outcome(), outcome()], Protocol::Resp3);
        assert!(text.starts_with("|1 $5 shoal *2 %8 $7 version _ "), "{text}");
        assert_eq!(text.matches("reached").count(), 2);
    }
}
