//! The whole request, measured: direct, through a plain TLS relay, a sketch that does the least (with and without a
//! signature), the peers, and the real `countersign proxy`; interleaved in one run, so that the ratios do not depend on the machine.
//!
//! It builds nothing; it needs `target/release/countersign` beside it. `benches/compare` builds both and installs the peers.

#![expect(clippy::print_stdout, reason = "a bench prints its tables")]

mod certificates;
mod client;
mod crowd;
mod floor;
mod lane;
mod measure;
mod multipart;
mod origin;
mod peers;
mod relay;
mod server;
mod soak;
mod stage;
mod table;
mod work;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum as _};

use crate::crowd::holder::Manner;
use crate::peers::Peer;
use crate::work::Work;

/// Measures countersign against direct TLS, the floor and its peers; prints a table of ratios.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// What to measure; everything if it is not said.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Work>,
    /// Peers to measure beside ours: those that are installed, if it is not said; none, if none is named.
    #[arg(long, value_delimiter = ',', num_args = 0..)]
    peers: Option<Vec<Peer>>,
    /// Interleaved rounds; the medians are printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Idle tunnels that are opened through each.
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
}

/// The processes that the bench starts of itself.
#[derive(Subcommand)]
enum Role {
    #[command(hide = true)]
    Origin,
    #[command(hide = true)]
    Relay { origin: u16, root: PathBuf },
    #[command(hide = true)]
    Floor { origin: u16, root: PathBuf },
    #[command(hide = true)]
    FloorSign { origin: u16, root: PathBuf },
    #[command(hide = true)]
    SoakOrigin,
    /// Connections by the thousand that want nothing, and a program among them: fails if it has to wait, or anything is left.
    #[command(hide = true)]
    Crowd,
    #[command(hide = true)]
    Hold { proxy: SocketAddr, number: u8, count: usize, manners: Vec<Manner> },
    /// A disk that is full, and then has room: nothing is lost. Fills the disk that it runs on.
    #[command(hide = true)]
    FullDisk,
    /// Mixed work for minutes: fails if the process grows, a request fails, or one is missing in the audit book.
    Soak {
        /// How long.
        #[arg(default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=soak::LONGEST))]
        minutes: u64,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut threads = match arguments.role {
        Some(Role::Floor { .. } | Role::FloorSign { .. }) => tokio::runtime::Builder::new_current_thread(),
        Some(
            Role::Origin
            | Role::Relay { .. }
            | Role::SoakOrigin
            | Role::Soak { .. }
            | Role::FullDisk
            | Role::Crowd
            | Role::Hold { .. },
        )
        | None => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = threads.enable_all().build().context("no runtime")?;
    runtime.block_on(async move {
        match arguments.role {
            Some(Role::Origin) => origin::serve().await,
            Some(Role::Relay { origin, root }) => relay::serve(origin, root).await,
            Some(Role::Floor { origin, root }) => floor::serve(origin, root, false).await,
            Some(Role::FloorSign { origin, root }) => floor::serve(origin, root, true).await,
            Some(Role::SoakOrigin) => soak::origin::serve().await,
            Some(Role::Crowd) => crowd::run().await,
            Some(Role::Hold { proxy, number, count, manners }) => {
                crowd::holder::hold(proxy, (number, count), &manners).await
            }
            Some(Role::FullDisk) => soak::full::run().await,
            Some(Role::Soak { minutes }) => soak::run(minutes).await,
            None => {
                let works = if arguments.only.is_empty() { Work::ALL.to_vec() } else { arguments.only };
                let peers = arguments.peers.unwrap_or_else(|| Peer::value_variants().to_vec());
                measure::Plan { works, peers, rounds: arguments.rounds, idle: arguments.idle }.run().await
            }
        }
    })
}
