//! What a rule would have been given: the latest that it can read now, or what a block, a transaction or an entry held.

use super::{EvmLog, Trigger, log::firing, reading};
use crate::bot::{
    chain::{self, RpcError, Search},
    config::Rule,
    expression::Scope,
    outside::Asking,
    running::Running,
};

/// How far back the latest log is looked for: ranges, and blocks of one.
const RECALLED: u32 = 20;
const RECALLED_AT_ONCE: u64 = 2_000;

/// Something that is there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Past {
    /// The latest log, entry or item.
    Latest,
    /// The first log of a block that counts.
    Block(u64),
    /// The first log of a transaction that counts.
    Tx([u8; 32]),
    /// The entry or item of this id.
    Entry(String),
}

impl Past {
    /// Reads `latest`, `block:N`, `tx:HASH` or `entry:ID`.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let (kind, value) = text.split_once(':').unwrap_or((text, ""));
        match (kind, value) {
            ("latest", "") => Some(Self::Latest),
            ("block", number) => number.parse().ok().map(Self::Block),
            ("tx", hash) => const_hex::decode_to_array(hash).ok().map(Self::Tx),
            ("entry", id) if !id.is_empty() => Some(Self::Entry(id.to_owned())),
            _ => None,
        }
    }
}

/// The names that a rule would be given for it. Errors are sentences for people.
pub(crate) async fn recall(running: &Running, rule: &Rule, past: &Past) -> Result<Scope, String> {
    let logs = rule.triggers.iter().filter_map(|trigger| match trigger {
        Trigger::Log(log) => Some(log.as_ref()),
        _ => None,
    });
    let logs: Vec<&EvmLog> = logs.collect();
    match past {
        Past::Latest | Past::Entry(_) if logs.is_empty() => reading::recall(running, rule, past).await,
        Past::Entry(_) => Err("the rule reads logs, which are told by `block:N` or `tx:HASH`".to_owned()),
        _ if logs.is_empty() => Err("the rule waits for no log of a chain".to_owned()),
        _ => {
            let mut failed = String::new();
            for own in logs {
                match of_log(running, own, past).await {
                    Ok(names) => return Ok(names),
                    Err(reason) => failed = reason,
                }
            }
            Err(failed)
        }
    }
}

/// What a rule would be given for a log that is there already. Errors are sentences for people.
async fn of_log(running: &Running, log: &EvmLog, past: &Past) -> Result<Scope, String> {
    let chain = running.chains.find(&log.chain)?;
    let of_chain = |error: chain::Error| format!("chain `{}`: {error}", log.chain);
    let contracts = log.contracts(running).await?;
    let nothing = |place: &str| format!("no log that counts is in {place} of chain `{}`", log.chain);
    let (tx, ends, spans) = match past {
        Past::Block(number) => (None, *number, 0),
        Past::Tx(hash) => {
            let status = chain.tx_status(*hash).await.map_err(of_chain)?;
            let block = status.and_then(|status| status.block);
            let (number, _) =
                block.ok_or_else(|| format!("chain `{}` has no such transaction", log.chain))?;
            (Some(*hash), number, 0)
        }
        Past::Latest | Past::Entry(_) => {
            let confirmations = log.confirmations.unwrap_or(chain.confirmations());
            let height = chain.height().await.map_err(of_chain)?.number;
            (None, height.saturating_sub(confirmations), RECALLED)
        }
    };
    let place = match past {
        Past::Block(_) => "that block",
        Past::Tx(_) => "that transaction",
        Past::Latest | Past::Entry(_) => "the latest blocks",
    };
    let (mut end, mut span) = (ends, if spans == 0 { 1 } else { RECALLED_AT_ONCE });
    let topic = (!log.event.anonymous).then(|| log.event.topic());
    for _ in 0..=spans {
        let agreed = chain.agreed(end).await.map_err(of_chain)?;
        let search = Search {
            from: (end + 1).saturating_sub(span),
            contracts: &contracts,
            topics: topic.as_slice(),
        };
        let mut logs = match chain.logs(&agreed, &search).await {
            Err(chain::Error::Node(RpcError::Refused { .. })) if span > 1 => {
                span = (span / 4).max(1);
                continue;
            }
            logs => logs.map_err(of_chain)?,
        };
        logs.retain(|found| tx.is_none_or(|tx| tx == found.tx));
        if *past == Past::Latest {
            logs.reverse();
        }
        for found in logs {
            if !log.event.has_topics(found.topics.len()) {
                continue;
            }
            let hear = |running: &Running| log.hear(&mut running.scope(), &found);
            if let Some(event) = Asking::work(running, hear).await.0? {
                let blocks = chain.blocks(&agreed, &[found.block]).await.map_err(of_chain)?;
                let block = blocks.get(&found.block).ok_or_else(|| nothing(place))?;
                return Ok(firing(running, (&log.chain, event), &found, *block).names);
            }
        }
        if search.from == 0 {
            break;
        }
        end = search.from - 1;
    }
    Err(nothing(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_named_by_its_kind() {
        assert_eq!(Past::of("latest"), Some(Past::Latest));
        assert_eq!(Past::of("block:7"), Some(Past::Block(7)));
        let hash = const_hex::encode_prefixed([7; 32]);
        assert_eq!(Past::of(&format!("tx:{hash}")), Some(Past::Tx([7; 32])));
        let id = "https://blog.example/1".to_owned();
        assert_eq!(Past::of("entry:https://blog.example/1"), Some(Past::Entry(id)));
        for wrong in [
            "",
            "later",
            "latest:1",
            "block:",
            "block:-1",
            "tx:0x12",
            "entry:",
            "event.json",
        ] {
            assert_eq!(Past::of(wrong), None, "{wrong}");
        }
    }
}
