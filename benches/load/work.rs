//! What is measured on a lane, one workload after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::lane::Lane;
use crate::stage::{CHUNKED, HOST, STREAM};

/// Requests one after the other, and before them as many tenths to warm up.
const REQUESTS: usize = 4_000;
const CONNECTIONS: usize = 64;
const CROWD: Duration = Duration::from_secs(4);
/// Bytes handed to the socket at once, as SDKs do it.
const PIECE: usize = 256 * 1024;
const CHUNK: usize = 64 * 1024;
/// For fresh connections: this long, on one after the other.
const FRESH: Duration = Duration::from_secs(3);
/// Idle tunnels are counted after things have settled.
const SETTLED: Duration = Duration::from_secs(3);

/// A workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Work {
    /// Keep-alive 1 KiB `GET`, 1 and 64 connections.
    Small,
    /// 256 MiB `GET` and `PUT`.
    Streams,
    /// A fresh CONNECT and TLS for each request: the same host, and always another.
    Fresh,
    /// 256 MiB in signed chunks.
    Chunks,
    /// Idle tunnels.
    Idle,
}

/// A figure: what it is, and the value.
pub(crate) type Figure = (&'static str, f64);

impl Work {
    pub(crate) const ALL: [Self; 5] = [Self::Small, Self::Streams, Self::Fresh, Self::Chunks, Self::Idle];

    /// As the table is headed.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Small => "(a) keep-alive 1 KiB GET",
            Self::Streams => "(b) 256 MiB streams",
            Self::Fresh => "(c) a fresh CONNECT and TLS for each request",
            Self::Chunks => "(e) chunk-signed 256 MiB upload, 64 KiB chunks",
            Self::Idle => "(d) idle tunnels",
        }
    }

    /// Measures; no figures if the lane cannot do it.
    pub(crate) async fn measure(self, lane: &Lane, idle: usize) -> anyhow::Result<Vec<Figure>> {
        match self {
            Self::Small => small(lane).await,
            Self::Streams => streams(lane).await,
            Self::Fresh => fresh(lane).await,
            Self::Chunks => chunks(lane).await,
            Self::Idle => idle_tunnels(lane, idle).await,
        }
    }
}

/// The seconds of processor time that `lane` has taken.
fn cpu(lane: &Lane) -> anyhow::Result<f64> {
    lane.server.as_ref().map_or(Ok(0.0), |server| server.cpu_seconds())
}

async fn small(lane: &Lane) -> anyhow::Result<Vec<Figure>> {
    let mut connection = lane.route.connect(HOST).await?;
    let get = lane.get(HOST);
    for _ in 0..REQUESTS / 10 {
        connection.exchange(&get).await?;
    }
    let mut times = Vec::with_capacity(REQUESTS);
    let before = cpu(lane)?;
    for _ in 0..REQUESTS {
        times.push(connection.exchange(&get).await?.as_secs_f64() * 1e6);
    }
    let alone = (cpu(lane)? - before) * 1e6 / REQUESTS as f64;
    times.sort_by(f64::total_cmp);
    let before = cpu(lane)?;
    let (requests, seconds) = crowd(lane).await?;
    let crowded = (cpu(lane)? - before) * 1e6 / requests;
    Ok(vec![
        ("1 connection: p50 µs", times[REQUESTS / 2]),
        ("p99 µs", times[REQUESTS * 99 / 100]),
        ("CPU µs per request", alone),
        ("64 connections: req/s", requests / seconds),
        ("CPU µs per request", crowded),
    ])
}

/// Many connections that ask as fast as they are answered.
async fn crowd(lane: &Lane) -> anyhow::Result<(f64, f64)> {
    let done = Arc::new(AtomicU64::new(0));
    let mut clients = tokio::task::JoinSet::new();
    let begun = Instant::now();
    for _ in 0..CONNECTIONS {
        let (route, get, done) = (lane.route.clone(), lane.get(HOST), done.clone());
        clients.spawn(async move {
            let mut connection = route.connect(HOST).await?;
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

async fn streams(lane: &Lane) -> anyhow::Result<Vec<Figure>> {
    let gigabytes = STREAM as f64 / 1e9;
    let mut connection = lane.route.connect(HOST).await?;
    connection.exchange(&lane.get(HOST)).await?;
    if let Some(server) = &lane.server {
        server.forget_peak()?;
    }
    let before = cpu(lane)?;
    let down = connection.exchange(&lane.get_stream()).await?;
    let down_cpu = cpu(lane)? - before;
    let before = cpu(lane)?;
    let up = connection.upload(&lane.put_stream(), &vec![b'x'; PIECE], STREAM).await?;
    let up_cpu = cpu(lane)? - before;
    let peak = lane.server.as_ref().map_or(Ok(0.0), |server| server.peak_rss())?;
    Ok(vec![
        ("GET MB/s", gigabytes * 1e3 / down.as_secs_f64()),
        ("CPU s/GB", down_cpu / gigabytes),
        ("PUT MB/s", gigabytes * 1e3 / up.as_secs_f64()),
        ("CPU s/GB", up_cpu / gigabytes),
        ("peak RSS MiB", peak / f64::from(1 << 20)),
    ])
}

async fn chunks(lane: &Lane) -> anyhow::Result<Vec<Figure>> {
    let Some((head, body)) = lane.put_chunks(CHUNKED, CHUNK) else { return Ok(Vec::new()) };
    let mut connection = lane.route.connect(HOST).await?;
    let (before, mut took) = (cpu(lane)?, Duration::ZERO);
    for _ in 0..STREAM / CHUNKED as u64 {
        let begun = Instant::now();
        connection.upload_whole(&head, &body).await?;
        took += begun.elapsed();
    }
    let gigabytes = STREAM as f64 / 1e9;
    Ok(vec![("PUT MB/s", gigabytes * 1e3 / took.as_secs_f64()), ("CPU s/GB", (cpu(lane)? - before) / gigabytes)])
}

async fn fresh(lane: &Lane) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let same = connections(lane, |_| HOST.to_owned()).await?;
    figures.extend([("same host: per s", same.0), ("p50 ms", same.1), ("CPU µs", same.2)]);
    if lane.takes_any_host {
        // Not twice the same in all rounds: the process that asks is in the name.
        let (me, round) = (std::process::id(), crate::stage::now().as_microsecond());
        let new = connections(lane, |n| format!("h{n}-{me}-{round}.s3.us-east-1.amazonaws.com")).await?;
        figures.extend([("new hosts: per s", new.0), ("p50 ms", new.1), ("CPU µs", new.2)]);
    }
    Ok(figures)
}

async fn connections(lane: &Lane, host: impl Fn(usize) -> String) -> anyhow::Result<(f64, f64, f64)> {
    let (before, begun, mut times) = (cpu(lane)?, Instant::now(), Vec::new());
    while begun.elapsed() < FRESH {
        let (host, one) = (host(times.len()), Instant::now());
        let get = lane.get(&host);
        let mut connection = lane.route.connect(&host).await?;
        connection.exchange(&get).await?;
        times.push(one.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let count = times.len() as f64;
    Ok((count / begun.elapsed().as_secs_f64(), times[times.len() / 2], (cpu(lane)? - before) * 1e6 / count))
}

async fn idle_tunnels(lane: &Lane, count: usize) -> anyhow::Result<Vec<Figure>> {
    let Some(server) = &lane.server else { return Ok(Vec::new()) };
    let get = lane.get(HOST);
    // What the first ones cost once for all is not theirs.
    lane.route.connect(HOST).await?.exchange(&get).await?;
    let before = server.rss()?;
    let mut idle = Vec::with_capacity(count);
    for n in 0..count {
        let mut connection = lane.route.connect(HOST).await.with_context(|| format!("tunnel {n}"))?;
        connection.exchange(&get).await?;
        idle.push(connection);
    }
    tokio::time::sleep(SETTLED).await;
    Ok(vec![
        ("KiB per tunnel", (server.rss()? - before) / 1024.0 / count as f64),
        ("RSS before, MiB", before / f64::from(1 << 20)),
    ])
}
