//! What a YAML file declares.

pub mod expression;
