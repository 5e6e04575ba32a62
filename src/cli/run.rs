//! `herald run`: bots in production. `herald dev` starts the same way.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Failure, Options, bots, print, signals,
    watch::{self, Watch},
};
use crate::{
    bot::{
        self, Bots, Changed, Event, Kind, Launch, Project, Runtime, Shared, Started,
        config::{Bot, NodeAddress as BotNode},
        print_time,
        reload::{Difference, Watched},
        store::Store,
    },
    client::{Cache, NodeAddress},
    console::{self, ApiToken, Folders},
    network::{self, Addresses, Embedded, Metrics, Ports},
};

/// Runs bots until SIGTERM or SIGINT.
#[derive(Args, Debug)]
pub(super) struct Run {
    /// Bot files, or folders: every *.yaml in them
    #[arg(value_name = "PATH", default_value = "bots")]
    pub(super) paths: Vec<PathBuf>,
    #[command(flatten)]
    listen: Listen,
    /// Webhooks and herald's own API [default: the project's, else 127.0.0.1:7411]
    #[arg(long, value_name = "ADDR")]
    pub(super) api: Option<String>,
}

/// Where a node listens. Port 0 takes any free one.
#[derive(Args, Clone, Debug)]
pub(super) struct Listen {
    /// The HTTP/JSON gateway, where XMTP JavaScript clients with `env: "local"` look
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5555")]
    http: String,
    /// gRPC
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5556")]
    grpc: String,
    /// Metrics and health
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8008")]
    metrics: String,
}

impl Listen {
    pub(super) fn http(&self) -> &str {
        &self.http
    }

    pub(super) fn grpc(&self) -> &str {
        &self.grpc
    }

    pub(super) fn metrics(&self) -> &str {
        &self.metrics
    }

    fn ports(&self) -> Ports {
        Ports {
            http: self.http.clone(),
            grpc: self.grpc.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

impl Run {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let (loaded, project) = bots::load(&self.paths, options, bots::Identities::MustExist)?;
        let mut wallets = Vec::with_capacity(loaded.len());
        for bot in loaded {
            let wallet = bot::resolve_identity(&bot).map_err(|error| Failure::Usage(error.into()))?;
            wallets.push((bot, wallet));
        }
        let shutdown = CancellationToken::new();
        let signalled = signals::cancel_on_signal(shutdown.clone())?;
        let stage = Stage::set(&self, (wallets, project), Started::OnChange, (options, &shutdown)).await?;
        let Stage {
            house,
            mut events,
            addresses,
            bots,
        } = stage;
        // The queue of events ends when the last bot does.
        drop(bots);
        let talk = async {
            while let Some(event) = events.recv().await {
                tell(&event, &addresses, options);
            }
        };
        let (lived, (), ()) = tokio::join!(house.live(shutdown.clone()), talk, signalled);
        lived
    }
}

/// Where everything of a run is found.
#[derive(Clone, Debug)]
pub(super) struct AllAddresses {
    pub(super) http: Option<String>,
    pub(super) grpc: Option<String>,
    pub(super) metrics: String,
    pub(super) api: String,
    /// `BOT/RULE` to URL.
    pub(super) webhooks: BTreeMap<String, String>,
}

/// Started bots, their node, their API.
pub(super) struct Stage {
    pub(super) house: House,
    pub(super) bots: Bots,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) addresses: AllAddresses,
}

/// What has to be served until shutdown.
pub(super) struct House {
    node: Network,
    api: tokio::net::TcpListener,
    token: ApiToken,
    folders: Folders,
    runtime: Runtime,
    watch: Watch,
    changed: mpsc::Receiver<Changed>,
    /// The wallets that no other process may use meanwhile.
    _claims: Vec<std::fs::File>,
}

/// The node in this process, or its metrics alone when every bot uses another one.
enum Network {
    Node(Box<Embedded>),
    Elsewhere(Metrics),
}

impl Network {
    fn addresses(&self) -> Option<Addresses> {
        match self {
            Self::Node(node) => Some(node.addresses()),
            Self::Elsewhere(_) => None,
        }
    }

    fn metrics(&self) -> std::net::SocketAddr {
        match self {
            Self::Node(node) => node.addresses().metrics,
            Self::Elsewhere(metrics) => metrics.address(),
        }
    }
}

impl Stage {
    /// Takes the ports and stores and starts the bots. Nothing is started when anything of it is not to be had.
    pub(super) async fn set(
        run: &Run,
        (wallets, project): (Vec<(Bot, herald_protocol::wallet::WalletKey)>, Project),
        started: Started,
        (options, shutdown): (&Options, &CancellationToken),
    ) -> anyhow::Result<Self> {
        let data = options.data();
        options.make_data()?;
        make_folder_of(&options.store(&project))?;
        let store = Store::open(&options.store(&project)).map_err(|error| Failure::Usage(error.into()))?;
        let cache = Cache::open(&data.join("client.db"))?;
        let token = ApiToken::load_or_create(&data.join("api.token"))?;
        let token = token
            .and(&project)
            .map_err(|error| Failure::Usage(error.into()))?;
        let built_in = wallets.iter().any(|(bot, _)| bot.node == BotNode::BuiltIn);
        let ports = run.listen.ports();
        let node = if built_in {
            Network::Node(Box::new(
                Embedded::bind(&ports, data).await.map_err(Failure::Usage)?,
            ))
        } else {
            Network::Elsewhere(Metrics::bind(&ports).await.map_err(Failure::Usage)?)
        };
        let api = Embedded::listen(run.api.as_ref().unwrap_or(&project.listen))
            .await
            .map_err(Failure::Usage)?;
        let addresses = addresses(&node, &api, wallets.iter().map(|(bot, _)| bot))?;
        // Where commands that talk to this herald find it.
        std::fs::write(data.join("api.address"), &addresses.api)
            .with_context(|| format!("cannot write into {}", data.display()))?;
        let mut launches = Vec::with_capacity(wallets.len());
        let mut files = Vec::with_capacity(wallets.len());
        let mut claims = Vec::new();
        for (bot, wallet) in wallets {
            files.push(Watched::new(&bot));
            let node = node_of(&bot, addresses.grpc.as_deref()).map_err(Failure::Usage)?;
            if bot.node != BotNode::BuiltIn {
                claims.extend(super::claim::claim(wallet.address(), &node)?);
            }
            let network = (bot.node == BotNode::BuiltIn).then(|| "built-in".to_owned());
            launches.push(Launch {
                bot,
                wallet,
                node,
                network,
            });
        }
        let (sender, events) = bot::events();
        let folders = Folders::of(&project, api.local_addr()?.port());
        let shared = Shared::of(project, (store, cache), crate::clock::now.into(), sender.clone())?;
        let runtime = Runtime::start(launches, &shared, started, shutdown);
        let bots = runtime.bots();
        let (to_take, changed) = mpsc::channel(watch::TAKEN);
        let watch = Watch::new((files, shared.project), bots.clone(), sender, to_take)?;
        Ok(Self {
            house: House {
                node,
                api,
                token,
                folders,
                runtime,
                watch,
                changed,
                _claims: claims,
            },
            bots,
            events,
            addresses,
        })
    }
}

impl House {
    /// Serves until shutdown: bots drain first, then the API and the node.
    pub(super) async fn live(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let node_ends = CancellationToken::new();
        let api = console::serve(
            self.api,
            self.runtime.bots(),
            (self.token, self.folders),
            shutdown.clone(),
        );
        let node = async {
            let served = match self.node {
                Network::Node(node) => node.serve(node_ends.clone()).await,
                Network::Elsewhere(metrics) => metrics.serve(node_ends.clone()).await,
            };
            // Without its node nothing of the process is of use.
            if served.is_err() {
                shutdown.cancel();
            }
            served
        };
        let bots = async {
            self.runtime.live(self.changed).await;
            node_ends.cancel();
        };
        let watch = self.watch.run(shutdown.clone());
        let (node, api, (), ()) = tokio::join!(node, api, bots, watch);
        node.map_err(unusable)?;
        api.context("the API")
    }
}

/// Makes the folder that the project wants its store in, readable by its owner only.
fn make_folder_of(store: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let folder = store.parent().unwrap_or(Path::new(""));
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// A store that cannot be had is the operator's to change; all else is a failure.
fn unusable(error: anyhow::Error) -> anyhow::Error {
    if network::is_unusable(&error) {
        Failure::Usage(error).into()
    } else {
        error
    }
}

fn addresses<'a>(
    node: &Network,
    api: &tokio::net::TcpListener,
    bots: impl Iterator<Item = &'a Bot>,
) -> anyhow::Result<AllAddresses> {
    let api = api.local_addr()?.to_string();
    let mut webhooks = BTreeMap::new();
    for bot in bots {
        for (rule, path) in console::webhooks(bot) {
            webhooks.insert(
                format!("{}/{rule}", bot.name),
                format!("http://{api}/hooks/{}/{path}", bot.name),
            );
        }
    }
    let metrics = node.metrics().to_string();
    let node = node.addresses();
    Ok(AllAddresses {
        http: node.map(|node| node.http.to_string()),
        grpc: node.map(|node| node.grpc.to_string()),
        metrics,
        api,
        webhooks,
    })
}

/// The node a bot publishes to.
pub(super) fn node_of(bot: &Bot, built_in: Option<&str>) -> anyhow::Result<NodeAddress> {
    Ok(match &bot.node {
        BotNode::BuiltIn => NodeAddress::plain(built_in.unwrap_or("127.0.0.1:5556")),
        BotNode::Local => NodeAddress::plain("127.0.0.1:5556"),
        remote @ BotNode::Remote { .. } => remote.to_string().parse()?,
    })
}

/// Prints an event: JSON as it is (with the addresses when a bot is ready), else a line.
pub(super) fn tell(event: &Event, addresses: &AllAddresses, options: &Options) {
    if options.json {
        return print::json(&with_addresses(event, addresses));
    }
    let bot = &event.bot;
    let rule = event
        .rule
        .as_ref()
        .map_or_else(|| bot.clone(), |rule| format!("{bot}/{rule}"));
    let wallet = event
        .wallet
        .map(|wallet| format!(" {}", print::short(wallet)))
        .unwrap_or_default();
    let reason = event
        .reason
        .as_ref()
        .map(|reason| format!(": {}", print::plain(reason)))
        .unwrap_or_default();
    let until = event
        .until
        .map(|until| format!(" until {}", print_time(until)))
        .unwrap_or_default();
    let time = event.at.format("%H:%M:%S");
    let what = match event.event {
        Kind::Ready => {
            let address = event
                .address
                .map(|address| address.to_string())
                .unwrap_or_default();
            print::line(&format!("{time} ready       {bot} as {address}"));
            for (name, url) in addresses
                .webhooks
                .iter()
                .filter(|(name, _)| name.starts_with(&format!("{bot}/")))
            {
                print::line(&format!("{time}             webhook {name}: POST {url}"));
            }
            return;
        }
        Kind::Occurrence => "fired",
        Kind::Held => "held",
        Kind::Delivered => "delivered",
        Kind::Rejected => "rejected",
        Kind::Expired => "expired",
        Kind::Skipped => "skipped",
        Kind::AwaitingApproval => "awaits",
        Kind::Approved => "approved",
        Kind::Paused => "paused",
        Kind::Resumed => "resumed",
        Kind::Cancelled => "cancelled",
        Kind::Joined => "joined",
        Kind::Left => "left",
        Kind::Reloaded => "reloaded",
        Kind::CallbackDead => "callback",
        Kind::Error => "error",
    };
    let difference = event.difference.as_ref().map(spell).unwrap_or_default();
    print::line(&format!(
        "{time} {what:<11} {rule}{wallet}{reason}{until}{difference}"
    ));
}

/// What is different: `+` before what is new, `-` before what is gone, `~` before what changed.
fn spell(difference: &Difference) -> String {
    let marked = |mark: &'static str, names: &[String]| -> Vec<String> {
        names
            .iter()
            .map(|name| format!("{mark}{}", print::inline(name)))
            .collect()
    };
    let all = [
        marked("+", &difference.added),
        marked("-", &difference.removed),
        marked("~", &difference.changed),
    ]
    .concat();
    if all.is_empty() {
        return ": nothing but comments and order".to_owned();
    }
    format!(": {}", all.join(" "))
}

fn with_addresses(event: &Event, addresses: &AllAddresses) -> serde_json::Value {
    let mut json = serde_json::to_value(event).unwrap_or_default();
    if let (Kind::Ready, Some(json)) = (event.event, json.as_object_mut()) {
        let prefix = format!("{}/", event.bot);
        let webhooks: BTreeMap<_, _> = addresses
            .webhooks
            .iter()
            .filter(|(name, _)| name.starts_with(&prefix))
            .collect();
        json.insert("http".to_owned(), addresses.http.clone().into());
        json.insert("grpc".to_owned(), addresses.grpc.clone().into());
        json.insert("metrics".to_owned(), addresses.metrics.clone().into());
        json.insert("api".to_owned(), addresses.api.clone().into());
        json.insert(
            "webhooks".to_owned(),
            serde_json::to_value(webhooks).unwrap_or_default(),
        );
    }
    json
}
