//! `herald completions`: what a shell needs to complete herald's commands.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Herald, print};

/// Prints the completions of a shell, to be put where it looks for them
///
/// bash: `herald completions bash > ~/.local/share/bash-completion/completions/herald`
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub(super) fn execute(&self) {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Herald::command(), "herald", &mut script);
        print::line(String::from_utf8_lossy(&script).trim_end());
    }
}
