//! After a tunnel was asked for: TLS to a cloud is intercepted, clear-text HTTP is read, all else is tunnelled.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use access::{Refusal, RefusalCode};
use bytes::BytesMut;
use ca::Host;
use cloud::aws::cluster::is_api_server;
use lease::Lessor;
use rustls::ServerConfig;
use rustls::server::{Acceptor, ClientHello};
use serve::Wanted;
use tokio::io::AsyncWriteExt;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::answers::refuse::with_causes;
use crate::answers::tunnel::Open;
use crate::app::App;
use crate::books::metrics::Present;
use crate::client::Client;
use crate::entrances::accept::refuse;
use crate::entrances::asked::Asked;
use crate::entrances::connection;
use crate::entrances::distrust;
use crate::entrances::meeting;
use crate::entrances::opening::first;
use crate::entrances::streams;
use crate::entrances::words::{Spoken, first_words};
use crate::places::aim::{Aim, Kind};
use crate::places::destination::{Destination, Scheme};
use crate::upstream::Slot;
use crate::wire::ahead::Ahead;
use crate::wire::pipe::Pipe;
use crate::wire::protocol::Protocol;

/// A program's connection on which a tunnel was asked for.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) io: Pipe,
    /// What was read of it ahead.
    pub(crate) held: BytesMut,
    pub(crate) asked: Asked,
    /// Whose it is.
    pub(crate) client: Client,
    /// Where it was asked to lead, if that could be told.
    pub(crate) destination: Option<Destination>,
}

/// Whose connection it is.
pub(crate) type Caller<L> = (Arc<App<L>>, Client);

/// Serves a connection that asked for a tunnel to `destination`; `wanted` tells when its place is.
pub(crate) async fn connect<L: Lessor>(
    caller: Caller<L>,
    mut program: Program,
    destination: Destination,
    wanted: &Wanted,
) {
    program.destination = Some(destination.clone());
    let aim = Aim::at(destination, &caller.0.endpoints);
    if let Err(barred) = caller.0.egress.admit(&aim, &caller.1) {
        return program.refuse(&caller.0, &Refusal::from(&barred)).await;
    }
    match aim.kind {
        Kind::Cloud | Kind::Cluster => to_cloud(caller, program, aim, wanted).await,
        Kind::Elsewhere => {
            tell_of_cluster(&caller.0, &aim.destination);
            Box::pin(meeting::asked_for(caller, program, aim, wanted)).await;
        }
    }
}

/// In the tunnel nobody can say why a cluster refuses a placeholder's bearer. Clusters that the config leaves alone by
/// name are meant to be.
fn tell_of_cluster<L>(app: &App<L>, Destination { host, port, .. }: &Destination) {
    if is_api_server(host) && !app.endpoints.leave_alone(host, *port) && app.distrust.is_news(host) {
        tracing::info!(
            %host,
            "the API server of an EKS cluster is tunnelled, and takes no bearer that was made with a placeholder: \
             name it in `eks_clusters` if programs here have no credentials of their own for it"
        );
    }
}

impl Program {
    pub(crate) async fn refuse<L>(&mut self, app: &App<L>, refusal: &Refusal) {
        let to = self.destination.as_ref();
        refuse((app, &self.client, to), (&mut self.io, self.asked), refusal).await;
    }

    /// Says that the tunnel stands; false if the program has left.
    pub(crate) async fn welcome(&mut self) -> bool {
        let welcomed = self.io.write_all(self.asked.established()).await.is_ok();
        self.asked = Asked::Silently;
        welcomed
    }
}

async fn to_cloud<L: Lessor>(caller: Caller<L>, mut program: Program, aim: Aim, wanted: &Wanted) {
    let app = &caller.0;
    let tls = match certified(app, &aim) {
        Ok(tls) => tls,
        Err(refusal) => return program.refuse(app, &refusal).await,
    };
    if !program.welcome().await {
        return;
    }
    let words = tokio::time::timeout(app.patience().head, first_words(&mut program.io, &mut program.held));
    let Some(spoken) = first((app, wanted), words).await else { return };
    match spoken {
        Ok(Ok(Spoken::Tls)) => Box::pin(intercept(caller, program, (aim, tls), wanted)).await,
        Ok(Ok(Spoken::Http)) => in_clear(caller, program, (&aim.destination, Protocol::Http1), wanted).await,
        Ok(Ok(Spoken::Http2)) => in_clear(caller, program, (&aim.destination, Protocol::Http2), wanted).await,
        Ok(Ok(Spoken::Unknown)) => match Box::pin(app.upstreams.dialer().pipe(&aim.origin)).await {
            Ok(destination) => tunnel(app, program, destination).await,
            Err(error) => tracing::debug!(cause = with_causes(&error), "tunnel leads nowhere"),
        },
        Ok(Err(error)) => tracing::debug!(%error, "the program left its tunnel"),
        Err(_) => tracing::debug!("nothing was said in a tunnel"),
    }
}

/// What a host is intercepted with.
pub(crate) fn certified<L>(app: &App<L>, aim: &Aim) -> Result<Arc<ServerConfig>, Refusal> {
    let host = Host::parse(&aim.destination.host).map_err(|error| error.to_string());
    host.and_then(|host| app.tls.for_host(host).map_err(|error| with_causes(&error))).map_err(|cause| {
        Refusal::new(RefusalCode::NotSupported, format!("{} cannot be intercepted: {cause}", aim.destination))
    })
}

/// Both sides of a connection agree on what they speak, and the program's requests are served. `wanted` tells when its
/// place is.
pub(crate) async fn intercept<L: Lessor>(
    (app, client): Caller<L>,
    program: Program,
    (aim, tls): (Aim, Arc<ServerConfig>),
    wanted: &Wanted,
) {
    // Whatever a handshake needs is given back with its end: a connection may then rest for hours.
    let handshake = Box::pin(shake_hands((&app, client.address), program, (&aim, tls), wanted));
    let Some((program, slot)) = handshake.await else { return };
    match slot.protocol() {
        Protocol::Http1 => {
            Box::pin(connection::serve(program, BytesMut::new(), (app, client), (Some(aim), slot), wanted)).await;
        }
        Protocol::Http2 => Box::pin(streams::serve(program, (app, client), (Some(aim), slot), wanted)).await,
    }
}

/// The program's handshake and, meanwhile, the line to the destination.
async fn shake_hands<L>(
    (app, from): (&App<L>, IpAddr),
    Program { io, held, .. }: Program,
    (aim, tls): (&Aim, Arc<ServerConfig>),
    wanted: &Wanted,
) -> Option<(Box<TlsStream<Ahead<Pipe>>>, Arc<Slot>)> {
    let hello = LazyConfigAcceptor::new(Acceptor::default(), Ahead::new(io, held));
    let began = match first((app, wanted), tokio::time::timeout(app.patience().head, hello)).await? {
        Ok(Ok(began)) => began,
        Ok(Err(error)) => {
            tracing::debug!(%error, "no TLS greeting of a program");
            return None;
        }
        Err(_) => return took_too_long(),
    };
    let slot = agree(app, &Offered::by(&began.client_hello()), &aim.origin).await;
    let handshake = began.into_stream(speaking(slot.protocol(), tls));
    let handshake = tokio::time::timeout(app.patience().head, handshake);
    match app.upstreams.prepare(&slot, &aim.origin, handshake).await {
        Ok(Ok(program)) => Some((Box::new(program), slot)),
        Ok(Err(error)) => {
            handshake_failed((app, from), aim, &error);
            None
        }
        Err(_) => took_too_long(),
    }
}

fn took_too_long<T>() -> Option<T> {
    tracing::debug!("TLS handshake of a program took too long");
    None
}

/// Says so, and to the audit once in a while, if it looks as if the program did not accept our certificate: nothing else
/// would tell why it makes no calls.
fn handshake_failed<L>((app, from): (&App<L>, IpAddr), aim: &Aim, error: &io::Error) {
    tracing::info!(destination = %aim.destination, %error, "TLS handshake of a program failed");
    let host = &aim.destination.host;
    if let Some(refusal) = distrust::refusal(host, error)
        && app.distrust.is_news(host)
    {
        tracing::warn!(
            host = &**host,
            reason = refusal.message,
            help = refusal.help,
            "a program does not trust our root"
        );
        app.record(from, Arc::default()).refused(refusal);
    }
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

/// Reads clear text that goes to `destination`.
pub(crate) async fn in_clear<L: Lessor>(
    caller: Caller<L>,
    program: Program,
    (destination, protocol): (&Destination, Protocol),
    wanted: &Wanted,
) {
    let aim = Aim::at(destination.over(Scheme::Http), &caller.0.endpoints);
    read(caller, program, (aim, protocol), wanted).await;
}

/// Reads clear text that goes where `aim` leads.
pub(crate) async fn read<L: Lessor>(
    caller: Caller<L>,
    Program { io, held, .. }: Program,
    (aim, protocol): (Aim, Protocol),
    wanted: &Wanted,
) {
    let slot = caller.0.upstreams.slot(protocol);
    match protocol {
        Protocol::Http1 => Box::pin(connection::serve(io, held, caller, (Some(aim), slot), wanted)).await,
        Protocol::Http2 => Box::pin(streams::serve(Ahead::new(io, held), caller, (Some(aim), slot), wanted)).await,
    }
}

/// Carries bytes; `said` is what the destination has said already.
pub(crate) async fn tunnel<L>(
    app: &App<L>,
    Program { io, held, client, destination: to, .. }: Program,
    (destination, said): (Pipe, BytesMut),
) {
    let mut entry = app.record_of(&client, to.as_ref());
    entry.only_counted();
    entry.tunnelled();
    app.metrics.tunnels.add(1);
    let _present = Present::count(&app.metrics, |metrics| &metrics.open_tunnels);
    let (mut program, destination) = (Ahead::new(io, held), Ahead::new(destination, said));
    if let Err(error) = Open::new(entry).carry(&mut program, destination, app.idle()).await {
        tracing::debug!(%error, "tunnel broke");
    }
}
