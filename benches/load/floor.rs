//! The floor: what a man in the middle in Rust can cost at the least. One thread, heads rewritten with a byte loop, bodies
//! passed on as they come, upstream connections kept, leaves minted in the resolver. Nothing is checked: no limits, no
//! time-outs, no chunked bodies, no policy, no record. `sign` puts a SigV4 signature into each request, with a key that is
//! derived once. It is a yardstick, not a proxy.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context as _, ensure};
use aws_lc_rs::hmac;
use bytes::BytesMut;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::origin::{accept, say};
use crate::stage;

/// Read from a socket at once; rustls alone would ask for 4 KiB.
const READ: usize = 128 * 1024;

/// Passed on at once: four records of TLS.
const PIECE: usize = 64 * 1024;

type Upstream = client::TlsStream<BufReader<TcpStream>>;
type Program = server::TlsStream<BufReader<TcpStream>>;

/// What all connections share.
struct Floor {
    origin: u16,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    kept: RefCell<Vec<Upstream>>,
    /// The key to sign with, and the time to sign for.
    sign: Option<(hmac::Key, String)>,
}

/// Serves until the process is ended. Arguments: the origin's TLS port, its root, and `sign` or not.
pub(crate) async fn serve(origin: u16, trusted: PathBuf, signs: bool) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let floor = Rc::new(Floor {
        origin,
        acceptor: TlsAcceptor::from(stage::server_tls(&stage::own_root()?, &[b"http/1.1"])?),
        connector: TlsConnector::from(stage::client_tls(&trusted)?),
        kept: RefCell::default(),
        sign: signs.then(|| (stage::signing_key(stage::SECRET, &stage::date()), stage::date())),
    });
    say(&[&listener])?;
    let local = LocalSet::new();
    local
        .run_until(async move {
            loop {
                let (stream, floor) = (accept(&listener).await?, floor.clone());
                tokio::task::spawn_local(async move {
                    // A client that hangs up ends a measurement, nothing more.
                    let _ended = floor.connection(stream).await;
                });
            }
        })
        .await
}

impl Floor {
    async fn connection(&self, mut stream: TcpStream) -> anyhow::Result<()> {
        let mut head = BytesMut::new();
        while !head.ends_with(b"\r\n\r\n") {
            ensure!(stream.read_buf(&mut head).await? > 0, "no CONNECT");
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        let handshake = self.acceptor.accept(BufReader::with_capacity(READ, stream));
        let (program, upstream) = tokio::join!(handshake, self.upstream());
        let (mut program, mut upstream) = (program?, upstream?);
        let ended = self.requests(&mut program, &mut upstream).await;
        if ended.is_ok() {
            self.kept.borrow_mut().push(upstream);
        }
        ended
    }

    async fn upstream(&self) -> anyhow::Result<Upstream> {
        let kept = self.kept.borrow_mut().pop();
        if let Some(kept) = kept {
            return Ok(kept);
        }
        let tcp = TcpStream::connect(("127.0.0.1", self.origin)).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(stage::HOST)?;
        Ok(self.connector.connect(name, BufReader::with_capacity(READ, tcp)).await?)
    }

    async fn requests(&self, program: &mut Program, upstream: &mut Upstream) -> anyhow::Result<()> {
        let (mut up, mut down, mut out) = (BytesMut::new(), BytesMut::new(), Vec::new());
        loop {
            let Some(end) = head(program, &mut up).await? else { return Ok(()) };
            let length = self.rewritten(&up[..end], &mut out)?;
            pass(program, (&mut up, end), (upstream, &mut out), length).await?;

            let end = head(upstream, &mut down).await?.context("no answer")?;
            out.extend_from_slice(&down[..end]);
            let length = content_length(&down[..end])?;
            pass(upstream, (&mut down, end), (program, &mut out), length).await?;
        }
    }

    /// The head as it goes on, and how long its body is.
    fn rewritten(&self, head: &[u8], out: &mut Vec<u8>) -> anyhow::Result<u64> {
        let length = content_length(head)?;
        let Some((key, date)) = &self.sign else {
            out.extend_from_slice(head);
            return Ok(length);
        };
        let mut lines = head.split_inclusive(|byte| *byte == b'\n');
        out.extend_from_slice(lines.next().context("a request line")?);
        for line in lines {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            let is_signature = ["authorization", "x-amz-date", "x-amz-security-token"]
                .iter()
                .any(|ours| name.eq_ignore_ascii_case(ours.as_bytes()));
            if !is_signature && line != b"\r\n" {
                out.extend_from_slice(line);
            }
        }
        let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next().unwrap_or_default())?;
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let host = stage::HOST;
        let (token, payload) = (Some(stage::TOKEN), stage::UNSIGNED);
        stage::Unsigned { method, path, host, date, token, payload, decoded: None }.sign((stage::SIGNER, key), out);
        out.extend_from_slice(b"\r\n");
        Ok(length)
    }
}

/// Reads until a head is whole; `None` at the end of the stream.
async fn head<S: AsyncReadExt + Unpin>(stream: &mut S, held: &mut BytesMut) -> anyhow::Result<Option<usize>> {
    loop {
        if let Some(end) = held.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(end + 4));
        }
        held.reserve(PIECE);
        if stream.read_buf(held).await? == 0 {
            return Ok(None);
        }
    }
}

/// Writes the head in `out` and the first bytes of the body at once, then the rest as it comes.
async fn pass<F, T>(
    from: &mut F,
    (held, end): (&mut BytesMut, usize),
    (to, out): (&mut T, &mut Vec<u8>),
    length: u64,
) -> anyhow::Result<()>
where
    F: AsyncReadExt + Unpin,
    T: AsyncWriteExt + Unpin,
{
    let here = (held.len() - end).min(usize::try_from(length)?);
    out.extend_from_slice(&held[end..end + here]);
    drop(held.split_to(end + here));
    to.write_all(out).await?;
    out.clear();
    let mut left = length - here as u64;
    while left > 0 {
        held.clear();
        held.reserve(PIECE);
        let read = from.read_buf(held).await?;
        ensure!(read > 0, "the body ended early");
        let now = read.min(usize::try_from(left)?);
        to.write_all(&held[..now]).await?;
        drop(held.split_to(now));
        left -= now as u64;
    }
    to.flush().await?;
    Ok(())
}

fn content_length(head: &[u8]) -> anyhow::Result<u64> {
    for line in head.split(|byte| *byte == b'\n') {
        let Some((name, value)) = line.split_at_checked("content-length:".len()) else { continue };
        if name.eq_ignore_ascii_case(b"content-length:") {
            return Ok(std::str::from_utf8(value)?.trim().parse()?);
        }
    }
    Ok(0)
}
