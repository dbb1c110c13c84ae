//! The whole request, measured: direct, through a plain TLS relay, and through the real `countersign proxy`, interleaved in
//! one run, so that the ratios do not depend on the machine.
//!
//! `cargo run --release -p countersign-benches --bin load` builds nothing but ours; it needs `target/release/countersign`.

#![expect(clippy::print_stdout, reason = "a bench prints its table, and its roles their ports")]

mod client;
mod measure;
mod origin;
mod relay;
mod stage;

use std::process::ExitCode;

use anyhow::Context as _;

fn main() -> ExitCode {
    let role = std::env::args().nth(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ran = runtime.context("no runtime").and_then(|runtime| match role.as_deref() {
        Some("origin") => runtime.block_on(origin::serve()),
        Some("relay") => runtime.block_on(relay::serve()),
        Some(other) => anyhow::bail!("no role {other:?}; roles are origin and relay, without one the bench runs"),
        None => runtime.block_on(measure::run()),
    });
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
