//! SIGTERM and SIGINT: the first drains what stays, a second SIGINT ends it at once.

use std::time::Duration;

use futures::FutureExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Failure;

/// Cancels `shutdown` at the first SIGTERM or SIGINT. They are listened to from the call on, so make it before anybody is told
/// that the command is ready.
pub(super) fn cancel_on_signal(shutdown: CancellationToken) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = shutdown.cancelled() => {}
        }
        shutdown.cancel();
    })
}

/// Signals closer together are one.
const ONE_PRESS: Duration = Duration::from_millis(300);

/// Runs a command. One that drains at the first SIGINT is ended by the second, any other by the first.
pub(super) async fn unless_interrupted(
    drains: bool,
    command: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let interrupted = async {
        if drains {
            interrupt.recv().await;
            // A terminal and a program in between may both pass on what was one key.
            tokio::time::sleep(ONE_PRESS).await;
            let _ = interrupt.recv().now_or_never();
        }
        interrupt.recv().await;
    };
    tokio::select! {
        outcome = command => outcome,
        () = interrupted => Err(Failure::Interrupted.into()),
    }
}
