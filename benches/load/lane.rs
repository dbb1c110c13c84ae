//! One way to the origin, and how requests are written there.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use aws_lc_rs::hmac;
use tokio_rustls::TlsConnector;

use crate::client::Route;
use crate::server::Server;
use crate::stage::{self, CHUNKED, CHUNKS, STREAM, SignedChunks, UNSIGNED, Unsigned};

/// What a lane's requests are signed with.
#[derive(Clone)]
pub(crate) struct Placeholder {
    id: String,
    secret: String,
    key: hmac::Key,
    date: String,
}

/// A lane.
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) route: Route,
    /// What is measured; the direct way has nothing.
    pub(crate) server: Option<Server>,
    /// Where the lane is not direct, its client signs if it is ours.
    pub(crate) placeholder: Option<Placeholder>,
    /// Whether any host may be asked for.
    pub(crate) takes_any_host: bool,
}

impl Placeholder {
    pub(crate) fn new(id: &str, secret: &str) -> Self {
        let date = stage::date();
        Self { id: id.to_owned(), secret: secret.to_owned(), key: stage::signing_key(secret, &date), date }
    }
}

impl Lane {
    /// The origin itself.
    pub(crate) fn direct(port: u16, root: &Path) -> anyhow::Result<Self> {
        let route = Route { address: ([127, 0, 0, 1], port).into(), tunnel: false, tls: connector(root)? };
        Ok(Self { name: "direct".into(), route, server: None, placeholder: None, takes_any_host: true })
    }

    /// Through a server, with or without asking it for a tunnel.
    pub(crate) fn through(name: &str, (server, tunnel): (Server, bool), root: &Path) -> anyhow::Result<Self> {
        let address = ([127, 0, 0, 1], *server.ports.first().context("a port")?).into();
        let route = Route { address, tunnel, tls: connector(root)? };
        Ok(Self { name: name.into(), route, server: Some(server), placeholder: None, takes_any_host: tunnel })
    }

    /// Its client signs.
    pub(crate) fn signed(self, placeholder: Placeholder) -> Self {
        Self { placeholder: Some(placeholder), ..self }
    }

    /// The same way, offering one protocol only (RFC 7301).
    pub(crate) fn speaking(&self, root: &Path, protocol: &[u8]) -> anyhow::Result<Self> {
        let mut tls = stage::client_tls(root)?.as_ref().clone();
        tls.alpn_protocols = vec![protocol.to_vec()];
        let route = Route { tls: TlsConnector::from(Arc::new(tls)), ..self.route.clone() };
        Ok(Self {
            name: self.name.clone(),
            route,
            server: None,
            placeholder: self.placeholder.clone(),
            takes_any_host: true,
        })
    }

    /// The same way, signing by the time that it is now.
    pub(crate) fn resigned(&self) -> Self {
        let placeholder = self.placeholder.as_ref().map(|old| Placeholder::new(&old.id, &old.secret));
        let (name, route) = (self.name.clone(), self.route.clone());
        Self { name, route, server: None, placeholder, takes_any_host: self.takes_any_host }
    }

    /// `GET` of a kibibyte.
    pub(crate) fn get(&self, host: &str) -> Vec<u8> {
        self.request("GET", (host, "/object"), (UNSIGNED, None)).0
    }

    /// `GET` of [`STREAM`] bytes.
    pub(crate) fn get_stream(&self) -> Vec<u8> {
        self.request("GET", (stage::HOST, "/stream"), (UNSIGNED, None)).0
    }

    /// The head of a `PUT` of [`STREAM`] bytes.
    pub(crate) fn put_stream(&self) -> Vec<u8> {
        self.request("PUT", (stage::HOST, "/stream"), (UNSIGNED, Some(STREAM))).0
    }

    /// A `PUT` of [`CHUNKED`] bytes in signed chunks of `chunk`: head and body. `None` if the lane's client does not sign.
    pub(crate) fn put_chunks(&self, path: &str, chunk: usize) -> Option<(Vec<u8>, SignedChunks)> {
        let Placeholder { key, date, .. } = self.placeholder.as_ref()?;
        let length = stage::framed_length(CHUNKED, chunk) as u64;
        let (head, seed) = self.request("PUT", (stage::HOST, path), (CHUNKS, Some(length)));
        Some((head, SignedChunks::new((CHUNKED, chunk), (date, key, &seed))))
    }

    /// Whether what arrives at the origin is signed with the lease, and not with what the client has.
    pub(crate) async fn is_countersigned(&self) -> anyhow::Result<bool> {
        let get = self.request("GET", (stage::HOST, stage::SHOWN), (UNSIGNED, None)).0;
        let mut connection = self.route.connect(stage::HOST).await?;
        connection.exchange(&get).await?;
        let shown = connection.text();
        Ok(shown.contains(&format!("Credential={}/", stage::SIGNER)) && shown.contains("Signature="))
    }

    /// A head, and its signature.
    pub(crate) fn request(
        &self,
        method: &str,
        (host, path): (&str, &str),
        body: (&str, Option<u64>),
    ) -> (Vec<u8>, String) {
        let (payload, length) = body;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nx-amz-content-sha256: {payload}\r\n");
        if let Some(length) = length {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        if payload == CHUNKS {
            head.push_str(&format!("Content-Encoding: aws-chunked\r\nx-amz-decoded-content-length: {CHUNKED}\r\n"));
        }
        let mut head = head.into_bytes();
        let mut signature = String::new();
        if let Some(Placeholder { id, key, date, .. }) = &self.placeholder {
            let decoded = (payload == CHUNKS).then_some(CHUNKED);
            signature = Unsigned { method, path, host, date, token: None, payload, decoded }.sign((id, key), &mut head);
        }
        head.extend_from_slice(b"\r\n");
        (head, signature)
    }
}

fn connector(root: &Path) -> anyhow::Result<TlsConnector> {
    Ok(TlsConnector::from(stage::client_tls(root)?))
}
