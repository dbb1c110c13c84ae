//! A program: raw bytes on a socket, and requests signed with a placeholder.

use std::sync::Arc;

use access::{AwsCredential, Secret};
use cloud::aws::form::Form;
use cloud::aws::key::SigningKeys;
use cloud::aws::payload::Payload;
use cloud::aws::sign::{Signer, countersign};
use http::Request;
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::stage::{Stage, noon};

pub(crate) const S3: &str = "acme.s3.us-east-1.amazonaws.com";

/// A request to S3 (or another service), signed as an SDK would sign it.
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) service: &'a str,
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    /// `x-amz-content-sha256`; without it, the hash of `body` is signed and not said.
    pub(crate) declared: Option<&'a str>,
    pub(crate) body: &'a [u8],
    pub(crate) key: (String, String),
    pub(crate) at: Timestamp,
}

pub(crate) const EMPTY_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

impl<'a> Signed<'a> {
    pub(crate) fn get(stage: &Stage, path: &'a str) -> Self {
        Self {
            method: "GET",
            host: S3,
            path,
            service: "s3",
            headers: Vec::new(),
            declared: Some(EMPTY_HASH),
            body: b"",
            key: stage.placeholder(),
            at: noon(),
        }
    }

    pub(crate) fn put(stage: &Stage, path: &'a str, headers: Vec<(&'a str, &'a str)>) -> Self {
        Self { method: "PUT", headers, declared: Some("UNSIGNED-PAYLOAD"), ..Self::get(stage, path) }
    }

    /// The head on the wire; its target in the form for a tunnel.
    pub(crate) fn head(&self) -> String {
        self.head_with("")
    }

    /// The head on the wire; its target in the form for a proxy.
    pub(crate) fn absolute_head(&self) -> String {
        self.head_with(&format!("http://{}", self.host))
    }

    /// The head.
    pub(crate) fn parts(&self) -> Parts {
        let mut request = Request::builder().method(self.method).uri(self.path).header("host", self.host);
        if let Some(declared) = self.declared {
            request = request.header("x-amz-content-sha256", declared);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let credential = AwsCredential {
            access_key_id: self.key.0.clone(),
            secret_access_key: Secret::new(self.key.1.clone()),
            session_token: Secret::new("placeholder-token".into()),
            expires: self.at + SignedDuration::from_hours(1),
        };
        let declared = Payload::declared(&parts.headers).unwrap();
        let payload = declared.unwrap_or_else(|| Payload::of(self.body));
        let signer = Signer {
            form: Form::Header,
            credential: &credential,
            keys: &SigningKeys::new(),
            region: "us-east-1",
            service: self.service,
        };
        countersign(&mut parts, &payload, &signer, self.at).unwrap();
        parts
    }

    fn head_with(&self, before: &str) -> String {
        let parts = self.parts();
        let mut head = format!("{} {before}{} HTTP/1.1\r\n", parts.method, parts.uri);
        for (name, value) in &parts.headers {
            head += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        head + "\r\n"
    }
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, wanted: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value).next()
    }
}

pub(crate) async fn dial(stage: &Stage) -> TcpStream {
    TcpStream::connect(stage.proxy).await.unwrap()
}

/// One request on a connection of its own.
pub(crate) async fn ask(stage: &Stage, request: &str) -> Answer {
    let mut io = dial(stage).await;
    io.write_all(request.as_bytes()).await.unwrap();
    answer(&mut io).await
}

/// A head up to its empty line.
pub(crate) async fn head<I: AsyncRead + Unpin>(io: &mut I) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match io.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// An answer with a length, in chunks, or up to the end.
pub(crate) async fn answer<I: AsyncRead + Unpin>(io: &mut I) -> Answer {
    let head = head(io).await;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let mut answer = Answer { status, head, body: String::new() };
    if let Some(length) = answer.header("content-length").and_then(|length| length.parse().ok()) {
        let mut body = vec![0; length];
        io.read_exact(&mut body).await.unwrap();
        answer.body = String::from_utf8(body).unwrap();
    } else if answer.header("transfer-encoding").is_some() {
        loop {
            let mut line = String::new();
            while !line.ends_with("\r\n") {
                line.push(char::from(io.read_u8().await.unwrap()));
            }
            let mut chunk = vec![0; usize::from_str_radix(line.trim(), 16).unwrap()];
            io.read_exact(&mut chunk).await.unwrap();
            if chunk.is_empty() {
                let mut rest = String::new();
                while !rest.ends_with("\r\n\r\n") && rest != "\r\n" {
                    rest.push(char::from(io.read_u8().await.unwrap()));
                }
                answer.body += rest.trim();
                break;
            }
            answer.body += std::str::from_utf8(&chunk).unwrap();
            io.read_u16().await.unwrap();
        }
    }
    answer
}

/// A tunnel through the proxy.
pub(crate) async fn connect(stage: &Stage, authority: &str) -> TcpStream {
    let mut io = dial(stage).await;
    io.write_all(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes()).await.unwrap();
    let established = head(&mut io).await;
    assert!(established.starts_with("HTTP/1.1 200 "), "{established}");
    io
}

/// TLS to `name` inside a tunnel to `authority`, trusting what programs are told to trust.
pub(crate) async fn tls(stage: &Stage, authority: &str, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    tls_offering(stage, (authority, name), &[]).await
}

/// The same, offering protocols (RFC 7301).
pub(crate) async fn tls_offering(
    stage: &Stage,
    (authority, name): (&str, &str),
    alpn: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let io = connect(stage, authority).await;
    inside(stage, io, (name, alpn)).await
}

/// The same on a connection that leads there already.
pub(crate) async fn over_tls(stage: &Stage, io: TcpStream, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    inside(stage, io, (name, &[])).await
}

async fn inside(stage: &Stage, io: TcpStream, (name, alpn): (&str, &[&[u8]])) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(stage.directory.path().join("run/ca.pem")).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(Noon))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, io).await
}

/// One request and its answer on a connection that goes on.
pub(crate) async fn exchange<I: AsyncRead + AsyncWrite + Unpin>(io: &mut I, request: &str) -> Answer {
    io.write_all(request.as_bytes()).await.unwrap();
    answer(io).await
}

/// The stage's time, for the certificates.
#[derive(Debug)]
struct Noon;

impl rustls::time_provider::TimeProvider for Noon {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        let seconds = u64::try_from(noon().as_second()).ok()?;
        Some(rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

/// What a TLS client begins with that wants to reach `name`.
pub(crate) fn greeting(name: &str) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_owned()).unwrap()).unwrap();
    let mut greeting = Vec::new();
    client.write_tls(&mut greeting).unwrap();
    greeting
}
