//! What is measured on a lane, one workload after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::client::Connection;
use crate::lane::Lane;
use crate::multipart;
use crate::stage::{CHUNKED, HOST, STREAM};

/// Requests one after the other, for this long; before them a tenth of it to warm up. A time and not a number, so that who is
/// slow takes no longer; it is many of the hundredths of a second in which the kernel tells processor time.
const ALONE: Duration = Duration::from_secs(3);
const CONNECTIONS: usize = 64;
const CROWD: Duration = Duration::from_secs(4);
/// Bytes handed to the socket at once, as SDKs do it.
pub(crate) const PIECE: usize = 256 * 1024;
pub(crate) const CHUNK: usize = 64 * 1024;
/// For fresh connections: this long, on one after the other.
const FRESH: Duration = Duration::from_secs(3);
/// Idle tunnels are opened for so long at most, so many at once, and counted after things have settled.
const OPENING: Duration = Duration::from_secs(12);
const OPENED_AT_ONCE: usize = 16;
/// Fewer say nothing about one.
const ENOUGH: usize = 100;
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
    /// A 1 GiB `PUT`, and 5 GiB in parts.
    Multipart,
}

/// A figure: what it is, and the value.
pub(crate) type Figure = (&'static str, f64);

impl Work {
    pub(crate) const ALL: [Self; 6] =
        [Self::Small, Self::Streams, Self::Fresh, Self::Chunks, Self::Idle, Self::Multipart];

    /// As the table is headed.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Small => "(a) keep-alive 1 KiB GET",
            Self::Streams => "(b) 256 MiB streams",
            Self::Fresh => "(c) a fresh CONNECT and TLS for each request",
            Self::Chunks => "(e) chunk-signed 256 MiB upload, 64 KiB chunks",
            Self::Idle => "(d) idle tunnels",
            Self::Multipart => "(f) large objects, signed again",
        }
    }

    /// How often it is measured, if `rounds` are asked for. Memory that was used once is taken from for what comes next, and
    /// would not be seen.
    pub(crate) const fn rounds(self, rounds: usize) -> usize {
        match self {
            Self::Small | Self::Streams | Self::Fresh | Self::Chunks => rounds,
            Self::Idle | Self::Multipart => 1,
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
            Self::Multipart => multipart::measure(lane).await,
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
    let begun = Instant::now();
    while begun.elapsed() < ALONE / 10 {
        connection.exchange(&get).await?;
    }
    let (mut times, before, begun) = (Vec::new(), cpu(lane)?, Instant::now());
    while begun.elapsed() < ALONE {
        times.push(connection.exchange(&get).await?.as_secs_f64() * 1e6);
    }
    let alone = (cpu(lane)? - before) * 1e6 / times.len() as f64;
    times.sort_by(f64::total_cmp);
    let before = cpu(lane)?;
    let (requests, seconds) = crowd(lane).await?;
    let crowded = (cpu(lane)? - before) * 1e6 / requests;
    Ok(vec![
        ("1 connection: p50 µs", times[times.len() / 2]),
        ("p99 µs", times[times.len() * 99 / 100]),
        ("CPU µs per request", alone),
        ("64 connections: req/s", requests / seconds),
        ("CPU µs per request", crowded),
    ])
}

/// Many connections that ask as fast as they are answered.
async fn crowd(lane: &Lane) -> anyhow::Result<(f64, f64)> {
    let done = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
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
    let Some((head, body)) = lane.put_chunks("/chunks", CHUNK) else { return Ok(Vec::new()) };
    // Made before, because what it costs is the client's.
    let body = body.collect::<Vec<_>>().concat();
    let mut connection = lane.route.connect(HOST).await?;
    let (before, mut took) = (cpu(lane)?, Duration::ZERO);
    for _ in 0..STREAM / CHUNKED as u64 {
        let begun = Instant::now();
        connection.upload_pieces(&head, [&body]).await?;
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
    // What the first one costs once for all is not the others'.
    lane.route.connect(HOST).await?.exchange(&lane.get(HOST)).await?;
    let before = server.rss()?;
    let begun = Instant::now();
    let mut openers = JoinSet::new();
    for opener in 0..OPENED_AT_ONCE {
        let (lane, share) = (lane.resigned(), (count + opener) / OPENED_AT_ONCE);
        openers.spawn(async move {
            let (mut opened, get) = (Vec::with_capacity(share), lane.get(HOST));
            while opened.len() < share && begun.elapsed() < OPENING {
                match tunnel(&lane, &get).await {
                    Ok(connection) => opened.push(connection),
                    // One that has no more files, say, is asked what those cost that it has.
                    Err(error) => return (opened, Some(error)),
                }
            }
            (opened, None)
        });
    }
    let (mut idle, mut ended) = (Vec::with_capacity(count), None);
    while let Some(opener) = openers.join_next().await {
        let (opened, error) = opener?;
        idle.extend(opened);
        ended = ended.or(error);
    }
    match ended {
        Some(error) if idle.len() < ENOUGH => return Err(error.context(format!("after {} tunnels", idle.len()))),
        Some(error) => eprintln!("{}: {} tunnels, then: {error:#}", lane.name, idle.len()),
        None => {}
    }
    tokio::time::sleep(SETTLED).await;
    Ok(vec![
        ("tunnels", idle.len() as f64),
        ("KiB per tunnel", (server.rss()? - before) / 1024.0 / idle.len() as f64),
        ("RSS before, MiB", before / f64::from(1 << 20)),
    ])
}

async fn tunnel(lane: &Lane, get: &[u8]) -> anyhow::Result<Connection> {
    let mut connection = lane.route.connect(HOST).await?;
    connection.exchange(get).await?;
    Ok(connection)
}
