//! What people ask of the broadcasts of a rule: approve, pause, resume, cancel.

use super::{
    config::Rule,
    event::Kind,
    outbox,
    running::Running,
    store::{self, Gate},
};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brake {
    /// To let those out that await approval.
    Approve,
    /// To stop those that are under way.
    Pause,
    /// To let those go on that were paused.
    Resume,
    /// To end those that are not done.
    Cancel,
}

impl Brake {
    /// The brake of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "approve" => Self::Approve,
            "pause" => Self::Pause,
            "resume" => Self::Resume,
            "cancel" => Self::Cancel,
            _ => return None,
        })
    }

    /// What a broadcast must do for it, as the end of "no broadcast of `x` …".
    pub fn wanted(self) -> &'static str {
        match self {
            Self::Approve => "awaits approval",
            Self::Pause => "is under way",
            Self::Resume => "is paused",
            Self::Cancel => "can be cancelled",
        }
    }

    fn from(self) -> &'static [Gate] {
        match self {
            Self::Approve => &[Gate::Approval],
            Self::Pause => &[Gate::Open, Gate::Canary, Gate::Opening],
            Self::Resume => &[Gate::Paused],
            Self::Cancel => &[
                Gate::Open,
                Gate::Approval,
                Gate::Canary,
                Gate::Opening,
                Gate::Paused,
            ],
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Approve => Kind::Approved,
            Self::Pause => Kind::Paused,
            Self::Resume => Kind::Resumed,
            Self::Cancel => Kind::Cancelled,
        }
    }
}

impl Running {
    /// Does what somebody asks of the broadcasts of a rule. Gives those that moved, by the ids of their occurrences.
    pub(crate) async fn brake(&self, rule: &Rule, brake: Brake) -> Result<Vec<String>, store::Error> {
        let (to, reason) = match brake {
            Brake::Approve => (outbox::approved_gate(rule), None),
            Brake::Pause => (Gate::Paused, Some("somebody paused it".to_owned())),
            Brake::Resume => (Gate::Opening, None),
            Brake::Cancel => (Gate::Cancelled, None),
        };
        let place = (self.bot.name.as_str(), rule.name.as_str());
        let moved = self
            .store
            .move_gates(place, (brake.from(), to), reason.clone())
            .await?;
        for id in &moved {
            let mut event = self.event(brake.kind());
            event.rule = Some(rule.name.clone());
            event.key = Some(id.clone());
            event.reason.clone_from(&reason);
            self.tell(event).await;
        }
        self.to_guard.notify_one();
        Ok(moved)
    }
}
