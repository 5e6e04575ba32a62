//! The API of a running herald, for the commands that ask it.

use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::{Failure, Options};
use crate::{
    bot::config::SecretReference,
    fetch::{Fetch, Request},
};

/// Where the running herald is.
#[derive(Args, Clone, Debug)]
pub(super) struct Api {
    /// The API of the running herald
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7411")]
    api: String,
    /// Where its token is: `env:NAME` or `file:PATH` [default: the data folder's api.token]
    #[arg(long, value_name = "REFERENCE")]
    token: Option<SecretReference>,
}

/// Every address: the operator says where the API is.
const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

impl Api {
    /// Asks for what is at a path.
    pub(super) async fn get(&self, path: &str, options: &Options) -> anyhow::Result<Value> {
        let request = Request::read(&self.url(path)).map_err(|error| Failure::Usage(error.into()))?;
        self.ask(request, options).await
    }

    /// Posts JSON to a path.
    pub(super) async fn post(&self, path: &str, body: &Value, options: &Options) -> anyhow::Result<Value> {
        let request = Request::post(&self.url(path), "application/json", body.to_string().into());
        self.ask(request.map_err(|error| Failure::Usage(error.into()))?, options)
            .await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.api.trim_end_matches('/'))
    }

    async fn ask(&self, request: Request, options: &Options) -> anyhow::Result<Value> {
        let mut fetch = Fetch::builder();
        for network in EVERYWHERE {
            fetch = fetch.allow(network.parse::<IpNet>()?);
        }
        let token = self.token(options).map_err(Failure::Usage)?;
        let request = request.header("authorization", &format!("Bearer {}", token.expose_secret()))?;
        let answer = fetch.build()?.send(request).await;
        let answer = answer.map_err(|error| {
            let reason = format!(
                "no herald answers at {}; is `herald run` running? --api names another",
                self.api
            );
            Failure::Unreachable(anyhow::Error::new(error).context(reason))
        })?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if (200..300).contains(&answer.status) {
            return Ok(body);
        }
        let reason = body
            .get("error")
            .and_then(Value::as_str)
            .unwrap_or("without a reason");
        anyhow::bail!("herald at {} answers {}: {reason}", self.api, answer.status)
    }

    fn token(&self, options: &Options) -> anyhow::Result<SecretString> {
        let reference = match &self.token {
            Some(reference) => reference.clone(),
            None => SecretReference::File(std::path::absolute(options.data().join("api.token"))?),
        };
        reference.resolve(Path::new("")).context("the API token")
    }
}
