//! `herald node`: the command of the node, told in herald's words.

use herald_node::{
    Addresses,
    command::{self, Node},
};
use tokio_util::sync::CancellationToken;

use super::{Failure, Options, print, signals};

pub(super) async fn execute(node: Node, options: &Options) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    let signalled = signals::cancel_on_signal(shutdown.clone())?;
    let of_node = command::Options {
        json: options.json,
        data: options.data.clone(),
    };
    let done = async {
        let done = node
            .execute(&of_node, shutdown.clone(), |at| ready(at, options.json))
            .await;
        // A node that failed does not wait for a signal.
        shutdown.cancel();
        done
    };
    let (done, ()) = tokio::join!(done, signalled);
    done.map_err(|error| match error.exit_code() {
        2 => Failure::Usage(error.into()).into(),
        3 => Failure::Unreachable(error.into()).into(),
        _ => error.into(),
    })
}

fn ready(addresses: Addresses, json: bool) {
    if json {
        print::json(&command::ready(addresses));
        return;
    }
    let Addresses { http, grpc, metrics } = addresses;
    print::line(&format!(
        "node: http://{http}  grpc://{grpc}  metrics http://{metrics}/metrics"
    ));
}
