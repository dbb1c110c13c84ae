//! A tunnel to what is no cloud, as far as was asked: whoever speaks first decides what becomes of it. A program that speaks
//! clear-text HTTP is read, because placeholders must not leave through it; a destination that speaks first is no web
//! server; and a program that asked for a number may yet mean a cloud.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use access::Refusal;
use bytes::BytesMut;
use lease::Lessor;
use rustls::ServerConfig;
use serve::Wanted;

use crate::answers::trouble::unreachable;
use crate::app::App;
use crate::entrances::asked::Asked;
use crate::entrances::intercept::{Caller, Program, certified, in_clear, intercept, read, tunnel};
use crate::entrances::opening::first;
use crate::entrances::words::{Spoken, first_words, speaks_first, whole_head};
use crate::places::aim::{Aim, Kind};
use crate::places::destination::{Destination, Scheme};
use crate::places::egress::Barred;
use crate::upstream::DialError;
use crate::wire::head::header;
use crate::wire::hello::server_name;
use crate::wire::pipe::Pipe;
use crate::wire::protocol::Protocol;

/// Whom the greeting of a program names that asked for a number.
enum Named {
    /// A cloud's host, and what it is intercepted with.
    Cloud(Box<Aim>, Arc<ServerConfig>),
    /// Somebody else.
    Other(Destination),
    /// Nobody.
    Nobody,
}

/// Serves a tunnel that was asked for: refused while that can be said, if it leads nowhere. `wanted` tells when its place is.
pub(crate) async fn asked_for<L: Lessor>(caller: Caller<L>, mut program: Program, aim: Aim, wanted: &Wanted) {
    let app = &caller.0;
    let (mut destination, mut said) = match app.upstreams.dialer().pipe(&aim.origin).await {
        Ok(dialled) => dialled,
        Err(error) => return program.refuse(app, &unreachable(&error)).await,
    };
    if !program.welcome().await {
        return;
    }
    let words = async {
        tokio::select! {
            spoken = first_words(&mut program.io, &mut program.held) => Some(spoken),
            speaks = speaks_first(&mut destination, &mut said) => Some(speaks.map(|()| Spoken::Unknown)),
            () = tokio::time::sleep(app.idle()) => None,
        }
    };
    let Some(Some(spoken)) = first((app, wanted), words).await else { return };
    if let Ok(Spoken::Http | Spoken::Http2) = spoken {
        // What is read is sent on connections that are for it: this one would stand idle beside them.
        drop((destination, said));
        let protocol = if let Ok(Spoken::Http2) = spoken { Protocol::Http2 } else { Protocol::Http1 };
        return in_clear(caller, program, (&aim.destination, protocol), wanted).await;
    }
    match spoken {
        Ok(Spoken::Tls) => match named(app, &mut program, &aim.destination).await {
            Ok(Named::Cloud(aim, tls)) => intercept(caller, program, (*aim, tls), wanted).await,
            Ok(Named::Other(_) | Named::Nobody) => tunnel(app, program, (destination, said)).await,
            Err(refusal) => program.refuse(app, &refusal).await,
        },
        Ok(_) => tunnel(app, program, (destination, said)).await,
        Err(error) => tracing::debug!(%error, "the program left its tunnel"),
    }
}

/// Serves a connection that was led here without being asked for: nothing is refused before the program has said whom it
/// means, and `number` is dialled meanwhile. `wanted` tells when its place is.
pub(crate) async fn led_here<L: Lessor>(caller: Caller<L>, mut program: Program, number: Aim, wanted: &Wanted) {
    let app = &caller.0;
    let barred = app.egress.admit(&number, &caller.1).err();
    let mut there = There::at(app, &number, barred.as_ref());
    let words = async {
        tokio::select! {
            spoken = first_words(&mut program.io, &mut program.held) => Some(spoken),
            () = there.speaks_first() => Some(Ok(Spoken::Unknown)),
            () = tokio::time::sleep(app.idle()) => None,
        }
    };
    let Some(Some(spoken)) = first((app, wanted), words).await else { return };
    let named = match spoken {
        Ok(Spoken::Http) => {
            drop(there);
            return by_host(caller, program, (number, barred), wanted).await;
        }
        Ok(Spoken::Tls) => named(app, &mut program, &number.destination).await,
        // HTTP/2 in clear text names its host too late, and clouds do not speak it.
        Ok(Spoken::Http2 | Spoken::Unknown) => Ok(Named::Nobody),
        Err(error) => return tracing::debug!(%error, "the program left its connection"),
    };
    match (named, barred) {
        (Ok(Named::Cloud(aim, tls)), _) => intercept(caller, program, (*aim, tls), wanted).await,
        (Ok(Named::Other(_) | Named::Nobody), None) => through(app, program, there).await,
        (Ok(Named::Other(name)), Some(barred)) => {
            // What only the name allows is dialled by the name.
            let aim = Aim::at(name, &app.endpoints);
            match app.egress.admit(&aim, &caller.1) {
                Ok(()) => through(app, program, There::at(app, &aim, None)).await,
                Err(_) => program.refuse(app, &Refusal::from(&barred)).await,
            }
        }
        (Ok(Named::Nobody), Some(barred)) => program.refuse(app, &Refusal::from(&barred)).await,
        (Err(refusal), _) => program.refuse(app, &refusal).await,
    }
}

/// Clear text that was led here goes to the host that its first request names; to a cloud by name, and else where it was
/// to go.
async fn by_host<L: Lessor>(
    caller: Caller<L>,
    mut program: Program,
    (number, barred): (Aim, Option<Barred>),
    wanted: &Wanted,
) {
    let app = &caller.0;
    let head = tokio::time::timeout(app.patience().head, whole_head(&mut program.io, &mut program.held));
    if head.await != Ok(true) {
        return tracing::debug!("the program left its connection, or did not end its first head");
    }
    program.asked = Asked::Connect;
    let host = header(&program.held, "host").and_then(|host| String::from_utf8(host).ok());
    let named = host.and_then(|host| Destination::of_host(&host, number.destination.port).ok());
    let destination = named.unwrap_or_else(|| number.destination.clone()).over(Scheme::Http);
    if let Err(barred) = app.egress.forbid(&destination) {
        return program.refuse(app, &Refusal::from(&barred)).await;
    }
    let mut aim = Aim::at(destination, &app.endpoints);
    match (aim.kind, barred) {
        (Kind::Cloud | Kind::Cluster, _) => {}
        (Kind::Elsewhere, None) => aim.origin = number.origin.over(Scheme::Http),
        (Kind::Elsewhere, Some(barred)) => {
            if app.egress.admit(&aim, &caller.1).is_err() {
                return program.refuse(app, &Refusal::from(&barred)).await;
            }
        }
    }
    read(caller, program, (aim, Protocol::Http1), wanted).await;
}

async fn through<L>(app: &App<L>, mut program: Program, there: There) {
    if let Err(refusal) = app.limiter.admit_peer(program.client.address) {
        return program.refuse(app, &refusal).await;
    }
    match there.reached().await {
        Ok(destination) => tunnel(app, program, destination).await,
        Err(error) => program.refuse(app, &unreachable(&error)).await,
    }
}

/// A destination that is dialled while the program may already be speaking.
struct There {
    dialling: Pin<Box<dyn Future<Output = Reached> + Send>>,
    reached: Option<Reached>,
}

/// The connection and what was said on it already, or why there is none.
type Reached = Result<(Pipe, BytesMut), DialError>;

impl There {
    /// Nothing is dialled that is barred.
    fn at<L>(app: &App<L>, aim: &Aim, barred: Option<&Barred>) -> Self {
        let (dialer, origin) = (app.upstreams.dialer().clone(), aim.origin.clone());
        let is_barred = barred.is_some();
        let dialling = async move {
            if is_barred {
                return std::future::pending().await;
            }
            dialer.pipe(&origin).await
        };
        Self { dialling: Box::pin(dialling), reached: None }
    }

    /// Ready when it has something to say. That it cannot be reached is told later: the program may mean somebody else.
    /// Cancelling loses nothing.
    async fn speaks_first(&mut self) {
        if self.reached.is_none() {
            self.reached = Some((&mut self.dialling).await);
        }
        if let Some(Ok((pipe, said))) = &mut self.reached
            && speaks_first(pipe, said).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }

    async fn reached(self) -> Reached {
        match self.reached {
            Some(reached) => reached,
            None => self.dialling.await,
        }
    }
}

/// A program that asked for a number and names a cloud's host in its greeting: what that host is intercepted with. It is
/// then the host that is dialled, by our own lookup and under its certificate; see docs/decisions/0010-names-and-numbers.md.
async fn named<L>(app: &App<L>, program: &mut Program, asked: &Destination) -> Result<Named, Refusal> {
    if asked.host.parse::<IpAddr>().is_err() {
        return Ok(Named::Nobody);
    }
    let name = tokio::time::timeout(app.patience().head, server_name(&mut program.io, &mut program.held)).await;
    let Ok(Ok(Some(name))) = name else { return Ok(Named::Nobody) };
    let Ok(destination) = Destination::named(&name, asked.port) else { return Ok(Named::Nobody) };
    app.egress.forbid(&destination).map_err(|barred| Refusal::from(&barred))?;
    let aim = Aim::at(destination, &app.endpoints);
    match aim.kind {
        Kind::Cloud | Kind::Cluster => certified(app, &aim).map(|tls| Named::Cloud(Box::new(aim), tls)),
        Kind::Elsewhere => Ok(Named::Other(aim.destination)),
    }
}
