//! From an occurrence to settled deliveries: plan, judge, seal once, publish, settle.
//!
//! Enters: recorded occurrences and answers (rows of the store). Leaves: each row settled with a reason. A row is sealed when
//! it is due, and the same bytes go out on every try; after an unknown outcome the topic is asked first. So a crash at any
//! point neither loses a row nor sends it twice.

mod callback;
mod denials;
mod digest;
mod files;
mod follow_up;
mod foresee;
mod gate;
mod judge;
mod plan;
mod publish;
pub(crate) mod render;
mod retry;
mod worker;

pub(crate) use callback::{call_back, call_back_once, give_up_others, replied};
pub(crate) use denials::follow_denials;
pub(crate) use follow_up::answered;
pub(crate) use foresee::{Foreseen, Step, foresee, foresee_steps};
pub(crate) use gate::{approved_gate, first_gate, guard, guard_once};
pub(crate) use judge::humane;
pub(crate) use plan::{evaluate_key, plan, plan_next};
pub(crate) use retry::wait as retry_wait;
pub(crate) use worker::{Error as DeliveryError, Worker, deliver};

/// What an error began with.
fn first_cause(error: &dyn std::error::Error) -> Option<&(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause| cause.source()).last()
}

/// An error and what caused it, in one line. What it tells of its causes by itself is not said again.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) {
            return text;
        }
        format!("{text}: {cause}")
    })
}
