//! Dialling: names, addresses, TCP and TLS to a destination, within one time-out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ca::Bundle;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::Request;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::dialled::Dialled as Recent;
use super::line::Line;
use super::names::Names;
use super::seats::{Seat, Seats};
use super::via::{Via, ViaError};
use super::wire::{Io, Wire};
use crate::places::destination::{Destination, Scheme};
use crate::places::egress::{Barred, Egress};
use crate::wire::ahead::Ahead;
use crate::wire::pipe::Pipe;
use crate::wire::protocol::Protocol;

/// How long one address may take before the next is tried beside it (RFC 8305 §5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Addresses tried. AWS's names have up to eight.
const MAX_ADDRESSES: usize = 8;

/// TLS sessions remembered for resumption, one or two per host.
const SESSIONS: usize = 256;

/// Which settings a connection was made under. One that was made under others may have gone where these do not let it, or
/// lead through another proxy: it takes no more requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Era(u64);

impl Era {
    /// The one that follows.
    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Opens connections.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) era: Era,
    pub(crate) tls: Outbound,
    /// Ourselves: a request to the sidecar through the sidecar would go round for ever.
    pub(crate) own: SocketAddr,
    pub(crate) egress: Arc<Egress>,
    pub(crate) names: Arc<Names>,
    pub(crate) seats: Arc<Seats>,
    /// The proxy upstream, if there is one.
    pub(crate) via: Option<Arc<Via>>,
    /// What was dialled just now, if connections are redirected here.
    pub(crate) dialled: Option<Arc<Recent>>,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
}

/// TLS towards destinations, by what it offers.
#[derive(Clone)]
pub(crate) struct Outbound {
    http1: TlsConnector,
    /// HTTP/2, and HTTP/1.1 if the destination speaks nothing newer.
    either: TlsConnector,
}

/// A connection for a program that speaks HTTP/2.
#[derive(Debug)]
pub(crate) enum Dialled {
    /// The destination speaks HTTP/1.1 only.
    Line(Box<Line>),
    /// HTTP/2 is to be spoken on it.
    Http2(Wire),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// The name has no address.
    #[error("the name of {0} cannot be resolved")]
    Resolve(Destination, #[source] io::Error),
    /// It must not be reached.
    #[error(transparent)]
    Barred(#[from] Barred),
    /// It is the sidecar itself.
    #[error("{0} is this proxy itself")]
    Loop(Destination),
    /// No address took the connection.
    #[error("{0} cannot be reached")]
    Connect(Destination, #[source] io::Error),
    /// The proxy upstream does not lead there.
    #[error("{0} cannot be reached through the proxy {1}")]
    Via(Destination, Destination, #[source] ViaError),
    /// Too many connections to it are open.
    #[error(
        "{1} connections to {0} are open, which is all that `proxy.limits.connections_per_host` allows, and none has ended within {2:?}"
    )]
    Full(Destination, usize, Duration),
    /// It took too long.
    #[error("no connection to {0} within {1:?}")]
    Late(Destination, Duration),
    /// The host is nothing that a certificate could name.
    #[error("{0} has no name that TLS could check")]
    Name(Destination),
    /// TLS failed: the certificate is not trusted, or there is no TLS.
    #[error("no TLS with {0}; if it uses a private authority, name it in `proxy.upstream.ca_file`")]
    Tls(Destination, #[source] io::Error),
    /// HTTP could not begin.
    #[error("no HTTP with {0}")]
    Http(Destination, #[source] hyper::Error),
    /// HTTP/2 could not.
    #[error("no HTTP/2 with {0}")]
    Http2(Destination, #[source] h2::Error),
}

impl Dialer {
    /// Whether a connection with these ends is one that was dialled here.
    pub(crate) fn has_dialled(&self, from: SocketAddr, to: SocketAddr) -> bool {
        self.dialled.as_ref().is_some_and(|dialled| dialled.contains(from, to))
    }

    /// Words a request for the way that it will take to `origin`.
    pub(crate) fn address<B>(&self, request: &mut Request<B>, origin: &Destination) {
        if let Some(via) = &self.via {
            via.address(request, origin);
        }
    }

    /// A connection that speaks HTTP/1.1, as soon as there may be one more.
    pub(crate) async fn line(&self, origin: &Destination) -> Result<Box<Line>, DialError> {
        let seat = self.seat(origin).await?;
        self.line_on(seat, origin).await
    }

    /// The same where there may be one more.
    pub(crate) async fn line_on(&self, seat: Arc<Seat>, origin: &Destination) -> Result<Box<Line>, DialError> {
        let (wire, _) = self.in_time(origin, self.wire(origin, Protocol::Http1)).await?;
        self.begin((wire, seat), origin).await
    }

    async fn seat(&self, origin: &Destination) -> Result<Arc<Seat>, DialError> {
        let full = || DialError::Full(origin.clone(), self.seats.per_host(), self.connect_timeout);
        self.seats.wait(origin, self.connect_timeout).await.ok_or_else(full)
    }

    async fn begin(&self, (wire, seat): (Wire, Arc<Seat>), origin: &Destination) -> Result<Box<Line>, DialError> {
        let line = Line::new((origin.clone(), self.era), wire.on(seat)).await;
        line.map_err(|error| DialError::Http(origin.clone(), error))
    }

    /// A connection that speaks what the destination chooses. Without TLS nobody can choose: the program speaks HTTP/2
    /// because it knows that the destination does (RFC 9113 §3.3).
    pub(crate) async fn either(&self, origin: &Destination) -> Result<Dialled, DialError> {
        match self.in_time(origin, self.wire(origin, Protocol::Http2)).await? {
            (wire, Protocol::Http2) => Ok(Dialled::Http2(wire)),
            (wire, Protocol::Http1) => {
                let seat = self.seat(origin).await?;
                self.begin((wire, seat), origin).await.map(Dialled::Line)
            }
        }
    }

    /// A connection for a tunnel, and what the destination has said on it already.
    pub(crate) async fn pipe(&self, origin: &Destination) -> Result<(Pipe, BytesMut), DialError> {
        self.in_time(origin, self.connect(origin, Protocol::Http1)).await
    }

    async fn in_time<T>(
        &self,
        origin: &Destination,
        dialling: impl Future<Output = Result<T, DialError>>,
    ) -> Result<T, DialError> {
        let late = |_| DialError::Late(origin.clone(), self.connect_timeout);
        tokio::time::timeout(self.connect_timeout, dialling).await.map_err(late)?
    }

    /// The bytes to `origin`, and what is to be spoken on them; `wanted` is the newest that may be.
    async fn wire(&self, origin: &Destination, wanted: Protocol) -> Result<(Wire, Protocol), DialError> {
        let (pipe, held) = self.connect(origin, wanted).await?;
        let (io, spoken) = match origin.scheme {
            Scheme::Http => (Io::Clear(pipe), wanted),
            Scheme::Https => {
                let name = ServerName::try_from(origin.host.to_string());
                let name = name.map_err(|_| DialError::Name(origin.clone()))?;
                let tls = self.tls.offering(wanted).connect(name, Ahead::new(pipe, held)).await;
                let tls = tls.map_err(|error| DialError::Tls(origin.clone(), error))?;
                let spoken = Protocol::agreed(tls.get_ref().1.alpn_protocol());
                (Io::Tls(Box::new(tls)), spoken)
            }
        };
        Ok((Wire::new(io, self.idle_timeout), spoken))
    }

    /// A connection on which the destination is at the other end, by itself or through the proxy upstream; `wanted` is
    /// what may be spoken in clear text.
    async fn connect(&self, origin: &Destination, wanted: Protocol) -> Result<(Pipe, BytesMut), DialError> {
        let Some(via) = self.via.as_ref().filter(|via| via.takes(origin)) else {
            let tcp = self.tcp(origin, self.addresses(origin).await?).await?;
            return Ok((Pipe::Clear(tcp), BytesMut::new()));
        };
        self.egress.admit_unseen(origin)?;
        let tcp = self.tcp(&via.proxy, self.look_up(&via.proxy).await?).await?;
        via.lead(tcp, (origin, wanted)).await.map_err(|error| DialError::Via(origin.clone(), via.proxy.clone(), error))
    }

    async fn tcp(&self, origin: &Destination, addresses: Vec<SocketAddr>) -> Result<TcpStream, DialError> {
        if addresses.iter().any(|address| self.is_own(*address)) {
            return Err(DialError::Loop(origin.clone()));
        }
        let failed = |error| DialError::Connect(origin.clone(), error);
        let tcp = first_of(in_turns(addresses)).await.map_err(failed)?;
        if self.is_own_host(&tcp).map_err(failed)? {
            return Err(DialError::Loop(origin.clone()));
        }
        tcp.set_nodelay(true).map_err(failed)?;
        if let Some(dialled) = &self.dialled {
            dialled.note(tcp.local_addr().map_err(failed)?, tcp.peer_addr().map_err(failed)?);
        }
        Ok(tcp)
    }

    /// Where the host is just now: what is dialled is what was checked, so that no second answer can lead elsewhere.
    async fn addresses(&self, origin: &Destination) -> Result<Vec<SocketAddr>, DialError> {
        if let Ok(address) = origin.host.parse() {
            return Ok(vec![SocketAddr::new(address, origin.port)]);
        }
        let (mut admitted, mut barred) = (Vec::new(), None);
        for address in self.look_up(origin).await? {
            match self.egress.admit_address(origin, address.ip()) {
                Ok(()) => admitted.push(address),
                Err(because) => barred = Some(because),
            }
        }
        match barred {
            Some(barred) if admitted.is_empty() => Err(barred.into()),
            Some(_) | None => Ok(admitted),
        }
    }

    async fn look_up(&self, origin: &Destination) -> Result<Vec<SocketAddr>, DialError> {
        let found = self.names.look_up(&origin.host, origin.port).await;
        found.map_err(|error| DialError::Resolve(origin.clone(), error))
    }

    /// `::ffff:127.0.0.1` is `127.0.0.1` to the kernel.
    fn is_own(&self, address: SocketAddr) -> bool {
        let (own, ip) = (self.own.ip().to_canonical(), address.ip().to_canonical());
        let same_host = ip == own || ip.is_unspecified() || (own.is_unspecified() && ip.is_loopback());
        address.port() == self.own.port() && same_host
    }

    /// Where we listen on every address of this machine, any of them leads back to us; both ends have it then. Whoever
    /// came round would seem to call from here, and `allowed_ips` would be about us.
    fn is_own_host(&self, tcp: &TcpStream) -> io::Result<bool> {
        if !self.own.ip().is_unspecified() {
            return Ok(false);
        }
        let (here, there) = (tcp.local_addr()?, tcp.peer_addr()?);
        Ok(there.port() == self.own.port() && here.ip().to_canonical() == there.ip().to_canonical())
    }
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer").field("own", &self.own).finish_non_exhaustive()
    }
}

/// Both families in turns, the one first that the resolver prefers (RFC 8305 §4): where one of them leads nowhere, only
/// every other attempt is lost.
fn in_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (one, other): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv4() == first);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut turns: Vec<SocketAddr> = std::iter::from_fn(|| match (one.next(), other.next()) {
        (None, None) => None,
        (a, b) => Some(a.into_iter().chain(b)),
    })
    .flatten()
    .collect();
    turns.truncate(MAX_ADDRESSES);
    turns
}

/// The first address that takes the connection; the next is tried when one fails or takes long.
async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut left = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    attempts.extend(left.next().map(TcpStream::connect));
    while !attempts.is_empty() {
        tokio::select! {
            Some(attempt) = attempts.next() => match attempt {
                Ok(tcp) => return Ok(tcp),
                Err(error) => last = error,
            },
            () = tokio::time::sleep(NEXT_ADDRESS_AFTER), if left.len() > 0 => {}
        }
        attempts.extend(left.next().map(TcpStream::connect));
    }
    Err(last)
}

impl Outbound {
    /// TLS 1.2 and 1.3 towards destinations, with `roots`; sessions are resumed.
    pub(crate) fn new(roots: &Bundle) -> Result<Self, rustls::Error> {
        let config = roots.client_config()?;
        let offering = |protocols: &[Protocol]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.alpn().to_vec()).collect();
            config.resumption = Resumption::in_memory_sessions(SESSIONS);
            TlsConnector::from(Arc::new(config))
        };
        Ok(Self { http1: offering(&[Protocol::Http1]), either: offering(&[Protocol::Http2, Protocol::Http1]) })
    }

    /// For what speaks HTTP/1.1 whatever happens.
    pub(crate) const fn http1(&self) -> &TlsConnector {
        &self.http1
    }

    const fn offering(&self, newest: Protocol) -> &TlsConnector {
        match newest {
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.either,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn proxy_on_every_address_knows_itself_by_any_of_them() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let dialer = |own: &str, port: u16| Dialer {
            era: Era::default(),
            tls: Outbound::new(&Bundle::default()).unwrap(),
            own: SocketAddr::new(own.parse().unwrap(), port),
            egress: Arc::default(),
            names: Arc::default(),
            seats: Arc::new(Seats::new(1)),
            via: None,
            dialled: None,
            connect_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(1),
        };
        assert!(dialer("0.0.0.0", port).is_own_host(&tcp).unwrap());
        assert!(!dialer("0.0.0.0", port - 1).is_own_host(&tcp).unwrap());
        assert!(!dialer("127.0.0.2", port).is_own_host(&tcp).unwrap(), "a neighbour on another address");
    }

    #[test]
    fn families_take_turns_and_the_preferred_one_begins() {
        let turns = |list: &[&str]| {
            let addresses = list.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 1)).collect();
            in_turns(addresses).iter().map(|address| address.ip().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            turns(&["::1", "::2", "::3", "10.0.0.1", "10.0.0.2"]),
            ["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"]
        );
        assert_eq!(turns(&["10.0.0.1", "::1", "10.0.0.2"]), ["10.0.0.1", "::1", "10.0.0.2"]);
        assert_eq!(turns(&["::1"; 70]).len(), MAX_ADDRESSES);
        assert!(turns(&[]).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn address_that_answers_is_not_kept_waiting_by_one_that_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        // RFC 5737: documentation addresses lead nowhere, or are refused at once.
        let silent = "192.0.2.1:443".parse().unwrap();
        let tcp = first_of(vec![silent, good]).await.unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), good);
    }
}
