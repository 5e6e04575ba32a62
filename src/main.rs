//! The `herald` command: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    herald::cli::main()
}
