//! What the token of a publish costs a node that has seen it before.

use std::path::Path;

use futures::FutureExt as _;
use herald_node::TokenCheck;
use herald_protocol::token;

use crate::{
    Error,
    figure::{self, Figure, Round, Target},
    node::runtime,
    people,
};

/// Microseconds a check, of a token among a thousand; in the floor's place the 5 it may take.
pub(crate) fn node_token(_: &Path) -> Result<Figure, Error> {
    let runtime = runtime("node")?;
    let check = TokenCheck::new(herald::clock::now);
    let now = herald::clock::now();
    let tokens = people::each(TOKENS, |number| {
        Ok(token::bearer(&people::identity(number)?, now)?)
    })?;
    for token in &tokens {
        if !runtime.block_on(check.admits(token.as_bytes())) {
            return Err("a good token was refused".into());
        }
    }
    let mut turns = tokens.iter().cycle();
    let mut again = || {
        let token = turns.next().ok_or("there are tokens")?;
        // A known token needs no waiting.
        match check.admits(token.as_bytes()).now_or_never() {
            Some(true) => Ok(()),
            _ => Err("a known token was not admitted at once".into()),
        }
    };
    let rounds = (0..ROUNDS)
        .map(|_| {
            Ok(Round {
                subject: figure::mean(CHECKS, &mut again)?,
                floor: MOST_MICROS,
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(Figure::of_rounds("us", &rounds, Target::AtMost(1.0)))
}

const MOST_MICROS: f64 = 5.0;
const TOKENS: u32 = 1_000;
const CHECKS: u32 = 1_000;
const ROUNDS: usize = 1_000;
