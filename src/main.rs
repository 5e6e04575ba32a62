//! The `herald` command: parse, run, exit code.

use std::process::ExitCode;

/// Half of what a node does beside its store is to make and drop small things, many on another thread than they were made on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    herald::cli::main()
}
