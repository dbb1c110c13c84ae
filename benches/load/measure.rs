//! The run: everything started, the workloads in interleaved rounds, the table at the end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::lane::{Lane, Placeholder};
use crate::peers::{Ground, Peer};
use crate::server::{Server, free_port};
use crate::stage;
use crate::table::Table;
use crate::work::Work;

/// How long our binary may take to start.
const START: Duration = Duration::from_secs(15);

/// How long one workload may take on one lane. A peer that hangs must not take the others' figures with it.
const LONGEST: Duration = Duration::from_secs(90);

/// What is to be measured.
pub(crate) struct Plan {
    pub(crate) works: Vec<Work>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) rounds: usize,
    /// Idle tunnels.
    pub(crate) idle: usize,
}

impl Plan {
    /// Starts everything, measures, prints the tables.
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        let folder = folder("load")?;
        let origin_root = folder.join("origin.pem");
        let origin = Server::role(&["origin"], &origin_root).await?;
        for work in &self.works {
            // Processes of its own for each: memory that another one had left behind would be among the figures.
            let lanes = self.lanes(&folder, (&origin, &origin_root)).await?;
            self.measure(*work, &lanes).await?.print();
        }
        Ok(())
    }

    async fn measure(&self, work: Work, lanes: &[Lane]) -> anyhow::Result<Table> {
        let mut table = Table::new(work.title(), lanes.iter().map(|lane| lane.name.clone()).collect());
        let rounds = work.rounds(self.rounds);
        for round in 1..=rounds {
            for (row, lane) in lanes.iter().enumerate() {
                if table.has_failed(row) {
                    continue;
                }
                eprintln!("{work:?}, round {round} of {rounds}: {}", lane.name);
                let measured = tokio::time::timeout(LONGEST, work.measure(lane, self.idle)).await;
                let late = || anyhow::anyhow!("not done after {} s", LONGEST.as_secs());
                match measured.unwrap_or_else(|_| Err(late())) {
                    Ok(figures) => table.add(row, &figures),
                    // A peer that gives up is a figure, too, and is not asked again; ours must not.
                    Err(error) if lane.name != OURS => {
                        eprintln!("{}: {error:#}", lane.name);
                        table.failed(row, &format!("{error:#}"));
                    }
                    Err(error) => return Err(error).context(OURS),
                }
            }
        }
        Ok(table)
    }

    async fn lanes(&self, folder: &Path, (origin, root): (&Server, &Path)) -> anyhow::Result<Vec<Lane>> {
        let port = origin.ports[0];
        let mut lanes = vec![Lane::direct(port, root)?];
        for (name, role) in [("plain TLS relay", "relay"), ("floor", "floor"), (FLOOR, "floor-sign")] {
            let own = folder.join(role).with_extension("pem");
            let server = Server::role(&[role, &port.to_string(), path(root)?], &own).await?;
            lanes.push(Lane::through(name, (server, true), &own)?);
        }
        for peer in &self.peers {
            let own = emptied(&folder.join(peer.name().replace(|c: char| !c.is_ascii_alphanumeric(), "")))?;
            let ground = Ground { folder: own, origin: (port, root) };
            let server = match peer.start(&ground).await {
                Ok(server) => server,
                Err(error) => {
                    eprintln!("{} is left out: {error:#}", peer.name());
                    continue;
                }
            };
            lanes.push(Lane::through(peer.name(), (server, peer.is_forward()), &ground.folder.join("root.pem"))?);
        }
        lanes.push(countersign(&emptied(&folder.join("countersign"))?, (origin, root)).await?);
        for lane in &lanes {
            let signs = SIGNERS.contains(&lane.name.as_str());
            ensure!(lane.is_countersigned().await? == signs, "whether {} signs is not as the table says", lane.name);
        }
        Ok(lanes)
    }
}

/// As it stands in the table.
const OURS: &str = "**countersign**";

/// As the floor stands there that signs.
const FLOOR: &str = "floor, signing";

/// Those that sign; the origin is asked whether that is so.
const SIGNERS: [&str; 3] = [FLOOR, Peer::EnvoySigning.name(), OURS];

/// An empty folder for everything that is left behind.
pub(crate) fn folder(name: &str) -> anyhow::Result<PathBuf> {
    emptied(&PathBuf::from(std::env::var("CARGO_TARGET_TMPDIR").unwrap_or_else(|_| "target/tmp".into())).join(name))
}

/// `folder` without what an earlier run left there.
fn emptied(folder: &Path) -> anyhow::Result<PathBuf> {
    // There may be nothing.
    let _gone = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder)?;
    Ok(folder.canonicalize()?)
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path in UTF-8")
}

/// The real binary, with the variables that it leaves for programs.
pub(crate) async fn countersign(folder: &Path, (origin, root): (&Server, &Path)) -> anyhow::Result<Lane> {
    stage::pod_token(&folder.join("jwks.json"), &folder.join("token"))?;
    let port = free_port()?;
    let config = stage::config(folder, port, (origin.ports[0], origin.ports[1]), root)?;
    let binary = std::env::current_exe()?.with_file_name("countersign");
    ensure!(binary.exists(), "{} is not built: cargo build --release", binary.display());
    let mut command = Command::new(binary);
    command.args(["proxy", "--config"]).arg(config);
    let server = Server::other(command, port, folder.join("countersign.log")).await?;
    let file = folder.join("proxy/program.env");
    let begun = Instant::now();
    while !file.exists() {
        ensure!(begun.elapsed() < START, "countersign did not start");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let text = std::fs::read_to_string(&file)?;
    let of = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(&format!("export {name}='")));
        value.map(|value| value.trim_end_matches('\'')).with_context(|| format!("program.env has no {name}"))
    };
    let placeholder = Placeholder::new(of("AWS_ACCESS_KEY_ID")?, of("AWS_SECRET_ACCESS_KEY")?);
    Ok(Lane::through(OURS, (server, true), &folder.join("proxy/ca.pem"))?.signed(placeholder))
}
