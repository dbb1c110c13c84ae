//! A connection from a program: what does it begin with?

use std::net::SocketAddr;
use std::sync::Arc;

use access::{Refusal, RefusalCode};
use bytes::BytesMut;
use lease::Lessor;
use serve::Wanted;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::answers::refuse::{self, Dialect};
use crate::app::App;
use crate::client::Client;
use crate::entrances::asked::Asked;
use crate::entrances::connection;
use crate::entrances::intercept::{self, Caller, Program};
use crate::entrances::opening::first;
use crate::entrances::redirect;
use crate::entrances::shared;
use crate::entrances::socks_entrance::{self, BadSocks};
use crate::places::destination::{BadDestination, Destination};
use crate::wire::head::{Body, MAX_HEAD, Malformed, header, read_head};
use crate::wire::pipe::Pipe;
use crate::wire::protocol::Protocol;
use crate::wire::socks;

const CONNECT: &[u8] = b"CONNECT ";

/// How often a program may try to prove who it is, on one connection. Git shows nothing before it is asked.
const MAX_ATTEMPTS: usize = 3;

/// Room for the first read: a `CONNECT` and, behind it, most of a TLS greeting.
const FIRST_READ: usize = 1024;

/// How a connection begins.
#[derive(Debug)]
enum Opening {
    /// `CONNECT host:port`, or the same in SOCKS.
    Tunnel(Asked, Destination),
    /// A request, as yet unread.
    Request,
    /// Nothing that is answered, or nothing more: the program left, waited too long, or has its answer.
    Nothing,
}

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Programs beside us.
    Beside,
    /// Connections that the kernel leads here.
    Redirected,
    /// Apps that say who they are.
    Shared,
}

/// Why a connection is refused before it is known where to.
#[derive(Debug, thiserror::Error)]
enum BadOpening {
    #[error(transparent)]
    Head(#[from] Malformed),
    #[error(transparent)]
    Destination(#[from] BadDestination),
    #[error("CONNECT has no body")]
    Body,
    #[error(transparent)]
    Unproven(Refusal),
    #[error(transparent)]
    Socks(#[from] BadSocks),
}

impl BadOpening {
    fn refusal(self) -> (Asked, Refusal) {
        match self {
            Self::Unproven(refusal) => (Asked::Connect, refusal),
            Self::Socks(bad) => (Asked::Silently, bad.refusal()),
            bad @ (Self::Head(_) | Self::Destination(_) | Self::Body) => {
                (Asked::Connect, Refusal::new(RefusalCode::RequestMalformed, bad.to_string()))
            }
        }
    }
}

/// Serves a program's connection to its end; `wanted` tells when its place is.
pub(crate) async fn connection<L: Lessor>(
    app: Arc<App<L>>,
    stream: TcpStream,
    (peer, door): (SocketAddr, Door),
    wanted: &Wanted,
) {
    let client = Client::of(&stream, peer.ip());
    match door {
        Door::Beside => explicit((app, client), Pipe::Clear(stream), wanted).await,
        Door::Redirected => Box::pin(redirect::serve((app, client), (stream, peer), wanted)).await,
        Door::Shared => {
            let Some(shared) = app.shared.clone() else { return };
            let entering = tokio::time::timeout(app.patience().head, Box::pin(shared.enter(stream, client)));
            match first((&app, wanted), entering).await {
                Some(Ok(Ok((io, client)))) => Box::pin(explicit((app, client), io, wanted)).await,
                Some(Ok(Err(error))) => tracing::info!(%peer, %error, "TLS with the shared proxy failed"),
                Some(Err(_)) => tracing::debug!(%peer, "TLS with the shared proxy took too long"),
                None => {}
            }
        }
    }
}

/// Serves a program that knows that it speaks to a proxy.
async fn explicit<L: Lessor>((app, mut client): Caller<L>, mut io: Pipe, wanted: &Wanted) {
    let mut held = BytesMut::with_capacity(FIRST_READ);
    let opening = Box::pin(opening(&app, (&mut io, &mut held), &mut client));
    let opening = tokio::time::timeout(app.patience().head, opening);
    let Some(opening) = first((&app, wanted), opening).await else { return };
    match opening.unwrap_or(Ok(Opening::Nothing)) {
        Ok(Opening::Tunnel(asked, destination)) => {
            if let Err(refusal) = app.limiter.admit_peer(client.address) {
                return refuse((&app, &client, Some(&destination)), (&mut io, asked), &refusal).await;
            }
            let program = Program { io, held, asked, client: client.clone(), destination: None };
            intercept::connect((app, client), program, destination, wanted).await;
        }
        Ok(Opening::Request) => {
            let slot = app.upstreams.slot(Protocol::Http1);
            Box::pin(connection::serve(io, held, (app, client), (None, slot), wanted)).await;
        }
        Ok(Opening::Nothing) => {}
        Err(bad) => {
            let (asked, refusal) = bad.refusal();
            refuse((&app, &client, None), (&mut io, asked), &refusal).await;
        }
    }
}

/// Whom a refusal is for: whoever is at the other end, and where he wanted to go.
type Whom<'a, L> = (&'a App<L>, &'a Client, Option<&'a Destination>);

/// Answers a connection that leads nowhere, and ends it.
pub(crate) async fn refuse<L>(whom: Whom<'_, L>, (program, asked): (&mut Pipe, Asked), refusal: &Refusal) {
    answer_no(whom, (program, asked), refusal).await;
    if program.shutdown().await.is_err() {
        tracing::debug!("the program did not wait for its refusal");
    }
}

/// Says no. The record is closed even if the program does not wait for the answer.
async fn answer_no<L>((app, client, to): Whom<'_, L>, (program, asked): (&mut Pipe, Asked), refusal: &Refusal) {
    let mut entry = app.record_of(client, to);
    entry.refused(refusal.clone());
    let answer = refuse::answer(refusal, Dialect::Plain, entry.id());
    tracing::info!(request = %entry.id(), code = %refusal.code, reason = refusal.message, "connection refused");
    if program.write_all(&asked.refused(refusal.code, &answer)).await.and(program.flush().await).is_err() {
        tracing::debug!("the program did not wait for its refusal");
    }
}

/// Reads as much as tells what is asked for, and of a `CONNECT` the whole head. The bytes of other requests stay in
/// `held`: whoever serves them judges them.
async fn opening<L: Lessor>(
    app: &App<L>,
    (program, held): (&mut Pipe, &mut BytesMut),
    client: &mut Client,
) -> Result<Opening, BadOpening> {
    let (mut attempts, mut read) = (1..MAX_ATTEMPTS, 0);
    loop {
        if held.first() == Some(&socks::VERSION) {
            let wanted = socks_entrance::destination((program, held), client, app.shared.as_deref()).await?;
            return Ok(wanted.map_or(Opening::Nothing, |destination| Opening::Tunnel(Asked::Socks, destination)));
        }
        let shown = held.len().min(CONNECT.len());
        if held[..shown] != CONNECT[..shown] {
            return Ok(Opening::Request);
        }
        // What comes byte by byte is looked at line by line.
        let has_line = held[read..].contains(&b'\n');
        read = held.len();
        if shown == CONNECT.len()
            && (has_line || read > MAX_HEAD)
            && let Some((length, body)) = read_head(held)?
        {
            let head = held.split_to(length);
            read = 0;
            if !matches!(body, Body::None | Body::Length(0)) {
                return Err(BadOpening::Body);
            }
            let destination = authority(&head)?;
            match shared::known(app, client, header(&head, "proxy-authorization").as_deref()).await {
                Ok(known) => *client = known,
                Err(refusal) if refusal.code == RefusalCode::ProxyAuthentication && attempts.next().is_some() => {
                    answer_no((app, &*client, Some(&destination)), (program, Asked::Again), &refusal).await;
                    continue;
                }
                Err(refusal) => return Err(BadOpening::Unproven(refusal)),
            }
            return Ok(Opening::Tunnel(Asked::Connect, destination));
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
