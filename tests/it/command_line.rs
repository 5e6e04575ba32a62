//! The commands: what they print, what they leave on disk, and how they end.

#[cfg(test)]
mod check;
#[cfg(test)]
mod connect;
#[cfg(test)]
mod deliveries;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod guide;
#[cfg(test)]
mod help;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod new;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod running;

use std::path::Path;

use crate::harness::program::{Ended, finish, herald};

/// Runs a command in a folder.
async fn run(folder: &Path, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Ended {
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    finish(herald(folder, arguments.iter().copied(), &environment), input).await
}
