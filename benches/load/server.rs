//! A process of the bench: started, asked for its cost, ended.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// How long one may take to start.
const START: Duration = Duration::from_secs(30);

/// How long one may take to end: the grace for what runs, and the last records.
const END: Duration = Duration::from_secs(60);

/// A server, and the processes that it has started; ended when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) ports: Vec<u16>,
}

impl Server {
    /// One of our own roles, which says its ports and leaves its root in `root`.
    pub(crate) async fn role(arguments: &[&str], root: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).env("LOAD_ROOT", root);
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line).await?;
        let ports = line.split_whitespace().map(str::parse).collect::<Result<Vec<u16>, _>>()?;
        ensure!(!ports.is_empty(), "{arguments:?} did not start");
        Ok(Self { child, ports })
    }

    /// Another program, which listens on `port` when it is ready. What it says goes to `log`.
    pub(crate) async fn other(mut command: Command, port: u16, log: PathBuf) -> anyhow::Result<Self> {
        let file = std::fs::File::create(&log)?;
        command.stdout(file.try_clone()?).stderr(file).stdin(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            ensure!(child.try_wait()?.is_none() && begun.elapsed() < START, "it did not start, see {}", log.display());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { child, ports: vec![port] })
    }

    /// User and system time so far, in seconds (proc_pid_stat(5): fields 14 and 15, in hundredths of a second).
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let mut sum = 0.0;
        for process in self.processes()? {
            let fields = stat(process)?;
            let ticks: Vec<f64> =
                fields.iter().skip(11).take(2).map(|field| field.parse()).collect::<Result<_, _>>()?;
            sum += ticks.iter().sum::<f64>() / 100.0;
        }
        Ok(sum)
    }

    /// Resident memory now, in bytes.
    pub(crate) fn rss(&self) -> anyhow::Result<f64> {
        self.memory("VmRSS:")
    }

    /// The most resident memory since [`Server::forget_peak`], in bytes.
    pub(crate) fn peak_rss(&self) -> anyhow::Result<f64> {
        self.memory("VmHWM:")
    }

    /// Begins to look for the peak anew (proc(5), `clear_refs`).
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        for process in self.processes()? {
            std::fs::write(format!("/proc/{process}/clear_refs"), "5")?;
        }
        Ok(())
    }

    /// Open files now.
    pub(crate) fn files(&self) -> anyhow::Result<f64> {
        let counts =
            self.processes()?.into_iter().map(|process| Ok(std::fs::read_dir(format!("/proc/{process}/fd"))?.count()));
        Ok(counts.sum::<std::io::Result<usize>>()? as f64)
    }

    /// Threads now.
    pub(crate) fn threads(&self) -> anyhow::Result<f64> {
        let counts = self
            .processes()?
            .into_iter()
            .map(|process| Ok(std::fs::read_dir(format!("/proc/{process}/task"))?.count()));
        Ok(counts.sum::<std::io::Result<usize>>()? as f64)
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn end(&mut self) -> anyhow::Result<ExitStatus> {
        let process = self.child.id().context("it has ended")?.cast_signed();
        kill_process(Pid::from_raw(process).context("a process")?, Signal::TERM)?;
        tokio::time::timeout(END, self.child.wait()).await.context("it does not end")?.context("a child of ours")
    }

    fn memory(&self, name: &str) -> anyhow::Result<f64> {
        let mut sum = 0.0;
        for process in self.processes()? {
            let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
            sum += line.trim().trim_end_matches(" kB").trim().parse::<f64>()? * 1024.0;
        }
        Ok(sum)
    }

    /// Itself and its descendants.
    fn processes(&self) -> anyhow::Result<Vec<u32>> {
        let mut parents = Vec::new();
        for entry in std::fs::read_dir("/proc")? {
            let Some(process) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            // One that has ended meanwhile is no cost.
            if let Ok(fields) = stat(process) {
                parents.push((process, fields.get(1).and_then(|field| field.parse().ok()).unwrap_or(0)));
            }
        }
        let mut found = vec![self.child.id().context("it has ended")?];
        let mut next = 0;
        while next < found.len() {
            let of: u32 = found[next];
            found.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(process, _)| *process));
            next += 1;
        }
        Ok(found)
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The fields of a stat line behind the name, from the third on.
fn stat(process: u32) -> anyhow::Result<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("a stat line")?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}
