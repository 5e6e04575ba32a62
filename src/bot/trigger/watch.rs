//! `watch`: a value that is read again and again, of each member of a list or by itself, and fires when it crosses a line.
//!
//! Thresholds are edges: the one that fired fires again only after it was cleared.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::bot::{
    expression::{EvaluationError, Expression, Scope, Value},
    store::Watched,
};

/// What is watched, and when it fires.
#[derive(Debug, Clone)]
pub struct Watch {
    /// The value.
    pub value: Expression,
    /// What it is read for; none for a value of its own.
    pub each: Option<Each>,
    /// How often it is read; at least one second.
    pub every: Duration,
    /// When it fires.
    pub edge: Edge,
    /// How long every reading must say so before it fires.
    pub patience: Duration,
    /// What it was declared as: another declaration begins anew.
    pub text: String,
}

/// What a value is read for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Each {
    /// Each member of the list of this name: `sub`.
    List(String),
    /// Each row of the table of this name: `row`.
    Table(String),
}

/// What fires.
#[derive(Debug, Clone)]
pub enum Edge {
    /// A condition over `value` begins to hold.
    Crosses {
        /// The condition.
        holds: Box<Expression>,
        /// What clears it; that it holds no more unless said otherwise.
        clears: Option<Box<Expression>>,
    },
    /// The value is not what it was. It needs no clearing.
    Changes,
}

/// What a reading says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    holds: bool,
    is_cleared: bool,
}

/// What follows from a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Stays,
    /// The rule fires, for the time of this number.
    Fires(u32),
    /// The edge of this number is cleared.
    Clears(u32),
}

impl Watch {
    /// What a value says where `scope` has it as `value`.
    pub(super) fn read(&self, scope: &Scope, state: &Watched) -> Result<Reading, EvaluationError> {
        match &self.edge {
            Edge::Crosses { holds, clears } => {
                let judge = |condition: &Expression| {
                    let value = condition.evaluate(scope);
                    value.map(|value| value.is_truthy())
                };
                let holds = judge(holds)?;
                let is_cleared = clears.as_deref().map_or(Ok(!holds), judge)?;
                Ok(Reading { holds, is_cleared })
            }
            Edge::Changes => {
                let now = scope.get("value").map(|value| value.to_json().to_string());
                let before = state.value.as_ref();
                Ok(Reading {
                    holds: before.is_some_and(|before| now.as_ref() != Some(before)),
                    is_cleared: true,
                })
            }
        }
    }

    /// Moves a subject on by a reading of `now`.
    pub(super) fn step(
        &self,
        state: &mut Watched,
        reading: Reading,
        (value, now): (&Value, DateTime<Utc>),
    ) -> Step {
        if matches!(self.edge, Edge::Changes) {
            state.value = Some(value.to_json().to_string());
            if reading.holds {
                state.edges = state.edges.saturating_add(1);
                return Step::Fires(state.edges);
            }
            return Step::Stays;
        }
        if state.fired {
            if !reading.is_cleared {
                return Step::Stays;
            }
            (state.fired, state.since) = (false, None);
            return Step::Clears(state.edges);
        }
        if !reading.holds {
            state.since = None;
            return Step::Stays;
        }
        let since = *state.since.get_or_insert(now);
        let patience = TimeDelta::from_std(self.patience).unwrap_or(TimeDelta::MAX);
        if now - since < patience {
            return Step::Stays;
        }
        state.fired = true;
        state.edges = state.edges.saturating_add(1);
        Step::Fires(state.edges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bot::expression::{Names, Type};

    fn names() -> Names {
        [("value", Type::Decimal)].into_iter().collect()
    }

    fn expression(text: &str) -> Expression {
        Expression::parse(text, &names()).unwrap()
    }

    fn watch(edge: Edge, patience: u64) -> Watch {
        Watch {
            value: expression("value"),
            each: None,
            every: Duration::from_secs(30),
            edge,
            patience: Duration::from_secs(patience),
            text: String::new(),
        }
    }

    /// What follows from readings, `every` apart.
    fn steps(watch: &Watch, readings: &[&str]) -> Vec<Step> {
        let (mut state, mut now) = (Watched::default(), DateTime::<Utc>::default());
        let steps = readings.iter().map(|reading| {
            let value = Type::Decimal.read_text(reading).unwrap();
            let scope = [("value", value.clone())].into_iter().collect();
            let reading = watch.read(&scope, &state).unwrap();
            let step = watch.step(&mut state, reading, (&value, now));
            now += watch.every;
            step
        });
        steps.collect()
    }

    fn below(clear: Option<&str>) -> Edge {
        Edge::Crosses {
            holds: Box::new(expression("value < 1.1")),
            clears: clear.map(expression).map(Box::new),
        }
    }

    #[test]
    fn an_edge_fires_once_until_it_is_cleared() {
        use Step::{Clears, Fires, Stays};
        let watch = watch(below(Some("value >= 1.15")), 0);
        let readings = ["1.2", "1.05", "1.0", "1.12", "1.09", "1.15", "1.1", "1.09"];
        assert_eq!(
            steps(&watch, &readings),
            [Stays, Fires(1), Stays, Stays, Stays, Clears(1), Stays, Fires(2)]
        );
    }

    #[test]
    fn a_subject_first_seen_beyond_the_line_fires_and_without_clear_the_line_itself_clears() {
        use Step::{Clears, Fires};
        let watch = watch(below(None), 0);
        assert_eq!(steps(&watch, &["1", "1.1", "1"]), [Fires(1), Clears(1), Fires(2)]);
    }

    #[test]
    fn patience_needs_every_reading_of_its_span() {
        use Step::{Fires, Stays};
        let watch = watch(below(None), 60);
        assert_eq!(
            steps(&watch, &["1", "1", "1", "1"]),
            [Stays, Stays, Fires(1), Stays]
        );
        assert_eq!(steps(&watch, &["1", "1", "2", "1", "1"]), [Stays; 5]);
    }

    #[test]
    fn a_change_fires_each_time_and_the_first_reading_is_none() {
        use Step::{Fires, Stays};
        let watch = watch(Edge::Changes, 0);
        assert_eq!(
            steps(&watch, &["1", "1", "2", "1", "1"]),
            [Stays, Stays, Fires(1), Fires(2), Stays]
        );
    }
}
