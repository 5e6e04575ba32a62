//! Takes changed bot files while bots run: each second, and at once on SIGHUP.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use super::print;
use crate::bot::{
    Bots, Changed, Event, Events, Kind, Project,
    config::{self, Severity},
    reload::{Look, Watched},
    to_utc,
};

/// Files are looked at this often; an author sees the change within two seconds.
const PERIOD: Duration = Duration::from_secs(1);

/// Changed bots that wait to be taken; who looks at files waits when it is full.
pub(super) const TAKEN: usize = 16;

/// The files of the bots that run.
pub(super) struct Watch {
    files: Vec<Watched>,
    project: Arc<Project>,
    bots: Bots,
    events: Events,
    taken: mpsc::Sender<Changed>,
    hangup: Signal,
}

impl Watch {
    /// Watches the files of these bots of a project. What can be taken goes to `taken`.
    pub(super) fn new(
        (files, project): (Vec<Watched>, Arc<Project>),
        bots: Bots,
        events: Events,
        taken: mpsc::Sender<Changed>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            files,
            project,
            bots,
            events,
            taken,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Looks until shutdown.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let force = tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => false,
                _ = self.hangup.recv() => true,
            };
            let mut files = std::mem::take(&mut self.files);
            let (bots, project) = (self.bots.clone(), Arc::clone(&self.project));
            let all: Vec<PathBuf> = files.iter().map(|file| file.path().to_owned()).collect();
            // A large file takes its time to be checked.
            let looking = tokio::task::spawn_blocking(move || {
                let looks: Vec<(String, Look)> = files
                    .iter_mut()
                    .map(|file| {
                        let look = file.look(&bots, force, |path| config::load_among(&project, &all, path));
                        (file.bot().to_owned(), look)
                    })
                    .collect();
                (files, looks)
            });
            let Ok((files, looks)) = looking.await else { return };
            self.files = files;
            for (bot, look) in looks {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = self.tell(&bot, look) => {}
                }
            }
        }
    }

    async fn tell(&self, bot: &str, look: Look) {
        match look {
            Look::Same => {}
            Look::Changed(changed, warnings) => {
                for warning in &warnings {
                    print::talk(&warning.to_string());
                }
                // It is full or closed only while the bots end.
                let _ = self.taken.send(*changed).await;
            }
            Look::Wrong(findings) => {
                for finding in &findings {
                    print::talk(&finding.to_string());
                }
                let errors = findings
                    .iter()
                    .filter(|finding| finding.severity == Severity::Error);
                for finding in errors {
                    let mut event = Event::new(Kind::Error, to_utc(crate::clock::now()), bot);
                    event.reason = Some(format!(
                        "the changed file is not taken: {}",
                        finding.to_string().lines().next().unwrap_or_default()
                    ));
                    let _ = self.events.send(event).await;
                }
            }
        }
    }
}
