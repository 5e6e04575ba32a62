//! What people ask of the broadcasts of a rule: approve, pause, resume, cancel.

use super::{
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

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Braked {
    /// The file has no such rule.
    NoRule,
    /// These broadcasts moved, by the ids of their occurrences.
    Moved(Vec<String>),
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
    /// Does what somebody asks of the broadcasts of a rule.
    pub(crate) async fn brake(&self, rule: &str, brake: Brake) -> Result<Braked, store::Error> {
        let Some(rule) = self.bot.rules.get(rule) else {
            return Ok(Braked::NoRule);
        };
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
        Ok(Braked::Moved(moved))
    }
}
