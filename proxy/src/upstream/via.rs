//! A proxy upstream: what goes through it, and how it is asked.

use std::io;
use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf, BytesMut};
use http::header::PROXY_AUTHORIZATION;
use http::uri::{Authority, Parts};
use http::{HeaderValue, Request, Uri};
use httparse::{EMPTY_HEADER, Response, Status};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::places::destination::{Destination, Scheme};
use crate::places::egress::is_localhost;
use crate::wire::head::MAX_HEADERS;
use crate::wire::pipe::Pipe;
use crate::wire::protocol::Protocol;

/// Longest head of the answer to `CONNECT`.
const MAX_ANSWER: usize = 16 * 1024;

/// A proxy upstream.
pub(crate) struct Via {
    pub(crate) proxy: Destination,
    /// Offers HTTP/1.1 only: `CONNECT` over HTTP/2 is another thing (RFC 9113 §8.5).
    tls: TlsConnector,
    authorization: Option<HeaderValue>,
    past: config::Places,
}

/// Why a proxy upstream leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ViaError {
    /// The connection failed.
    #[error("the connection broke off")]
    Io(#[from] io::Error),
    /// Its certificate could name nothing.
    #[error("it has no name that TLS could check")]
    Name,
    /// What it answered is not HTTP.
    #[error("it does not answer as a proxy does")]
    NotHttp,
    /// It wants other credentials, or some.
    #[error("it asks for other credentials; see `proxy.upstream.proxy.credentials`")]
    Credentials,
    /// It does not want to.
    #[error("it answered with status {0}")]
    Refused(u16),
}

impl Via {
    pub(crate) fn new(via: &config::Via, tls: TlsConnector) -> Self {
        let authorization = via.credentials.as_ref().map(|credentials| {
            let text = format!("Basic {}", BASE64_STANDARD.encode(credentials.expose()));
            let mut value = HeaderValue::try_from(text).expect("base64 is visible ASCII");
            value.set_sensitive(true);
            value
        });
        Self { proxy: Destination::of_url(&via.url), tls, authorization, past: via.past.clone() }
    }

    /// Whether `origin` is reached through it. Loopback is ours, not the proxy's.
    pub(crate) fn takes(&self, origin: &Destination) -> bool {
        match origin.host.parse::<IpAddr>() {
            Ok(address) => !address.to_canonical().is_loopback() && !self.past.have_address(address, origin.port),
            Err(_) => !is_localhost(&origin.host) && !self.past.have_name(&origin.host, origin.port),
        }
    }

    /// Turns a connection to the proxy into one to `origin`, and gives what came of it already. Requests in clear text
    /// need no tunnel, but in HTTP/2, which no proxy takes so: see [`Self::address`].
    pub(crate) async fn lead(
        &self,
        tcp: TcpStream,
        (origin, wanted): (&Destination, Protocol),
    ) -> Result<(Pipe, BytesMut), ViaError> {
        let mut pipe = match self.proxy.scheme {
            Scheme::Http => Pipe::Clear(tcp),
            Scheme::Https => {
                let name = ServerName::try_from(self.proxy.host.to_string()).map_err(|_| ViaError::Name)?;
                Pipe::Tls(Box::new(self.tls.connect(name, tcp).await?.into()))
            }
        };
        let mut held = BytesMut::new();
        if origin.scheme == Scheme::Https || wanted == Protocol::Http2 {
            self.ask(&mut pipe, origin).await?;
            answer(&mut pipe, &mut held).await?;
        }
        Ok((pipe, held))
    }

    /// Words a request in clear text as a proxy takes it: with the whole URL (RFC 9112 §3.2.2).
    pub(crate) fn address<B>(&self, request: &mut Request<B>, origin: &Destination) {
        if origin.scheme == Scheme::Https || !self.takes(origin) {
            return;
        }
        let mut parts = Parts::default();
        parts.scheme = Some(http::uri::Scheme::HTTP);
        parts.authority = Authority::try_from(origin.to_string()).ok();
        parts.path_and_query = request.uri().path_and_query().cloned();
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
    }

    async fn ask(&self, pipe: &mut Pipe, origin: &Destination) -> io::Result<()> {
        let mut head = format!("CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\n").into_bytes();
        if let Some(authorization) = &self.authorization {
            head.extend_from_slice(b"Proxy-Authorization: ");
            head.extend_from_slice(authorization.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        pipe.write_all(&head).await?;
        pipe.flush().await
    }
}

impl std::fmt::Debug for Via {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Via").field("proxy", &self.proxy).finish_non_exhaustive()
    }
}

/// Reads the answer to `CONNECT`; what follows its head stays in `held`.
async fn answer(pipe: &mut Pipe, held: &mut BytesMut) -> Result<(), ViaError> {
    loop {
        if pipe.read_buf(held).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let mut headers = [EMPTY_HEADER; MAX_HEADERS];
        let mut response = Response::new(&mut headers);
        let length = match response.parse(held) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) if held.len() <= MAX_ANSWER => continue,
            Ok(Status::Partial) | Err(_) => return Err(ViaError::NotHttp),
        };
        return match response.code.ok_or(ViaError::NotHttp)? {
            200..=299 => {
                held.advance(length);
                Ok(())
            }
            407 => Err(ViaError::Credentials),
            other => Err(ViaError::Refused(other)),
        };
    }
}
