//! What is wrong with the nodes of a chain, told once for all rules of a bot.

use std::collections::BTreeSet;

use crate::bot::{event::Kind, running::Running};

/// Tells what is wrong with the nodes of a chain, each thing once until it is over.
pub(super) async fn watch_nodes(running: &Running, name: &str) {
    let Ok(chain) = running.chains.find(name) else {
        return;
    };
    let (mut heads, mut remarks) = (chain.heads(), chain.remarks());
    let mut told = BTreeSet::new();
    loop {
        let mut now = remarks.borrow_and_update().clone();
        if let Some(Err(error)) = &*heads.borrow_and_update() {
            now.insert(error.to_string());
        }
        for reason in now.difference(&told) {
            let mut event = running.event(Kind::Error);
            event.reason = Some(format!("chain `{name}`: {reason}"));
            running.tell(event).await;
        }
        told = now;
        let changed = tokio::select! {
            changed = heads.changed() => changed,
            changed = remarks.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}
