//! A full disk: the sidecar goes on as long as it can remember what it did, then refuses, and loses nothing. It is run by
//! `benches/full-disk` on a small disk of its own.

use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use super::book::Book;
use crate::client::Connection;
use crate::lane::Lane;
use crate::measure::{countersign, folder};
use crate::server::Server;
use crate::stage::HOST;

/// More than the sidecar can remember.
const MOST: u64 = 100_000;

/// How long it may take to notice that there is room again: it looks every ten seconds.
const RECOVERS: Duration = Duration::from_secs(20);

/// Requests while there is room.
const SOME: u64 = 500;

/// What a refusal must say.
const REASON: &str = "access records are not being stored";

/// Fills the disk, empties it, and looks whether all that was done stands in the book.
pub(crate) async fn run() -> anyhow::Result<()> {
    let folder = folder("full-disk")?;
    let root = folder.join("origin.pem");
    let origin = Server::role(&["soak-origin"], &root).await?;
    let mut lane = countersign(&folder, (&origin, &root)).await?;
    let mut server = lane.server.take().expect("the real binary is a process");
    let connection = lane.route.connect(HOST).await?;
    let mut program = Program { lane, connection, answered: 0 };
    for _ in 0..SOME {
        ensure!(program.get().await?.is_none(), "refused with room on the disk");
    }

    let ballast = folder.join("ballast");
    fill(&ballast)?;
    let refusal = loop {
        ensure!(program.answered < MOST, "nothing is refused on a full disk");
        if let Some(refusal) = program.get().await? {
            break refusal;
        }
    };
    ensure!(refusal.contains(REASON), "the refusal does not say why: {refusal}");
    println!("full: {} requests were answered, then the first was refused: {REASON}", program.answered);

    std::fs::remove_file(&ballast)?;
    let begun = Instant::now();
    while program.get().await?.is_some() {
        ensure!(begun.elapsed() < RECOVERS, "refused after there was room again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("room again: answered after {:.1} s", begun.elapsed().as_secs_f64());
    for _ in 0..SOME {
        ensure!(program.get().await?.is_none(), "refused with room on the disk");
    }
    ensure!(server.end().await?.success(), "countersign did not end in order");
    recorded(&folder, program.answered).await
}

async fn recorded(folder: &Path, answered: u64) -> anyhow::Result<()> {
    let binary = std::env::current_exe()?.with_file_name("countersign");
    let book = Book { binary: &binary, config: &folder.join("countersign.yaml") };
    // Refused ones may be missing: the book was full. It is verified on the way.
    book.requests().await?;
    let told = book.search("call.countersigned").await?.len() as u64;
    println!("{told} of {answered} answered requests stand in the audit book, whose chain is whole");
    ensure!(told == answered, "records are lost");
    Ok(())
}

/// Whoever asks, and how often it was answered.
struct Program {
    lane: Lane,
    connection: Connection,
    answered: u64,
}

impl Program {
    /// One request. What it is refused with, if it is.
    async fn get(&mut self) -> anyhow::Result<Option<String>> {
        match self.connection.status(&self.lane.resigned().get(HOST)).await? {
            200 => self.answered += 1,
            503 => return Ok(Some(self.connection.text().into_owned())),
            status => bail!("answered with {status}: {}", self.connection.text()),
        }
        Ok(None)
    }
}

/// Writes until nothing more fits, not a byte.
fn fill(path: &Path) -> anyhow::Result<()> {
    let mut file = std::fs::File::create(path)?;
    for size in [1 << 20, 4096, 1] {
        let piece = vec![0; size];
        loop {
            match file.write(&piece) {
                Ok(_) => {}
                Err(full) if full.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
