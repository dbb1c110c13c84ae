//! A connection from a program: what does it begin with?

use std::net::IpAddr;
use std::sync::Arc;

use access::{Refusal, RefusalCode};
use bytes::{Buf, BytesMut};
use http::StatusCode;
use lease::Lessor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::app::App;
use crate::connection;
use crate::destination::{BadDestination, Destination};
use crate::head::{Body, Malformed, read_head};
use crate::intercept;
use crate::protocol::Protocol;
use crate::refuse::{self, Dialect};

const CONNECT: &[u8] = b"CONNECT ";

/// Room for the first read: a `CONNECT` and, behind it, most of a TLS greeting.
const FIRST_READ: usize = 1024;

/// How a connection begins.
#[derive(Debug)]
enum Opening {
    /// `CONNECT host:port`.
    Connect(Destination),
    /// A request, as yet unread.
    Request,
    /// Nothing that is answered: the program left, or waited too long.
    Nothing,
}

/// Why a `CONNECT` is refused.
#[derive(Debug, thiserror::Error)]
enum BadConnect {
    #[error(transparent)]
    Head(#[from] Malformed),
    #[error(transparent)]
    Destination(#[from] BadDestination),
    #[error("CONNECT has no body")]
    Body,
}

/// Serves a program's connection to its end.
pub(crate) async fn connection<L: Lessor>(app: Arc<App<L>>, mut program: TcpStream, peer: IpAddr) {
    let mut held = BytesMut::with_capacity(FIRST_READ);
    let opening = tokio::time::timeout(app.patience().head, opening(&mut program, &mut held)).await;
    match opening.unwrap_or(Ok(Opening::Nothing)) {
        Ok(Opening::Connect(destination)) => intercept::connect((app, peer), (program, held), destination).await,
        Ok(Opening::Request) => {
            let slot = app.upstreams.slot(Protocol::Http1);
            connection::serve(program, held, (app, peer), (None, slot)).await;
        }
        Ok(Opening::Nothing) => {}
        Err(bad) => {
            let refusal = Refusal::new(RefusalCode::RequestMalformed, bad.to_string());
            refuse_connect(&app, &mut program, &refusal).await;
        }
    }
}

/// Answers a `CONNECT` that leads nowhere. Its record is closed even if the program does not wait for the answer.
pub(crate) async fn refuse_connect<L>(app: &App<L>, program: &mut TcpStream, refusal: &Refusal) {
    let mut entry = app.record(Arc::default());
    entry.refused(refusal.clone());
    let answer = refuse::answer(refusal, Dialect::Plain, entry.id());
    let status = answer.status();
    tracing::info!(request = %entry.id(), code = %refusal.code, reason = refusal.message, "tunnel refused");
    let head = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_else(|| StatusCode::BAD_GATEWAY.as_str()),
        answer.body().len(),
    );
    let whole = [head.as_bytes(), answer.body()].concat();
    if program.write_all(&whole).await.and(program.shutdown().await).is_err() {
        tracing::debug!("the program did not wait for the refusal of its tunnel");
    }
}

/// Reads as much as tells `CONNECT` from other requests, and of a `CONNECT` the whole head. The bytes of other requests
/// stay in `held`: whoever serves them judges them.
async fn opening(program: &mut TcpStream, held: &mut BytesMut) -> Result<Opening, BadConnect> {
    loop {
        let shown = held.len().min(CONNECT.len());
        if held[..shown] != CONNECT[..shown] {
            return Ok(Opening::Request);
        }
        if shown == CONNECT.len()
            && let Some((length, body)) = read_head(held)?
        {
            let destination = authority(&held[..length])?;
            held.advance(length);
            return if matches!(body, Body::None | Body::Length(0)) {
                Ok(Opening::Connect(destination))
            } else {
                Err(BadConnect::Body)
            };
        }
        match program.read_buf(held).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return Ok(Opening::Nothing),
        }
    }
}

/// The target of a `CONNECT` whose head is whole.
fn authority(head: &[u8]) -> Result<Destination, BadDestination> {
    let target = head[CONNECT.len()..].split(|b| *b == b' ').next().unwrap_or_default();
    Destination::connect(std::str::from_utf8(target).map_err(|_| BadDestination::Host)?)
}
