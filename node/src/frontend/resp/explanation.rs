//! An explanation as a RESP reply.

use super::writer::Writer;
use crate::coordinator::{Explanation, Held, OwnerCopy};
use shoal_proto::types::{CopyState, NodeId, Trust, UnixMillis};

/// Writes a map of maps; numbers that may not fit 63 bits, as tags, are text.
pub(super) fn write(explanation: &Explanation, writer: &mut Writer<'_>) {
    writer.map(8);
    field("key", writer).bulk(explanation.key.as_bytes());
    field("slot", writer).integer(explanation.slot.into());
    field("vnode", writer).integer(explanation.vnode.0.into());
    field("epoch", writer).integer(integer(explanation.epoch));
    field("phase", writer).integer(explanation.phase.number().into());
    field("clock-ms", writer).integer(integer(explanation.now.0));
    field("owners", writer).array(explanation.owners.len());
    for owner in &explanation.owners {
        write_owner(owner, explanation.now, writer);
    }
    names("silent", &explanation.silent, writer);
}

fn write_owner(owner: &OwnerCopy, now: UnixMillis, writer: &mut Writer<'_>) {
    writer.map(if owner.held.is_ok() { 13 } else { 6 });
    field("node", writer).bulk(owner.node_id.as_str().as_bytes());
    field("zone", writer).bulk(owner.zone.as_bytes());
    field("live", writer).integer(owner.live.into());
    field("generation", writer).integer(integer(owner.generation));
    names("hinted-by", &owner.hinted_by, writer);
    match &owner.held {
        Ok(held) => write_held(held, now, writer),
        Err(why) => field("error", writer).bulk(why.as_bytes()),
    }
}

fn write_held(held: &Held, now: UnixMillis, writer: &mut Writer<'_>) {
    field("trust", writer).bulk(match held.trust {
        Trust::Starting => b"starting",
        Trust::Rebuilding => b"rebuilding",
        Trust::Ready => b"ready",
    });
    field("state", writer).bulk(match held.state() {
        CopyState::Absent => b"absent",
        CopyState::Value => b"value",
        CopyState::Tombstone => b"tombstone",
        CopyState::Expired => b"expired",
        CopyState::Evicted => b"evicted",
    });
    field("newest", writer).integer(held.newest.into());
    field("version", writer);
    match held.tag() {
        Some(tag) => writer.bulk(tag.to_bits().to_string().as_bytes()),
        None => writer.null(),
    }
    field("touch", writer).integer(held.version.map_or(0, |version| version.touch.into()));
    let expires_at = held.version.and_then(|version| version.expires_at);
    for (name, number) in [
        ("expires-at", expires_at.map(|at| at.0)),
        ("ttl-ms", expires_at.map(|at| at.saturating_since(now).as_millis() as u64)),
    ] {
        field(name, writer);
        match number {
            Some(number) => writer.integer(integer(number)),
            None => writer.null(),
        }
    }
    field("value-bytes", writer).integer(integer(held.value_bytes));
}

fn names(name: &str, nodes: &[NodeId], writer: &mut Writer<'_>) {
    field(name, writer).array(nodes.len());
    nodes.iter().for_each(|node| writer.bulk(node.as_str().as_bytes()));
}

/// Writes the name of a field, whose value follows.
fn field<'a, 'b>(name: &str, writer: &'a mut Writer<'b>) -> &'a mut Writer<'b> {
    writer.bulk(name.as_bytes());
    writer
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::resp::writer::Protocol;
    use bytes::BytesMut;
    use shoal_proto::types::{Key, Phase, Stamped, Tag, Value, Vnode, WriterId};

    fn explanation() -> Explanation {
        let tag = Tag::from_ticks(5, WriterId::member(1).unwrap()).unwrap();
        let version = Stamped::live(tag, 2, Some(UnixMillis(70)), Value::new("v").unwrap()).version();
        let owner = |name, held| OwnerCopy {
            node_id: NodeId::new(name).unwrap(),
            zone: "z".into(),
            live: true,
            generation: 3,
            held,
            hinted_by: vec![NodeId::new("n1").unwrap()],
        };
        let held =
            Held { trust: Trust::Ready, version: Some(version), ghost: None, value_bytes: 1, newest: true };
        Explanation {
            key: Key::new("k").unwrap(),
            slot: 12_706,
            vnode: Vnode(794),
            epoch: 1,
            phase: Phase::New,
            owners: vec![owner("n1", Ok(held)), owner("n2", Err("unreachable".into()))],
            silent: vec![NodeId::new("n2").unwrap()],
            now: UnixMillis(50),
        }
    }

    /// What is written, a blank for every line end.
    fn written(protocol: Protocol) -> String {
        let mut output = BytesMut::new();
        write(&explanation(), &mut Writer::new(&mut output, protocol));
        String::from_utf8(output.to_vec()).unwrap().replace("\r\n", " ")
    }

    #[test]
    fn it_is_a_map_with_a_map_per_owner_and_flat_arrays_before_resp3() {
        let owner = "$4 node $2 n1 $4 zone $1 z $4 live :1 $10 generation :3 $9 hinted-by *1 $2 n1 ";
        let held = "$5 trust $5 ready $5 state $5 value $6 newest :1 $7 version $5 20481 $5 touch :2 \
                    $10 expires-at :70 $6 ttl-ms :20 $11 value-bytes :1 ";
        let resp3 = written(Protocol::Resp3);
        let head = "%8 $3 key $1 k $4 slot :12706 $5 vnode :794 $5 epoch :1 $5 phase :3 $8 clock-ms :50 $6 owners *2 ";
        assert!(resp3.starts_with(&format!("{head}%13 {owner}{held}%6 $4 node $2 n2 ")), "{resp3}");
        assert!(resp3.ends_with("$5 error $11 unreachable $6 silent *1 $2 n2 "), "{resp3}");
        let resp2 = written(Protocol::Resp2);
        assert_eq!(resp2, resp3.replace("%8", "*16").replace("%13", "*26").replace("%6", "*12"));
    }
}
