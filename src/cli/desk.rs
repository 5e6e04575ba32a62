//! Whom a command talks to: the herald that runs on the data folder, one that is named, or the store itself where none runs.

use anyhow::Context as _;
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Failure, Options, bots, project};
use crate::{
    bot::{
        self, Bots, Project, Shared,
        config::SecretReference,
        store::{self, Store},
    },
    client::Cache,
    console::{self, ApiToken, Folders, shapes},
};

/// Which herald.
#[derive(Args, Clone, Debug)]
pub(super) struct Herald {
    /// The API of a running herald [default: the one that runs on the data folder]
    #[arg(long, value_name = "URL", requires = "token")]
    api: Option<String>,
    /// Where its token is found: `env:NAME` or `file:PATH`
    #[arg(long, value_name = "REFERENCE", requires = "api")]
    token: Option<SecretReference>,
    /// Where the bots are, when no herald runs: files, or folders with *.yaml
    #[arg(long, value_name = "PATH", default_value = "bots")]
    bots: Vec<std::path::PathBuf>,
}

/// An open line to a herald.
pub(super) struct Desk {
    client: reqwest::Client,
    url: String,
    token: SecretString,
    /// Ends the herald of this command, where it is one.
    aside: Option<(CancellationToken, JoinSet<std::io::Result<()>>)>,
}

/// What answers.
enum Found {
    Running(Desk),
    Store(Store),
}

/// The file of the data folder that holds the API's token.
const TOKEN: &str = "api.token";

impl Herald {
    /// Finds the running herald.
    pub(super) fn running(&self, options: &Options) -> anyhow::Result<Desk> {
        let project = project::load(options, &self.bots)?;
        match self.find(options, &project)? {
            Found::Running(desk) => Ok(desk),
            Found::Store(_) => {
                let reason = format!(
                    "no herald runs on {}; --data names its folder, --api its address",
                    options.data().display()
                );
                Err(Failure::Unreachable(anyhow::anyhow!(reason)).into())
            }
        }
    }

    /// Finds the herald, or opens the store in its place.
    pub(super) async fn open(&self, options: &Options) -> anyhow::Result<Desk> {
        let project = project::load(options, &self.bots)?;
        match self.find(options, &project)? {
            Found::Running(desk) => Ok(desk),
            Found::Store(store) => self.aside(store, options).await,
        }
    }

    fn find(&self, options: &Options, project: &Project) -> anyhow::Result<Found> {
        let client = project.fetch()?.operators();
        if let (Some(url), Some(token)) = (&self.api, &self.token) {
            let here = std::env::current_dir()?;
            let token = token
                .resolve(&here)
                .map_err(|error| Failure::Usage(error.into()))?;
            return Ok(Found::Running(Desk {
                client,
                url: url.trim_end_matches('/').to_owned(),
                token,
                aside: None,
            }));
        }
        options.make_data()?;
        let (data, path) = (options.data(), options.store(project));
        match Store::open(&path) {
            Ok(store) => Ok(Found::Store(store)),
            Err(error @ store::Error::Locked { .. }) => {
                let unknown = || format!("{error}; --api names it");
                let address = std::fs::read_to_string(data.join("api.address")).with_context(unknown)?;
                let token = std::fs::read_to_string(data.join(TOKEN)).with_context(unknown)?;
                Ok(Found::Running(Desk {
                    client,
                    url: format!("http://{}", address.trim()),
                    token: token.trim().into(),
                    aside: None,
                }))
            }
            Err(error) => Err(Failure::Usage(error.into()).into()),
        }
    }

    /// A herald of the command alone: its API, and nothing that sends.
    async fn aside(&self, store: Store, options: &Options) -> anyhow::Result<Desk> {
        let data = options.data();
        let (loaded, project) = bots::load(&self.bots, options, bots::Identities::MustExist)?;
        let mut bots = Vec::with_capacity(loaded.len());
        for bot in loaded {
            let wallet = bot::resolve_identity(&bot).map_err(|error| Failure::Usage(error.into()))?;
            bots.push((bot, wallet.address()));
        }
        // Nobody listens: what is done is told by the answers.
        let (events, _) = bot::events();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let folders = Folders::of(&project, listener.local_addr()?.port());
        let cache = Cache::open(&data.join("client.db"))?;
        let shared = Shared::of(project, (store, cache), crate::clock::now.into(), events)?;
        let (client, token) = (shared.fetch.operators(), data.join(TOKEN));
        let url = format!("http://{}", listener.local_addr()?);
        let shutdown = CancellationToken::new();
        let bots = Bots::aside(bots, &shared);
        let api_token = ApiToken::load_or_create(&token)?;
        let mut served = JoinSet::new();
        served.spawn(console::serve(
            listener,
            bots,
            (api_token, folders),
            shutdown.clone(),
        ));
        Ok(Desk {
            client,
            url,
            token: std::fs::read_to_string(&token)?.trim().into(),
            aside: Some((shutdown, served)),
        })
    }
}

impl Desk {
    /// Asks and reads the answer. A refusal is the error, in the words of the herald.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> anyhow::Result<T> {
        let answer = self.send(method, path, body).await?;
        let bytes = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        let bytes: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        serde_json::from_slice(bytes).context(OTHER_VERSION)
    }

    /// Asks for what is answered in lines of JSON.
    pub(super) async fn lines(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> anyhow::Result<Lines<'_>> {
        Ok(Lines {
            answer: self.send(reqwest::Method::POST, path, Some(body)).await?,
            desk: self,
            read: Vec::new(),
        })
    }

    async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> anyhow::Result<reqwest::Response> {
        let url = format!("{}/v1/{path}", self.url);
        let mut request = self
            .client
            .request(method, &url)
            .bearer_auth(self.token.expose_secret());
        if let Some(body) = body {
            request = request.body(serde_json::to_vec(body)?);
        }
        let unreachable = |error: reqwest::Error| self.unreachable(&error);
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        match serde_json::from_slice::<shapes::Error>(&answer.bytes().await.map_err(unreachable)?) {
            Ok(refusal) => anyhow::bail!("{}", refusal.error),
            Err(_) => anyhow::bail!("the herald answers with {status}"),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        Failure::Unreachable(anyhow::anyhow!("no herald answers at {}: {error}", self.url))
    }

    /// Whether no herald runs: what is changed counts when one does.
    pub(super) fn is_aside(&self) -> bool {
        self.aside.is_some()
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Ends what was opened for the command alone.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        if let Some((shutdown, mut served)) = self.aside {
            shutdown.cancel();
            while let Some(ended) = served.join_next().await {
                ended??;
            }
        }
        Ok(())
    }
}

/// An answer that comes a line at a time.
pub(super) struct Lines<'a> {
    desk: &'a Desk,
    answer: reqwest::Response,
    /// What came behind the last line.
    read: Vec<u8>,
}

impl Lines<'_> {
    /// The next line; none behind the last. A refusal in its place is the error.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> anyhow::Result<Option<T>> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                if let Ok(refusal) = serde_json::from_slice::<shapes::Error>(&line) {
                    anyhow::bail!("{}", refusal.error);
                }
                return serde_json::from_slice(&line).map(Some).context(OTHER_VERSION);
            }
            let more = self.answer.chunk().await;
            match more.map_err(|error| self.desk.unreachable(&error))? {
                Some(bytes) => self.read.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }
}

const OTHER_VERSION: &str = "the herald answers in another way; is it of this version?";

/// No body.
pub(super) const NOTHING: Option<&()> = None;

/// A segment of an address, or a value of its query.
pub(super) fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
