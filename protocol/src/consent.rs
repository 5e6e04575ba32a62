//! Consent: whom a wallet allows to write to it.
//!
//! ```text
//!  identity key ─▶ Preferences (topic, secret) ─ seal / open ─▶ PreferencesAction ─ apply ─▶ ConsentList
//!  a reader's wallet ──signs──▶ ConsentProof ─ in an invitation ─ verify ─▶ allow
//! ```
//!
//! The log of actions is published, sealed to its own writer; its replay in the order of time is the list.

mod list;
mod preferences;
mod proof;

pub use list::{ConsentList, ConsentState};
pub use preferences::{Permission, Preferences, PreferencesAction, Subject};
pub use proof::{ConsentProof, consent_proof_text};
