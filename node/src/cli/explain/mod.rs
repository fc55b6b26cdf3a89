//! `shoal explain`: where a key lies, who holds what, and whether that will come right by itself.

mod verdict;

use super::{
    key_argument::{KeyArgument, Named},
    key_commands::Target,
    output,
    remote::Remote,
};
use clap::Args;
use serde::Serialize;
use shoal_client::{CopyState, Explanation, NodeId, OwnerCopy, Tag, Trust, UnixMillis};
use std::process::ExitCode;

/// `shoal explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    key: KeyArgument,
    #[command(flatten)]
    target: Target,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    key: Named<'a>,
    slot: u16,
    vnode: u16,
    epoch: u64,
    phase: u32,
    owners: Vec<OwnerReport<'a>>,
    /// Members that did not answer.
    silent: Vec<&'a str>,
    clock_unix_ms: u64,
    agreed: bool,
    verdict: String,
}

#[derive(Serialize)]
struct OwnerReport<'a> {
    node_id: &'a str,
    zone: &'a str,
    live: bool,
    generation: u64,
    /// Why nothing is known of its copy; the other fields are `null` then.
    error: Option<&'a str>,
    trust: Option<&'static str>,
    state: Option<&'static str>,
    newest: Option<bool>,
    tag: Option<u64>,
    touch: Option<u32>,
    age_ms: Option<u64>,
    expires_at_unix_ms: Option<u64>,
    ttl_ms: Option<u64>,
    value_bytes: Option<u64>,
    hinted_by: Vec<&'a str>,
}

impl Explain {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let key = self.key.key()?;
        let explanation = Remote::connect(&self.target, None).await?.explain(key).await?;
        if self.target.json {
            output::json(&Report::from(&explanation))?;
        } else {
            print(&explanation)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl<'a> From<&'a Explanation> for Report<'a> {
    fn from(explanation: &'a Explanation) -> Self {
        Self {
            key: (&explanation.key).into(),
            slot: explanation.slot,
            vnode: explanation.vnode,
            epoch: explanation.epoch,
            phase: explanation.phase.number(),
            owners: explanation
                .owners
                .iter()
                .map(|owner| OwnerReport::new(owner, explanation.clock))
                .collect(),
            silent: explanation.silent.iter().map(NodeId::as_str).collect(),
            clock_unix_ms: explanation.clock.0,
            agreed: verdict::agreed(explanation),
            verdict: verdict::verdict(explanation),
        }
    }
}

impl<'a> OwnerReport<'a> {
    fn new(owner: &'a OwnerCopy, now: UnixMillis) -> Self {
        let held = owner.held.as_ref().ok();
        let tag = held.and_then(|held| held.tag);
        let expires_at = held.and_then(|held| held.expires_at);
        Self {
            node_id: owner.node_id.as_str(),
            zone: &owner.zone,
            live: owner.live,
            generation: owner.generation,
            error: owner.held.as_ref().err().map(String::as_str),
            trust: held.map(|held| trust_name(held.trust)),
            state: held.map(|held| state_name(held.state)),
            newest: held.map(|held| held.newest),
            tag: tag.map(Tag::to_bits),
            touch: held.map(|held| held.touch),
            age_ms: tag.map(|tag| now.saturating_since(tag.millis()).as_millis() as u64),
            expires_at_unix_ms: expires_at.map(|at| at.0),
            ttl_ms: expires_at.map(|at| at.saturating_since(now).as_millis() as u64),
            value_bytes: held.map(|held| held.value_bytes),
            hinted_by: owner.hinted_by.iter().map(NodeId::as_str).collect(),
        }
    }
}

fn trust_name(trust: Trust) -> &'static str {
    match trust {
        Trust::Starting => "starting",
        Trust::Rebuilding => "rebuilding",
        Trust::Ready => "ready",
    }
}

fn state_name(state: CopyState) -> &'static str {
    match state {
        CopyState::Absent => "absent",
        CopyState::Value => "value",
        CopyState::Tombstone => "tombstone",
        CopyState::Expired => "expired",
        CopyState::Evicted => "evicted",
    }
}

fn print(explanation: &Explanation) -> anyhow::Result<()> {
    output::line(format!(
        "key {}: slot {}, vnode {}, epoch {} phase {}",
        output::printable(explanation.key.as_bytes()),
        explanation.slot,
        explanation.vnode,
        explanation.epoch,
        explanation.phase.number(),
    ))?;
    let headings = [
        "owner",
        "zone",
        "node",
        "copy",
        "holds",
        "bytes",
        "written",
        "expires",
        "version",
        "generation",
        "hints at",
    ];
    output::table(
        &headings,
        &explanation.owners.iter().map(|o| row(o, explanation.clock)).collect::<Vec<_>>(),
    )?;
    output::line(verdict::verdict(explanation))
}

fn row(owner: &OwnerCopy, now: UnixMillis) -> Vec<String> {
    let none = || "-".to_owned();
    let live = if owner.live { "up" } else { "down" };
    let (node, copy) = match &owner.held {
        Ok(held) => {
            let trust = if held.trust == Trust::Ready { live } else { trust_name(held.trust) };
            (trust, if held.newest { "newest".to_owned() } else { "behind".to_owned() })
        }
        Err(why) => (live, why.clone()),
    };
    let held = owner.held.as_ref().ok();
    let written = held.and_then(|held| held.tag);
    let hints = owner.hinted_by.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ");
    vec![
        owner.node_id.to_string(),
        owner.zone.clone(),
        node.to_owned(),
        copy,
        held.map_or_else(none, |held| state_name(held.state).to_owned()),
        held.filter(|held| held.state == CopyState::Value)
            .map_or_else(none, |held| held.value_bytes.to_string()),
        written.map_or_else(none, |tag| ago(tag.millis(), now)),
        held.map_or_else(none, |held| expiry(held.state, held.expires_at, now)),
        held.zip(written).map_or_else(none, |(held, tag)| match held.touch {
            0 => tag.to_bits().to_string(),
            touch => format!("{}+{touch}", tag.to_bits()),
        }),
        owner.generation.to_string(),
        if hints.is_empty() { none() } else { hints },
    ]
}

fn expiry(state: CopyState, at: Option<UnixMillis>, now: UnixMillis) -> String {
    match (state, at) {
        (CopyState::Value, None) => "never".into(),
        (_, None) => "-".into(),
        (_, Some(at)) if at <= now => ago(at, now),
        (_, Some(at)) => format!("in {}", output::time(at.saturating_since(now))),
    }
}

fn ago(at: UnixMillis, now: UnixMillis) -> String {
    format!("{} ago", output::time(now.saturating_since(at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_client::Held;

    fn owner(held: Result<Held, String>) -> OwnerCopy {
        OwnerCopy {
            node_id: NodeId::new("n1").unwrap(),
            zone: "a".into(),
            live: true,
            generation: 9,
            held,
            hinted_by: vec![NodeId::new("n2").unwrap(), NodeId::new("n3").unwrap()],
        }
    }

    fn value() -> Held {
        Held {
            trust: Trust::Ready,
            state: CopyState::Value,
            tag: Tag::from_bits(1_000 << 22 | 1),
            touch: 0,
            expires_at: Some(UnixMillis(63_000)),
            value_bytes: 5,
            newest: true,
        }
    }

    fn shown(held: Result<Held, String>) -> String {
        row(&owner(held), UnixMillis(3_500)).join(" | ")
    }

    #[test]
    fn a_row_tells_what_an_owner_holds() {
        assert_eq!(
            shown(Ok(value())),
            "n1 | a | up | newest | value | 5 | 2s 500ms ago | in 59s | 4194304001 | 9 | n2, n3"
        );
        let touched = Held { touch: 2, expires_at: None, newest: false, trust: Trust::Rebuilding, ..value() };
        assert_eq!(
            shown(Ok(touched)),
            "n1 | a | rebuilding | behind | value | 5 | 2s 500ms ago | never | 4194304001+2 | 9 | n2, n3"
        );
        let expired = Held { state: CopyState::Expired, expires_at: Some(UnixMillis(2_000)), ..value() };
        assert_eq!(
            shown(Ok(expired)),
            "n1 | a | up | newest | expired | - | 2s 500ms ago | 1s 500ms ago | 4194304001 | 9 | n2, n3"
        );
        let absent =
            Held { state: CopyState::Absent, tag: None, expires_at: None, value_bytes: 0, ..value() };
        assert_eq!(shown(Ok(absent)), "n1 | a | up | newest | absent | - | - | - | - | 9 | n2, n3");
        assert_eq!(
            shown(Err("unreachable".into())),
            "n1 | a | up | unreachable | - | - | - | - | - | 9 | n2, n3"
        );
    }

    #[test]
    fn json_has_null_where_nothing_is_known() {
        let json = |held| serde_json::to_value(OwnerReport::new(&owner(held), UnixMillis(3_500))).unwrap();
        let known = json(Ok(value()));
        assert_eq!((known["age_ms"].as_u64(), known["ttl_ms"].as_u64()), (Some(2_500), Some(59_500)));
        assert_eq!((known["state"].as_str(), known["error"].is_null()), (Some("value"), true));
        let silent = json(Err("unreachable".into()));
        assert_eq!(silent["error"], "unreachable");
        for field in ["trust", "state", "newest", "tag", "touch", "age_ms", "ttl_ms", "value_bytes"] {
            assert!(silent[field].is_null(), "{field}");
        }
    }
}
