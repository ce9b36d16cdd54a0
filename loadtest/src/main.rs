//! The load tester's program.

#![warn(clippy::unwrap_used)]

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kuota_loadtest::cli::main().into()
}
