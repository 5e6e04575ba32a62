//! `herald check --connect`: what the bots name, reached from here.

use std::{path::Path, sync::Arc};

use futures::{FutureExt as _, future::BoxFuture};
use herald_protocol::address::Address;

use super::super::{print, run::node_of};
use crate::{
    bot::{
        Project,
        config::{Bot, Code, Finding, NodeAddress, finding_in},
        probe::{Look, Place, Probe},
    },
    clock,
};

/// A look that becomes a finding when it is not as wanted.
type Reached<'a> = BoxFuture<'a, Option<Finding>>;

/// Reaches everything at once, and gives what does not answer as it should, in the order of the bots.
pub(super) async fn findings(
    bots: &[Bot],
    project: &Arc<Project>,
    data: &Path,
) -> anyhow::Result<Vec<Finding>> {
    let probe = Probe::of(Arc::clone(project), data, clock::now.into())?;
    let mut looks: Vec<Reached<'_>> = Vec::new();
    for bot in bots {
        if bot.node != NodeAddress::BuiltIn {
            looks.push(node(bot, project, &probe).boxed());
        }
        for place in Place::of(bot) {
            looks.push(placed(bot, place, &probe).boxed());
        }
    }
    if let Some(file) = &project.file {
        let names = project.uploads.keys();
        looks.extend(names.map(|name| upload(file, name, &probe).boxed()));
    }
    let mut found: Vec<Finding> = Vec::new();
    for finding in futures::future::join_all(looks).await.into_iter().flatten() {
        // Bots share the project's node.
        if !found.contains(&finding) {
            found.push(finding);
        }
    }
    Ok(found)
}

async fn node(bot: &Bot, project: &Project, probe: &Probe) -> Option<Finding> {
    let nobody = Address::from_bytes([0; 20]);
    let reason = match node_of(bot, None) {
        Ok(node) => probe.node(&node, nobody).await.err()?,
        Err(error) => error.to_string(),
    };
    let at = |file: &Path| finding_at(file, &["node"], Code::NodeAway, reason.clone(), None);
    let own = at(&bot.file);
    // A bot that names none has the project's.
    Some(match &project.file {
        Some(file) if own.path.is_empty() => at(file),
        _ => own,
    })
}

async fn placed(bot: &Bot, place: Place<'_>, probe: &Probe) -> Option<Finding> {
    let (name, code) = match place {
        Place::Source(_) | Place::Value(_) | Place::Feed { .. } => (place.name(), Code::SourceAway),
        Place::Query { .. } => (place.name(), Code::QueryAway),
        Place::Chain { .. } => (place.name(), Code::ChainAway),
    };
    match probe.place(bot, place).await {
        Look::Fine(_) => None,
        Look::Skipped(why) => {
            print::talk(&format!("{}: {name} is not tried: {why}", bot.file.display()));
            None
        }
        Look::Wrong(reason) => {
            let message = format!("{name}: {reason}");
            Some(finding_at(&bot.file, &place.keys(), code, message, None))
        }
    }
}

async fn upload(file: &Path, name: &str, probe: &Probe) -> Option<Finding> {
    let Look::Wrong(reason) = probe.upload(name).await else {
        return None;
    };
    let message = format!("upload target `{name}`: {reason}");
    Some(finding_at(
        file,
        &["uploads", name],
        Code::UploadAway,
        message,
        None,
    ))
}

/// A finding at the value that keys lead to; at the deepest of them that is there.
fn finding_at(path: &Path, keys: &[&str], code: Code, message: String, hint: Option<String>) -> Finding {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    finding_in((path, &text), keys, code, message, hint)
}
