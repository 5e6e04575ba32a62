//! What a valid file says is sent.

use crate::bot::expression::{Expression, Template};

/// One message of a rule, a welcome, or a reply.
#[derive(Debug, Clone)]
pub struct Part {
    /// `if`: the part is left out when its condition is false.
    pub condition: Option<Expression>,
    /// The text.
    pub template: Template,
}
