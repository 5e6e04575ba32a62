//! Checks of what bots need: keys, nodes and contacts, and the places that they name.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use futures::FutureExt as _;
use herald_protocol::address::Address;
use url::{Host, Url};

use super::{Check, Checks, Listen, machine, one};
use crate::{
    bot::{
        self, Project,
        config::{Bot, NodeAddress as BotNode},
        probe::{NodeLook, Place, Probe},
        project::Upload,
        to_utc,
    },
    cli::run::node_of,
    client::NodeAddress,
    clock,
};

/// The keys of the bots, the nodes they use and their contacts there, and the clock beside those of the nodes.
pub(super) async fn nodes(
    bots: &[Bot],
    (probe, listen, is_running): (&Probe, &Listen, bool),
    data: &Path,
) -> Vec<Check> {
    let looks = bots.iter().map(|bot| async move {
        let (key, wallet) = key(bot).await;
        if bot.node == BotNode::BuiltIn && !is_running {
            return (bot, key, wallet, None);
        }
        let node = match node_of(bot, Some(listen.grpc())) {
            Ok(node) => node,
            Err(error) => {
                return (
                    bot,
                    key,
                    wallet,
                    Some((bot.node.to_string(), Err(error.to_string()))),
                );
            }
        };
        let look = ask(probe, &node, wallet).await;
        (bot, key, wallet, Some((node.to_string(), look)))
    });
    let (mut checks, mut told, mut told_time) = (Vec::new(), BTreeSet::new(), None);
    for (bot, key, wallet, look) in futures::future::join_all(looks).await {
        checks.push(key);
        let Some((node, look)) = look else {
            if told.insert(bot.node.to_string()) {
                let told = "it starts with `herald run`";
                checks.push(Check::skipped("node", &&bot.node, told));
            }
            continue;
        };
        if told.insert(node.clone()) {
            checks.push(answers(&node, &look));
        }
        let Ok(look) = look else { continue };
        told_time = told_time.or_else(|| Some((format!("the node at {node}"), look.date?)));
        if wallet.is_some() {
            checks.push(contact(bot, look.has_contact, is_running));
        }
    }
    checks.push(machine::clock(to_utc(clock::now()), told_time, data));
    checks
}

async fn ask(probe: &Probe, node: &NodeAddress, wallet: Option<Address>) -> Result<NodeLook, String> {
    // A node answers for any wallet.
    let nobody = Address::from_bytes([0; 20]);
    probe.node(node, wallet.unwrap_or(nobody)).await
}

/// Whether the key of a bot is there. Reading one may wait for a command.
async fn key(bot: &Bot) -> (Check, Option<Address>) {
    let own = bot.clone();
    let read = tokio::task::spawn_blocking(move || bot::resolve_identity(&own));
    let fix = "set the variable, or make the file with `herald keys new`";
    match tokio::time::timeout(WITHIN, read).await {
        Ok(Ok(Ok(wallet))) => {
            let address = wallet.address();
            let check = Check::ok("key", &&bot.name, format!("of wallet {address}"));
            (check, Some(address))
        }
        Ok(Ok(Err(error))) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            let told = format!("{error}{}", cause.unwrap_or_default());
            (Check::failed("key", &&bot.name, told, fix), None)
        }
        Ok(Err(_)) | Err(_) => {
            let told = "reading it does not end";
            (Check::failed("key", &&bot.name, told, fix), None)
        }
    }
}

fn answers(node: &str, look: &Result<NodeLook, String>) -> Check {
    match look {
        Ok(look) => {
            let how = if node.starts_with("grpcs:") {
                " over TLS"
            } else {
                ""
            };
            Check::ok(
                "node",
                &node,
                format!("answers in {} ms{how}", look.took.as_millis()),
            )
        }
        Err(reason) => {
            let fix = "is it running, and is its address right? `node` of the bot or of herald.yaml says where it is";
            Check::failed("node", &node, reason.clone(), fix)
        }
    }
}

fn contact(bot: &Bot, is_published: bool, is_running: bool) -> Check {
    match (is_published, is_running) {
        (true, _) => Check::ok("contact", &&bot.name, "published: people can write to it"),
        (false, true) => Check::failed(
            "contact",
            &&bot.name,
            "not published: nobody can write to it",
            "herald publishes it when the bot starts; is the bot among those that run?",
        ),
        (false, false) => Check::skipped(
            "contact",
            &&bot.name,
            "not published yet: `herald run` does it when the bot starts",
        ),
    }
}

/// Looks at what bots and project name: sources, queries, upload targets, and the names of hosts.
pub(super) fn places<'a>(bots: &'a [Bot], project: &'a Arc<Project>, probe: &'a Probe) -> Vec<Checks<'a>> {
    let mut looks: Vec<Checks<'a>> = Vec::new();
    for bot in bots {
        for place in Place::of(bot) {
            let (check, fix) = match place {
                Place::Source(_) | Place::Value(_) => {
                    ("source", "`herald check --connect` shows its place in the file")
                }
                Place::Feed { .. } => ("feed", "`herald check --connect` shows its place in the file"),
                Place::Query { .. } => ("sql", "`herald check --connect` shows its place in the file"),
                Place::Chain { .. } => (
                    "chain",
                    "`chains` of herald.yaml names its nodes; are they up, and of this chain?",
                ),
            };
            looks.push(one(async move {
                let look = probe.place(bot, place).await;
                let subject = format!("{}: {}", bot.name, place.name());
                Check::of_look(check, &subject, look, fix)
            }));
        }
    }
    for name in project.uploads.keys() {
        looks.push(one(async move {
            let look = probe.upload(name).await;
            let fix = "`uploads` of herald.yaml says where it is and which key it takes";
            Check::of_look("upload", &name, look, fix)
        }));
    }
    looks.extend(
        hosts(bots, project)
            .into_iter()
            .map(|(host, port)| one(resolved(host, port))),
    );
    looks
}

/// The names of hosts in bots and project, with a port; addresses need no looking up.
fn hosts(bots: &[Bot], project: &Project) -> BTreeMap<String, u16> {
    let mut urls: Vec<String> = Vec::new();
    for bot in bots {
        urls.push(bot.node.to_string());
        for place in Place::of(bot) {
            urls.extend(place.url(bot));
        }
        let callbacks = bot
            .rules
            .values()
            .filter_map(|rule| rule.policy.callback.as_ref());
        urls.extend(callbacks.map(|callback| callback.url.clone()));
    }
    for upload in project.uploads.values() {
        match upload {
            Upload::S3 { endpoint, public, .. } => urls.extend(endpoint.iter().chain([public]).cloned()),
            Upload::Folder { public, .. } => urls.push(public.clone()),
        }
    }
    let mut hosts = BTreeMap::new();
    for url in urls.iter().filter_map(|url| Url::parse(url.trim()).ok()) {
        // Of schemes that `Url` does not know, hosts are texts as they stand.
        let is_address = |name: &str| name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
        if let Some(Host::Domain(name)) = url.host()
            && !is_address(name)
        {
            hosts.insert(name.to_owned(), url.port_or_known_default().unwrap_or(443));
        }
    }
    hosts
}

async fn resolved(host: String, port: u16) -> Check {
    let looking = tokio::net::lookup_host((host.as_str(), port));
    let fix = "is the name right, and does this machine reach its name server?";
    match tokio::time::timeout(WITHIN, looking.map(|found| found.map(Iterator::count))).await {
        Ok(Ok(0)) => Check::failed("dns", &host, "it has no address", fix),
        Ok(Ok(1)) => Check::ok("dns", &host, "1 address"),
        Ok(Ok(count)) => Check::ok("dns", &host, format!("{count} addresses")),
        Ok(Err(error)) => Check::failed("dns", &host, error.to_string(), fix),
        Err(_) => Check::failed(
            "dns",
            &host,
            format!("no answer within {} s", WITHIN.as_secs()),
            fix,
        ),
    }
}

/// How long one look may take.
const WITHIN: Duration = Duration::from_secs(10);
