//! A crowd: 20,000 connections that want nothing, at the limits that the real binary has by default, and a program among them
//! that works. It fails if that one has to wait, if a connection outstays its time, or if anything is left when they are gone.

pub(crate) mod holder;
mod program;

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::measure::{countersign, folder};
use crate::server::Server;
use holder::{Holder, Manner};
use program::Program;

/// Connections altogether: twice the places that there are.
const CROWD: usize = 20_000;

/// Processes that hold them. One may not have so many files.
const HOLDERS: usize = 4;

/// How long the program may wait at the most. Whoever connects while the kernel's queue is full tries again after a second,
/// and then after two more.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// How long connections that want nothing may stay: `head_timeout`, and what it takes to end so many.
const STAY: Duration = Duration::from_secs(25);

/// How long it may take to forget those that are gone.
const FORGETS: Duration = Duration::from_secs(10);

/// Files that may be open more than before: connections to the origin that are kept.
const FILES: f64 = 16.0;

/// Memory that a place may take at the most. What a crowd took stays with the allocator, for the next one.
const PLACE: f64 = 48.0 * 1024.0;

/// Memory that those may leave who come one after the other: whatever leaks, leaks by their number.
const LEFT: f64 = 4.0 * 1024.0 * 1024.0;

/// Places that there are by default (`proxy.limits.connections`), and files besides: the store, the log, the way upstream.
const PLACES: f64 = 10_000.0;
const BESIDES: f64 = 300.0;

/// What wants nothing, and whether it waits to be ended or leaves by itself.
const CROWDS: [(&str, &[Manner], bool); 4] = [
    ("silent, with half a head, in silent tunnels; they wait", &Manner::ALL, true),
    ("in silent tunnels; they wait", &[Manner::Tunnel], true),
    ("in silent tunnels; they leave", &[Manner::Tunnel], false),
    ("silent, with half a head, in silent tunnels; they leave", &Manner::ALL, false),
];

/// How long those stay that leave by themselves.
const VISIT: Duration = Duration::from_secs(3);

/// Lets crowds come and go, and says what came of it.
pub(crate) async fn run() -> anyhow::Result<()> {
    let folder = folder("crowd")?;
    let root = folder.join("origin.pem");
    let origin = Server::role(&["origin"], &root).await?;
    let mut lane = countersign(&folder, (&origin, &root)).await?;
    let server = lane.server.take().context("the real binary is a process")?;
    let scene = Scene { server, program: Program::new(lane) };

    let (waits, ()) = scene.program.works_while(sleeping(VISIT)).await?;
    let quiet = scene.look()?;
    println!("alone: {waits}; {quiet}");
    let mut wrong = Vec::new();
    for (name, manners, waits) in CROWDS {
        println!("{CROWD} connections, {name}");
        wrong.extend(scene.crowd(manners, waits).await?.into_iter().map(|what| format!("{name}: {what}")));
        println!("  gone: {}", scene.forgotten(&quiet).await?);
    }
    let before = scene.look()?;
    holder::pass_by(scene.program.proxy(), CROWD).await?;
    let after = scene.forgotten(&quiet).await?;
    println!("{CROWD} connections one after the other: {before} before, {after} after");
    if after.rss - before.rss > LEFT {
        wrong.push("connections that came one after the other left memory behind".to_owned());
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

async fn sleeping(long: Duration) -> anyhow::Result<()> {
    tokio::time::sleep(long).await;
    Ok(())
}

/// Where crowds come and go.
struct Scene {
    server: Server,
    program: Program,
}

/// What is there of the process.
struct Look {
    files: f64,
    rss: f64,
}

impl Scene {
    /// One crowd. What was wrong, in words.
    async fn crowd(&self, manners: &[Manner], they_wait: bool) -> anyhow::Result<Vec<String>> {
        let (begun, before) = (Instant::now(), self.server.cpu_seconds()?);
        let happening = async {
            let mut holders = Vec::new();
            for number in 0..HOLDERS {
                holders.push(Holder::start(self.program.proxy(), (number, CROWD / HOLDERS), manners)?);
            }
            let mut ended = 0;
            for holder in &mut holders {
                ended += holder.opened().await?;
            }
            let here = self.look()?;
            println!("  opened in {:.1} s, {ended} of them ended by then; {here}", begun.elapsed().as_secs_f64());
            let mut longest = Duration::ZERO;
            if they_wait {
                for holder in &mut holders {
                    longest = longest.max(holder.ended().await?);
                }
                println!("  all were ended, none stayed longer than {:.1} s", longest.as_secs_f64());
            } else {
                sleeping(VISIT).await?;
            }
            anyhow::Ok((here, longest))
        };
        let (waits, (here, longest)) = self.program.works_while(happening).await?;
        println!("  among them: {waits}; {:.1} s of processor time", self.server.cpu_seconds()? - before);

        let mut wrong = Vec::new();
        if here.files > PLACES + BESIDES {
            wrong.push(format!("{} files for {PLACES} places", here.files));
        }
        if here.rss > PLACES * PLACE {
            wrong.push(format!("RSS {:.0} MiB", here.rss / f64::from(1 << 20)));
        }
        if longest > STAY {
            wrong.push(format!("a connection that wanted nothing stayed {:.1} s", longest.as_secs_f64()));
        }
        if waits.longest() > LONGEST_WAIT {
            wrong.push(format!("a request waited {:.1} s", waits.longest().as_secs_f64()));
        }
        Ok(wrong)
    }

    /// Looks when they are gone, which it has to notice.
    async fn forgotten(&self, quiet: &Look) -> anyhow::Result<Look> {
        let begun = Instant::now();
        loop {
            let now = self.look()?;
            if now.files <= quiet.files + FILES {
                return Ok(now);
            }
            ensure!(begun.elapsed() < FORGETS, "files are left: {} before, {} after", quiet.files, now.files);
            sleeping(Duration::from_millis(100)).await?;
        }
    }

    fn look(&self) -> anyhow::Result<Look> {
        Ok(Look { files: self.server.files()?, rss: self.server.rss()? })
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files open, RSS {:.1} MiB", self.files, self.rss / f64::from(1 << 20))
    }
}
