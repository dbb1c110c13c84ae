//! What is measured, and the table: three interleaved rounds over three routes, medians, ratios.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio_rustls::TlsConnector;

use crate::client::Route;
use crate::stage::{self, HOST};

const ROUNDS: usize = 3;
const SMALL_REQUESTS: usize = 4_000;
const CONNECTIONS: usize = 64;
const CROWD: Duration = Duration::from_secs(4);
const UPLOAD: u64 = 1 << 30;

/// How long the binary may take to start.
const START: Duration = Duration::from_secs(15);

/// A process of the bench; ended when dropped.
struct Server {
    child: Child,
    ports: Vec<u16>,
}

/// One way to the origin, with the requests as they are written there.
struct Lane {
    name: &'static str,
    route: Route,
    get: Vec<u8>,
    put: Vec<u8>,
    /// The process whose cost is counted besides the origin's and ours.
    process: Option<u32>,
}

/// The figures of one lane in one round.
#[derive(Clone, Copy)]
struct Figures {
    p50_us: f64,
    p99_us: f64,
    requests_per_s: f64,
    cpu_us_per_request: f64,
    upload_mb_per_s: f64,
    cpu_s_per_gb: f64,
}

/// Starts everything, measures, prints the table.
pub(crate) async fn run() -> anyhow::Result<()> {
    let folder =
        PathBuf::from(std::env::var("CARGO_TARGET_TMPDIR").unwrap_or_else(|_| "target/tmp".into())).join("load");
    // Whatever an earlier run left; there may be nothing.
    let _gone = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;

    let (origin_root, relay_root) = (folder.join("origin.pem"), folder.join("relay.pem"));
    let origin = serve(&["origin"], &origin_root, 2).await?;
    let relay_arguments = ["relay", &origin.ports[0].to_string(), origin_root.to_str().context("a path in UTF-8")?];
    let relay = serve(&relay_arguments, &relay_root, 1).await?;
    let (countersign, environment) = countersign(&folder, &origin, &origin_root).await?;

    let lanes = [
        lane("direct", &origin, &origin_root, None)?,
        lane("plain TLS relay", &relay, &relay_root, None)?,
        lane("countersign", &countersign, &folder.join("proxy/ca.pem"), Some(&environment))?,
    ];
    let mut rounds: Vec<Vec<Figures>> = lanes.iter().map(|_| Vec::new()).collect();
    for round in 1..=ROUNDS {
        for (lane, figures) in lanes.iter().zip(&mut rounds) {
            eprintln!("round {round} of {ROUNDS}: {}", lane.name);
            figures.push(measure(lane).await.with_context(|| lane.name)?);
        }
    }
    print(&lanes, &rounds);
    println!("\npeak RSS of countersign: {:.1} MiB", peak_rss_mib(countersign.child.id().context("it runs")?)?);
    Ok(())
}

async fn serve(arguments: &[&str], root: &Path, ports: usize) -> anyhow::Result<Server> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).env("LOAD_ROOT", root);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line).await?;
    let found = line.split_whitespace().map(str::parse).collect::<Result<Vec<u16>, _>>()?;
    anyhow::ensure!(found.len() == ports, "{arguments:?} did not start");
    Ok(Server { child, ports: found })
}

/// The real binary, with the variables that it leaves for programs.
async fn countersign(folder: &Path, origin: &Server, origin_root: &Path) -> anyhow::Result<(Server, Environment)> {
    stage::pod_token(&folder.join("jwks.json"), &folder.join("token"))?;
    let config = stage::config(folder, origin.ports[0], origin.ports[1], origin_root)?;
    let binary = std::env::current_exe()?.with_file_name("countersign");
    anyhow::ensure!(binary.exists(), "{} is not built: cargo build --release", binary.display());
    let child = Command::new(binary).args(["proxy", "--config"]).arg(config).kill_on_drop(true).spawn()?;
    let file = folder.join("proxy/program.env");
    let begun = Instant::now();
    while !file.exists() {
        anyhow::ensure!(begun.elapsed() < START, "countersign did not start");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let environment = Environment::read(&file)?;
    let port = environment.of("HTTPS_PROXY")?.rsplit(':').next().context("a port")?.trim_end_matches('/').parse()?;
    Ok((Server { child, ports: vec![port] }, environment))
}

/// The variables of `program.env`.
struct Environment(Vec<(String, String)>);

impl Environment {
    fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)?;
        let lines = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        Ok(Self(lines.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect()))
    }

    fn of(&self, name: &str) -> anyhow::Result<&str> {
        let found = self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        found.with_context(|| format!("program.env has no {name}"))
    }
}

fn lane(name: &'static str, server: &Server, root: &Path, signed: Option<&Environment>) -> anyhow::Result<Lane> {
    let tls = TlsConnector::from(stage::client_tls(root)?);
    let address = ([127, 0, 0, 1], server.ports[0]).into();
    let write = |method: &str, length: Option<u64>| match signed {
        Some(environment) => {
            let keys = (environment.of("AWS_ACCESS_KEY_ID")?, environment.of("AWS_SECRET_ACCESS_KEY")?);
            anyhow::Ok(stage::signed_request(method, length, keys))
        }
        None => Ok(stage::request(method, length, "")),
    };
    let process = if name == "direct" { None } else { server.child.id() };
    let route = Route { address, tunnel: name != "direct", tls };
    Ok(Lane { name, route, get: write("GET", None)?, put: write("PUT", Some(UPLOAD))?, process })
}

async fn measure(lane: &Lane) -> anyhow::Result<Figures> {
    let mut connection = lane.route.connect().await?;
    for _ in 0..SMALL_REQUESTS / 10 {
        connection.exchange(&lane.get).await?;
    }
    let mut times = Vec::with_capacity(SMALL_REQUESTS);
    for _ in 0..SMALL_REQUESTS {
        times.push(connection.exchange(&lane.get).await?.as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    let cpu = || lane.process.map_or(Ok(0.0), cpu_seconds);

    let before = cpu()?;
    let (requests, seconds) = crowd(lane).await?;
    let crowd_cpu = cpu()? - before;

    let before = cpu()?;
    let piece = vec![b'x'; 256 * 1024];
    let took = lane.route.connect().await?.upload(&lane.put, &piece, UPLOAD).await?;
    let upload_cpu = cpu()? - before;
    Ok(Figures {
        p50_us: times[times.len() / 2],
        p99_us: times[times.len() * 99 / 100],
        requests_per_s: requests / seconds,
        cpu_us_per_request: crowd_cpu * 1e6 / requests,
        upload_mb_per_s: UPLOAD as f64 / 1e6 / took.as_secs_f64(),
        cpu_s_per_gb: upload_cpu / (UPLOAD as f64 / 1e9),
    })
}

/// Many connections that ask as fast as they are answered.
async fn crowd(lane: &Lane) -> anyhow::Result<(f64, f64)> {
    let done = Arc::new(AtomicU64::new(0));
    let mut clients = tokio::task::JoinSet::new();
    let begun = Instant::now();
    for _ in 0..CONNECTIONS {
        let (route, get, done) = (lane.route.clone(), lane.get.clone(), done.clone());
        clients.spawn(async move {
            let mut connection = route.connect().await?;
            while begun.elapsed() < CROWD {
                connection.exchange(&get).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    Ok((done.load(Ordering::Relaxed) as f64, begun.elapsed().as_secs_f64()))
}

/// User and system time of a process (proc_pid_stat(5), fields 14 and 15, in hundredths of a second on Linux).
fn cpu_seconds(process: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, after_name) = stat.rsplit_once(')').context("a stat line")?;
    let ticks: Vec<f64> = after_name.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

fn peak_rss_mib(process: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) else { bail!("no VmHWM") };
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0)
}

fn print(lanes: &[Lane], rounds: &[Vec<Figures>]) {
    let median = |figures: &[Figures], of: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = figures.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!("host {HOST}; {ROUNDS} interleaved rounds, medians; ratio to direct in parentheses");
    println!(
        "| route | GET 1 KiB p50 µs | p99 µs | {CONNECTIONS} connections req/s | CPU µs/request | PUT 1 GiB MB/s | CPU s/GB |"
    );
    println!("|---|---|---|---|---|---|---|");
    let columns: [fn(&Figures) -> f64; 6] = [
        |f| f.p50_us,
        |f| f.p99_us,
        |f| f.requests_per_s,
        |f| f.cpu_us_per_request,
        |f| f.upload_mb_per_s,
        |f| f.cpu_s_per_gb,
    ];
    for (lane, figures) in lanes.iter().zip(rounds) {
        let cells = columns.map(|of| {
            let (value, direct) = (median(figures, of), median(&rounds[0], of));
            if direct > 0.0 { format!("{value:.1} ({:.2})", value / direct) } else { format!("{value:.2}") }
        });
        println!("| {} | {} |", lane.name, cells.join(" | "));
    }
}
