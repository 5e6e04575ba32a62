//! What a YAML file declares.

pub mod audience;
pub mod config;
pub mod dialog;
pub mod expression;
pub mod trigger;
