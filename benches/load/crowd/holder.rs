//! A process that opens a part of the connections and keeps them, and whoever started it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::ValueEnum as _;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinSet;

use crate::stage::HOST;

/// How long one may take over a step. All connections are ended long before.
const STEP: Duration = Duration::from_secs(90);

/// Between two bytes of a head that trickles.
const TRICKLE: Duration = Duration::from_secs(4);

/// A way to want nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Manner {
    /// Says nothing.
    Silent,
    /// Begins to ask for a tunnel, and goes on byte by byte.
    HalfHead,
    /// Asks for a tunnel to a cloud, and says nothing in it.
    Tunnel,
}

impl Manner {
    pub(crate) const ALL: [Self; 3] = [Self::Silent, Self::HalfHead, Self::Tunnel];

    /// What it says when it comes.
    fn words(self) -> String {
        match self {
            Self::Silent => String::new(),
            Self::HalfHead => format!("CONNECT {HOST}:443 HTT"),
            Self::Tunnel => format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n"),
        }
    }
}

/// A process that holds connections; they end with it.
pub(crate) struct Holder {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Holder {
    /// Starts one, which opens `count` connections to `proxy`.
    pub(crate) fn start(
        proxy: SocketAddr,
        (number, count): (usize, usize),
        manners: &[Manner],
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("hold").args([proxy.to_string(), number.to_string(), count.to_string()]);
        command.args(manners.iter().filter_map(Manner::to_possible_value).map(|value| value.get_name().to_owned()));
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        Ok(Self { _child: child, lines })
    }

    /// Waits until all are open. How many of them had been ended by then.
    pub(crate) async fn opened(&mut self) -> anyhow::Result<usize> {
        Ok(self.line().await.context("not all connections were opened")?.parse()?)
    }

    /// Waits until all are ended. How long the one stayed that stayed longest.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<Duration> {
        Ok(Duration::from_secs_f64(self.line().await.context("not all connections were ended")?.parse()?))
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        tokio::time::timeout(STEP, self.lines.next_line()).await??.context("a holder has ended")
    }
}

/// Opens `count` connections to `proxy`, and holds them until they are ended. Each holder has an address of its own, because
/// one has too few ports.
pub(crate) async fn hold(proxy: SocketAddr, (number, count): (u8, usize), manners: &[Manner]) -> anyhow::Result<()> {
    let (mut held, over) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for manner in manners.iter().copied().cycle().take(count) {
        let (stream, over) = (connect(proxy, number).await?, over.clone());
        held.spawn(async move {
            let begun = Instant::now();
            // However it ends: what counts is that it does.
            let _ended = want_nothing(stream, manner).await;
            over.fetch_add(1, Ordering::Relaxed);
            begun.elapsed()
        });
    }
    let mut out = std::io::stdout();
    writeln!(out, "{}", over.load(Ordering::Relaxed))?;
    let mut longest = Duration::ZERO;
    while let Some(stayed) = held.join_next().await {
        longest = longest.max(stayed?);
    }
    writeln!(out, "{}", longest.as_secs_f64())?;
    Ok(())
}

/// Connections that come one after the other, and leave at once.
pub(crate) async fn pass_by(proxy: SocketAddr, count: usize) -> anyhow::Result<()> {
    for (manner, number) in Manner::ALL.into_iter().cycle().zip((0..4).cycle()).take(count) {
        connect(proxy, number).await?.write_all(manner.words().as_bytes()).await?;
    }
    Ok(())
}

async fn connect(proxy: SocketAddr, number: u8) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 1, 1 + number], 0).into())?;
    socket.connect(proxy).await
}

/// Until the other side ends it.
async fn want_nothing(mut stream: TcpStream, manner: Manner) -> std::io::Result<()> {
    stream.write_all(manner.words().as_bytes()).await?;
    let mut heard = [0; 256];
    loop {
        tokio::select! {
            read = stream.read(&mut heard) => if read? == 0 { return Ok(()) },
            () = tokio::time::sleep(TRICKLE), if manner == Manner::HalfHead => stream.write_all(b"x").await?,
        }
    }
}
