//! Where a delivery stands, and which message of its rule it is.

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for its turn.
    Planned,
    /// Waits for a reason that is named, until a time that is named.
    Held,
    /// Its bytes are fixed and go out.
    Sealed,
    /// A node acknowledged it.
    Delivered,
    /// It cannot be sent.
    Rejected,
    /// Its time passed.
    Expired,
    /// A rule of its recipient or its author says not to send it.
    Skipped,
}

impl State {
    /// The word in the store, in events and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Held => "held",
            Self::Sealed => "sealed",
            Self::Delivered => "delivered",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Skipped => "skipped",
        }
    }

    /// The state of a word.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [
            Self::Planned,
            Self::Held,
            Self::Sealed,
            Self::Delivered,
            Self::Rejected,
            Self::Expired,
            Self::Skipped,
        ];
        all.into_iter().find(|state| state.as_str() == word)
    }
}

/// Which message of a rule: one of its own (step 0), or of its follow-ups, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageNumber(u32);

impl MessageNumber {
    /// The messages of one step.
    pub(in crate::bot::store) const PER_STEP: u32 = 256;

    /// The `number`-th message of a step, from 0.
    pub fn of(step: u32, number: u32) -> Self {
        Self(
            step.saturating_mul(Self::PER_STEP)
                .saturating_add(number % Self::PER_STEP),
        )
    }

    /// 0 for the rule's own messages, else the number of the follow-up.
    pub fn step(self) -> u32 {
        self.0 / Self::PER_STEP
    }

    /// Which of the messages of its step, from 0.
    pub fn number(self) -> usize {
        usize::try_from(self.0 % Self::PER_STEP).unwrap_or(usize::MAX)
    }
}

impl rusqlite::ToSql for MessageNumber {
    fn to_sql(&self) -> Result<rusqlite::types::ToSqlOutput<'_>, rusqlite::Error> {
        Ok(self.0.into())
    }
}

impl rusqlite::types::FromSql for MessageNumber {
    fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        u32::column_result(value).map(Self)
    }
}
