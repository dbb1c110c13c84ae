//! After `CONNECT`: TLS to a cloud is intercepted, clear-text HTTP is read, all else is tunnelled.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use access::{Refusal, RefusalCode};
use bytes::BytesMut;
use ca::Host;
use lease::Lessor;
use rustls::ServerConfig;
use rustls::server::{Acceptor, ClientHello};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;

use crate::accept::refuse_connect;
use crate::ahead::Ahead;
use crate::aim::{Aim, Kind};
use crate::app::App;
use crate::connection;
use crate::destination::{Destination, Scheme};
use crate::head::{is_websocket, read_head};
use crate::metrics::Present;
use crate::protocol::{PREFACE, Protocol};
use crate::refuse::with_causes;
use crate::streams;
use crate::trouble::unreachable;
use crate::tunnel::{Carried, carry};
use crate::upstream::Slot;

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection Established\r\n\r\n";

/// Longest HTTP method that is taken for one, its space included.
const LONGEST_METHOD: usize = 16;

/// What is spoken inside a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    /// A TLS record that holds a handshake.
    Tls,
    /// An HTTP method and a space: undici asks for a tunnel for `http://`, too.
    Http,
    /// The preface of HTTP/2, as gRPC without TLS begins.
    Http2,
    /// Anything else.
    Unknown,
}

/// A program's connection, and what was read of it ahead.
type Program = (TcpStream, BytesMut);

/// Serves a connection that asked for a tunnel to `destination`.
pub(crate) async fn connect<L: Lessor>(caller: (Arc<App<L>>, IpAddr), program: Program, destination: Destination) {
    let aim = Aim::at(destination, &caller.0.endpoints);
    match aim.kind {
        Kind::Cloud => to_cloud(caller, program, aim).await,
        Kind::Elsewhere => elsewhere(caller, program, aim).await,
    }
}

async fn to_cloud<L: Lessor>(caller: (Arc<App<L>>, IpAddr), (mut program, mut held): Program, aim: Aim) {
    let app = &caller.0;
    let host = Host::parse(&aim.destination.host).map_err(|error| error.to_string());
    let tls = match host.and_then(|host| app.tls.for_host(host).map_err(|error| with_causes(&error))) {
        Ok(tls) => tls,
        Err(cause) => {
            let refusal =
                Refusal::new(RefusalCode::NotSupported, format!("{} cannot be intercepted: {cause}", aim.destination));
            return refuse_connect(app, &mut program, &refusal).await;
        }
    };
    if program.write_all(ESTABLISHED).await.is_err() {
        return;
    }
    let first = tokio::time::timeout(app.patience().head, first_words(&mut program, &mut held)).await;
    match first {
        Ok(Ok(Spoken::Tls)) => intercept(caller, (program, held), (aim, tls)).await,
        Ok(Ok(Spoken::Http)) => in_clear(caller, (program, held), (&aim.destination, Protocol::Http1)).await,
        Ok(Ok(Spoken::Http2)) => in_clear(caller, (program, held), (&aim.destination, Protocol::Http2)).await,
        Ok(Ok(Spoken::Unknown)) => match app.upstreams.dialer().tcp(&aim.origin).await {
            Ok(tcp) => tunnel(app, (program, held), tcp).await,
            Err(error) => tracing::debug!(cause = with_causes(&error), "tunnel leads nowhere"),
        },
        Ok(Err(error)) => tracing::debug!(%error, "the program left its tunnel"),
        Err(_) => tracing::debug!("nothing was said in a tunnel"),
    }
}

/// The program's handshake and, meanwhile, the line to the destination.
async fn intercept<L: Lessor>(
    (app, peer): (Arc<App<L>>, IpAddr),
    (program, held): Program,
    (aim, tls): (Aim, Arc<ServerConfig>),
) {
    let hello = LazyConfigAcceptor::new(Acceptor::default(), Ahead::new(program, held));
    let began = match tokio::time::timeout(app.patience().head, hello).await {
        Ok(Ok(began)) => began,
        Ok(Err(error)) => return handshake_failed(&aim, &error),
        Err(_) => return tracing::debug!("TLS handshake of a program took too long"),
    };
    let slot = agree(&app, &Offered::by(&began.client_hello()), &aim.origin).await;
    let handshake = began.into_stream(speaking(slot.protocol(), tls));
    let handshake = tokio::time::timeout(app.patience().head, handshake);
    match (app.upstreams.prepare(&slot, &aim.origin, handshake).await, slot.protocol()) {
        (Ok(Ok(program)), Protocol::Http1) => {
            connection::serve(program, BytesMut::new(), (app, peer), (Some(aim), slot)).await;
        }
        (Ok(Ok(program)), Protocol::Http2) => streams::serve(program, (app, peer), (Some(aim), slot)).await,
        (Ok(Err(error)), _) => handshake_failed(&aim, &error),
        (Err(_), _) => tracing::debug!("TLS handshake of a program took too long"),
    }
}

fn handshake_failed(aim: &Aim, error: &io::Error) {
    tracing::info!(destination = %aim.destination, %error, "TLS handshake of a program failed; does it trust our root?");
}

/// What a program offers to speak.
#[derive(Debug, Clone, Copy)]
struct Offered {
    http1: bool,
    http2: bool,
}

impl Offered {
    fn by(hello: &ClientHello<'_>) -> Self {
        let offers = |protocol: Protocol| hello.alpn().is_some_and(|mut all| all.any(|name| name == protocol.alpn()));
        Self { http1: hello.alpn().is_none() || offers(Protocol::Http1), http2: offers(Protocol::Http2) }
    }
}

/// A place for what the program is going to use, and in it what is spoken on both sides: the program gets what its
/// destination speaks. Who offers HTTP/1.1 only gets it on both sides. Only the first connection to a destination waits
/// for its answer; if there is none, the program is told so in HTTP/1.1, if it can hear that.
async fn agree<L>(app: &App<L>, offered: &Offered, origin: &Destination) -> Arc<Slot> {
    let upstreams = &app.upstreams;
    if !offered.http2 {
        return upstreams.slot(Protocol::Http1);
    }
    // Without TLS the destination cannot say that it speaks HTTP/2 (RFC 9113 §3.2).
    let spoken = match origin.scheme {
        Scheme::Http if offered.http1 => Some(Protocol::Http1),
        Scheme::Http => Some(Protocol::Http2),
        Scheme::Https => upstreams.speaks(origin),
    };
    let otherwise = if offered.http1 { Protocol::Http1 } else { Protocol::Http2 };
    match spoken {
        Some(Protocol::Http2) => upstreams.slot(Protocol::Http2),
        Some(Protocol::Http1) => upstreams.slot(otherwise),
        None => upstreams.ask(origin, otherwise).await,
    }
}

/// The configuration of a handshake that ends with `protocol`.
fn speaking(protocol: Protocol, tls: Arc<ServerConfig>) -> Arc<ServerConfig> {
    let mut tls = Arc::unwrap_or_clone(tls);
    tls.alpn_protocols = vec![protocol.alpn().to_vec()];
    Arc::new(tls)
}

async fn in_clear<L: Lessor>(
    caller: (Arc<App<L>>, IpAddr),
    (program, held): Program,
    (destination, protocol): (&Destination, Protocol),
) {
    let aim = Aim::at(destination.over(Scheme::Http), &caller.0.endpoints);
    let slot = caller.0.upstreams.slot(protocol);
    match protocol {
        Protocol::Http1 => connection::serve(program, held, caller, (Some(aim), slot)).await,
        Protocol::Http2 => streams::serve(Ahead::new(program, held), caller, (Some(aim), slot)).await,
    }
}

/// A tunnel to somewhere else. Whoever speaks first decides: a program that speaks clear-text HTTP is read, because
/// placeholders must not leave through it; a destination that speaks first is no web server.
async fn elsewhere<L: Lessor>(caller: (Arc<App<L>>, IpAddr), (mut program, mut held): Program, aim: Aim) {
    let app = &caller.0;
    let destination = match app.upstreams.dialer().tcp(&aim.origin).await {
        Ok(tcp) => tcp,
        Err(error) => return refuse_connect(app, &mut program, &unreachable(&error)).await,
    };
    if program.write_all(ESTABLISHED).await.is_err() {
        return;
    }
    let spoken = tokio::select! {
        spoken = first_words(&mut program, &mut held) => spoken,
        speaks = speaks_first(&destination) => speaks.map(|()| Spoken::Unknown),
        () = tokio::time::sleep(app.idle()) => return,
    };
    let spoken = match spoken {
        Ok(Spoken::Http) => {
            let head = tokio::time::timeout(app.patience().head, switches(app, &mut program, &mut held)).await;
            head.unwrap_or(Ok(Spoken::Unknown))
        }
        other => other,
    };
    match spoken {
        Ok(Spoken::Http) => in_clear(caller, (program, held), (&aim.destination, Protocol::Http1)).await,
        Ok(Spoken::Http2) => in_clear(caller, (program, held), (&aim.destination, Protocol::Http2)).await,
        Ok(Spoken::Tls | Spoken::Unknown) => tunnel(app, (program, held), destination).await,
        Err(error) => tracing::debug!(%error, "the program left its tunnel"),
    }
}

/// Ready when the destination says what no web server says unasked. One that speaks HTTP/2 does not wait for the program
/// with its settings (RFC 9113 §3.4).
async fn speaks_first(destination: &TcpStream) -> io::Result<()> {
    /// The head of a frame (RFC 9113 §4.1): type SETTINGS, no flags, stream 0.
    const SETTINGS: [u8; 6] = [4, 0, 0, 0, 0, 0];
    let mut head = [0; 9];
    let shown = destination.peek(&mut head).await?;
    if shown == head.len() && head[3..] == SETTINGS {
        return std::future::pending().await;
    }
    Ok(())
}

async fn tunnel<L>(app: &App<L>, (program, held): Program, destination: TcpStream) {
    app.metrics.tunnels.add(1);
    let _open = Present::count(&app.metrics, |metrics| &metrics.open_tunnels);
    let mut program = Ahead::new(program, held);
    match carry(&mut program, destination, app.idle()).await {
        Ok(Carried { up, down }) => {
            app.metrics.bytes_up.add(up);
            app.metrics.bytes_down.add(down);
        }
        Err(error) => tracing::debug!(%error, "tunnel broke"),
    }
}

/// Reads until it is clear what is spoken. Cancelling loses nothing: what was read is in `held`.
async fn first_words(program: &mut TcpStream, held: &mut BytesMut) -> io::Result<Spoken> {
    loop {
        if let Some(spoken) = spoken(held) {
            return Ok(spoken);
        }
        if program.read_buf(held).await? == 0 {
            return Ok(Spoken::Unknown);
        }
    }
}

/// Whether clear-text HTTP only begins as such: a WebSocket (`ws://`) leaves it behind with its first answer, so it is
/// tunnelled, unless its head carries a placeholder; then it is read, and refused.
async fn switches<L>(app: &App<L>, program: &mut TcpStream, held: &mut BytesMut) -> io::Result<Spoken> {
    loop {
        match read_head(held) {
            Ok(Some((length, _))) if is_websocket(&held[..length]) && !app.classifier.is_mentioned(&held[..length]) => {
                return Ok(Spoken::Unknown);
            }
            Ok(Some(_)) | Err(_) => return Ok(Spoken::Http),
            Ok(None) => {}
        }
        if program.read_buf(held).await? == 0 {
            return Ok(Spoken::Unknown);
        }
    }
}

/// Whether what begins as HTTP/2 does is there as a whole.
fn begins_http2(bytes: &[u8]) -> Option<bool> {
    let shown = bytes.len().min(PREFACE.len());
    (bytes.starts_with(b"PRI ") && bytes[..shown] == PREFACE[..shown]).then_some(shown == PREFACE.len())
}

fn spoken(bytes: &[u8]) -> Option<Spoken> {
    /// `handshake(22)` of TLS 1.x (RFC 8446 §5.1), which no HTTP method begins with.
    const HANDSHAKE: u8 = 22;
    // Servers read over empty lines before a request (RFC 9112 §2.2), so they must not hide one from us.
    let empty = bytes.iter().take(LONGEST_METHOD).take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let bytes = &bytes[empty..];
    if let Some(whole) = begins_http2(bytes) {
        return whole.then_some(Spoken::Http2);
    }
    match bytes.first() {
        None if empty == LONGEST_METHOD => Some(Spoken::Unknown),
        None => None,
        Some(&HANDSHAKE) => Some(Spoken::Tls),
        Some(_) => match bytes.iter().position(|b| !b.is_ascii_uppercase()) {
            Some(end @ 1..) if bytes[end] == b' ' && end < LONGEST_METHOD => Some(Spoken::Http),
            None if bytes.len() < LONGEST_METHOD => None,
            Some(_) | None => Some(Spoken::Unknown),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_words_tell_what_is_spoken() {
        for (bytes, expected) in [
            (&b""[..], None),
            (b"\x16\x03\x01", Some(Spoken::Tls)),
            (b"G", None),
            (b"GET", None),
            (b"GET ", Some(Spoken::Http)),
            (b"\r\n", None),
            (b"\r\n\nGET /", Some(Spoken::Http)),
            (&[b'\n'; 40], Some(Spoken::Unknown)),
            (b"PROPFIND /", Some(Spoken::Http)),
            (b"PRI ", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", Some(Spoken::Http2)),
            (b"PRI * HTTP/1.1\r\n", Some(Spoken::Http)),
            (b"SSH-2.0-OpenSSH", Some(Spoken::Unknown)),
            (b"get /", Some(Spoken::Unknown)),
            (b" GET", Some(Spoken::Unknown)),
            (b"AAAAAAAAAAAAAAAAAAAAAAAA", Some(Spoken::Unknown)),
            (b"\x00\x00", Some(Spoken::Unknown)),
        ] {
            assert_eq!(spoken(bytes), expected, "{bytes:?}");
        }
    }
}
