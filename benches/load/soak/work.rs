//! What programs do all the time: each kind of work goes on by itself, at its own pace, and says how much it has asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use hyper::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::client::Connection;
use crate::lane::Lane;
use crate::stage::{HOST, UNSIGNED};

/// Signatures are made anew so often: what is minutes old is refused.
const SIGNED_FOR: Duration = Duration::from_secs(60);

/// Body of a small upload.
const SMALL: usize = 4 * 1024;

/// Bytes in one chunk that is signed.
const CHUNK: usize = 64 * 1024;

/// Requests at once on one HTTP/2 connection.
const AT_ONCE: usize = 4;

/// A WebSocket's handshake, besides what signs it; the key is the RFC's (6455 §1.3).
pub(crate) const SOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A kind of work: how many do it, and how long each rests after every piece.
const KINDS: [(Kind, usize, Duration); 8] = [
    (Kind::Get, 8, Duration::from_millis(40)),
    (Kind::Put, 4, Duration::from_millis(50)),
    (Kind::Streams, 2, Duration::from_millis(80)),
    (Kind::Chunks, 1, Duration::from_secs(10)),
    (Kind::Fresh, 2, Duration::from_millis(100)),
    (Kind::Refused, 1, Duration::from_millis(200)),
    (Kind::Idle, 100, Duration::from_secs(30)),
    (Kind::Socket, 4, Duration::from_millis(500)),
];

/// Each is one loop that ends with the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Small answers on a kept connection.
    Get,
    /// Small uploads on a kept connection.
    Put,
    /// Both at once over HTTP/2.
    Streams,
    /// A large upload in signed chunks.
    Chunks,
    /// A tunnel, TLS and one request.
    Fresh,
    /// A signature that is wrong.
    Refused,
    /// A tunnel that is hardly used.
    Idle,
    /// A WebSocket on which messages come back; one after the other, as sockets end.
    Socket,
}

/// What all loops share.
#[derive(Clone)]
pub(crate) struct Shift {
    pub(crate) lane: Arc<Lane>,
    /// Offers HTTP/2.
    pub(crate) streams: Arc<Lane>,
    /// Requests that were sent and must stand in the book.
    pub(crate) sent: Arc<AtomicU64>,
    pub(crate) ends: watch::Receiver<bool>,
}

impl Shift {
    /// Begins all of it.
    pub(crate) fn begin(&self) -> JoinSet<anyhow::Result<()>> {
        let mut loops = JoinSet::new();
        for (kind, count, rest) in KINDS {
            for _ in 0..count {
                let shift = self.clone();
                loops.spawn(async move { shift.work(kind, rest).await.with_context(|| format!("{kind:?}")) });
            }
        }
        loops
    }

    async fn work(mut self, kind: Kind, rest: Duration) -> anyhow::Result<()> {
        let mut pace = tokio::time::interval(rest);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut worker = Worker { shift: self.clone(), signed: None, kept: None, streams: None };
        loop {
            tokio::select! {
                _ = pace.tick() => {}
                _ = self.ends.wait_for(|ends| *ends) => return Ok(()),
            }
            match kind {
                Kind::Get | Kind::Idle => worker.get().await?,
                Kind::Put => worker.put().await?,
                Kind::Streams => worker.streams().await?,
                Kind::Chunks => worker.chunks().await?,
                Kind::Fresh => worker.fresh().await?,
                Kind::Refused => worker.refused().await?,
                Kind::Socket => worker.socket().await?,
            }
        }
    }
}

/// One loop's connections and signatures.
struct Worker {
    shift: Shift,
    signed: Option<(Instant, Vec<u8>)>,
    kept: Option<Connection>,
    streams: Option<h2::client::SendRequest<Bytes>>,
}

impl Worker {
    /// What `sign` makes, for as long as that is good.
    fn signed(&mut self, sign: impl FnOnce(&Lane) -> Vec<u8>) -> Vec<u8> {
        match &self.signed {
            Some((at, request)) if at.elapsed() < SIGNED_FOR => request.clone(),
            Some(_) | None => self.signed.insert((Instant::now(), sign(&self.shift.lane))).1.clone(),
        }
    }

    async fn kept(&mut self) -> anyhow::Result<&mut Connection> {
        if self.kept.is_none() {
            self.kept = Some(self.shift.lane.route.connect(HOST).await?);
        }
        self.shift.sent.fetch_add(1, Ordering::Relaxed);
        self.kept.as_mut().context("it was just made")
    }

    async fn get(&mut self) -> anyhow::Result<()> {
        let get = self.signed(|lane| lane.resigned().get(HOST));
        self.kept().await?.exchange(&get).await.map(drop)
    }

    async fn put(&mut self) -> anyhow::Result<()> {
        let mut put =
            self.signed(|lane| lane.resigned().request("PUT", (HOST, "/small"), (UNSIGNED, Some(SMALL as u64))).0);
        put.extend_from_slice(&[b'x'; SMALL]);
        self.kept().await?.exchange(&put).await.map(drop)
    }

    async fn chunks(&mut self) -> anyhow::Result<()> {
        let (head, body) = self.shift.lane.resigned().put_chunks("/chunks", CHUNK).context("a placeholder")?;
        self.kept().await?.upload_pieces(&head, body).await
    }

    async fn fresh(&mut self) -> anyhow::Result<()> {
        let get = self.signed(|lane| lane.resigned().get(HOST));
        let mut connection = self.shift.lane.route.connect(HOST).await?;
        self.shift.sent.fetch_add(1, Ordering::Relaxed);
        connection.exchange(&get).await.map(drop)
    }

    async fn refused(&mut self) -> anyhow::Result<()> {
        let mut get = self.shift.lane.resigned().get(HOST);
        let last = get.len() - b"\r\n\r\n".len() - 1;
        get[last] = if get[last] == b'0' { b'1' } else { b'0' };
        let status = self.kept().await?.status(&get).await?;
        ensure!(status == 403, "a wrong signature was answered with {status}");
        Ok(())
    }

    /// Several at once, uploads among them.
    async fn streams(&mut self) -> anyhow::Result<()> {
        if self.streams.is_none() {
            let stream = self.shift.streams.route.connect(HOST).await?.into_stream();
            ensure!(stream.get_ref().1.alpn_protocol() == Some(b"h2"), "HTTP/2 was not agreed on");
            let (sender, connection) = h2::client::handshake(stream).await?;
            // How it ends is told to whoever waits for an answer on it.
            tokio::spawn(async move { drop(connection.await) });
            self.streams = Some(sender);
        }
        let sender = self.streams.clone().context("it was just made")?;
        let mut answers = JoinSet::new();
        for number in 0..AT_ONCE {
            let mut sender = sender.clone().ready().await?;
            let is_upload = number % 2 == 1;
            let method = if is_upload { "PUT" } else { "GET" };
            let head = self.shift.lane.resigned().request(method, (HOST, "/stream/small"), (UNSIGNED, None)).0;
            self.shift.sent.fetch_add(1, Ordering::Relaxed);
            let (answer, mut body) = sender.send_request(of_text(&head)?, !is_upload)?;
            if is_upload {
                body.send_data(Bytes::from_static(&[b'x'; SMALL]), true)?;
            }
            answers.spawn(async move {
                let answer = answer.await?;
                ensure!(answer.status() == 200, "{method} over HTTP/2: {}", answer.status());
                let mut body = answer.into_body();
                while let Some(data) = body.data().await {
                    body.flow_control().release_capacity(data?.len())?;
                }
                Ok(())
            });
        }
        while let Some(answer) = answers.join_next().await {
            answer??;
        }
        Ok(())
    }

    /// A socket on which ten messages come back.
    async fn socket(&mut self) -> anyhow::Result<()> {
        let mut head = self.shift.lane.resigned().get(HOST);
        head.truncate(head.len() - b"\r\n".len());
        head.extend_from_slice(SOCKET.as_bytes());
        head.extend_from_slice(b"\r\n");
        let mut stream = self.shift.lane.route.connect(HOST).await?.into_stream();
        self.shift.sent.fetch_add(1, Ordering::Relaxed);
        stream.write_all(&head).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await?);
        }
        ensure!(answer.starts_with(b"HTTP/1.1 101 "), "no WebSocket: {}", String::from_utf8_lossy(&answer));
        for number in 0..10_u8 {
            let said = [number; 512];
            stream.write_all(&said).await?;
            stream.flush().await?;
            let mut heard = [0; 512];
            stream.read_exact(&mut heard).await?;
            ensure!(heard == said, "a WebSocket gave back something else");
        }
        stream.shutdown().await?;
        // To its end, so that its record is closed when the run ends.
        drop(stream.read_to_end(&mut Vec::new()).await);
        Ok(())
    }
}

/// A head in text as HTTP/2 has it.
fn of_text(head: &[u8]) -> anyhow::Result<Request<()>> {
    let mut lines = std::str::from_utf8(head)?.trim_end().split("\r\n");
    let mut first = lines.next().context("a request line")?.split(' ');
    let (method, path) = (first.next().context("a method")?, first.next().context("a path")?);
    let mut request = Request::builder().method(method).uri(format!("https://{HOST}{path}"));
    for line in lines {
        let (name, value) = line.split_once(": ").context("a header")?;
        if !name.eq_ignore_ascii_case("host") {
            request = request.header(name, value);
        }
    }
    Ok(request.body(())?)
}
