//! A node in a process of its own, that can be killed, starved and watched.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use herald_protocol::proto::api::message_api_client::MessageApiClient;
use serde_json::Value;
use tonic::transport::Channel;

use crate::harness::*;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_herald-node");

/// A node in a process of its own.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) metrics: SocketAddr,
}

impl Process {
    /// `before` runs in the shell that becomes the node.
    pub(crate) fn start(place: &Place, before: &str) -> Self {
        let mut child = Self::command(place, before).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let address = |name: &str| ready[name].as_str().unwrap().parse().unwrap();
        Self {
            http: address("http"),
            grpc: address("grpc"),
            metrics: address("metrics"),
            child,
        }
    }

    /// What starts a node on free ports with this store, under the program of the variable `under` where `before` sets it.
    pub(crate) fn command(place: &Place, before: &str) -> Command {
        let any = "127.0.0.1:0";
        let config = place.config(&serde_json::json!({ "http": any, "grpc": any, "metrics": any }));
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!(
                "{before} exec $under '{BINARY}' --config '{}'",
                config.display()
            ))
            .stdout(Stdio::piped());
        command
    }

    /// Runs a command beside the node to its end: exit code, standard output, standard error.
    pub(crate) fn run(place: &Place, arguments: &[&str]) -> (Option<i32>, String, String) {
        let config = place.config(&serde_json::json!({}));
        let output = Command::new(BINARY)
            .args(arguments)
            .arg("--config")
            .arg(config)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    pub(crate) async fn client(&self) -> MessageApiClient<Channel> {
        MessageApiClient::new(channel(self.grpc).await)
    }

    /// Exit code after SIGTERM.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        let mut ended = None;
        until("the node ends", async || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        })
        .await;
        ended.and_then(|status| status.code())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended, mostly.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
