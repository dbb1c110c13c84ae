//! A program that knows nothing but a proxy's address, a CA file and placeholder keys; it says every byte itself.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::clock::Clock;
use super::payload::{By, Chain, Form, crc32, frame};
use super::served::{Duplex, in_chunks};
use super::sigv4::{Authorization, Reading, Scope, Signable, amz_date, canonical, covered, signature};
use super::watch::Watched;
use super::wire::{Body, Head, read_head};

/// Nothing on loopback takes so long; whoever waits longer waits for ever, and the test says so.
const PATIENCE: Duration = Duration::from_secs(30);

/// Access keys as they stand in a program's environment.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// The program.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) proxy: SocketAddr,
    pub(crate) keys: Keys,
    /// What it says of itself to the proxy.
    authorization: Option<String>,
    clock: Clock,
    tls: Arc<ClientConfig>,
}

/// The world's clock, for certificates.
#[derive(Debug)]
struct WorldTime(Clock);

impl TimeProvider for WorldTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

impl Program {
    /// A program that trusts the certificates in `pem`, and no others.
    pub(crate) fn new(proxy: SocketAddr, (keys, pem): (Keys, &[u8]), clock: &Clock) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.expect("the CA file is PEM")).expect("a root that can be trusted");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_details(provider, Arc::new(WorldTime(clock.clone())))
            .with_safe_default_protocol_versions()
            .expect("the provider speaks TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { proxy, keys, authorization: None, clock: clock.clone(), tls: Arc::new(tls) }
    }

    /// Where it finds the proxy.
    pub(crate) const fn proxy(&self) -> SocketAddr {
        self.proxy
    }

    /// The same program with other keys.
    pub(crate) fn with_keys(&self, keys: Keys) -> Self {
        Self { keys, ..self.clone() }
    }

    /// The same program at a proxy that asks who it is.
    pub(crate) fn sharing(&self, proxy: SocketAddr, authorization: &str) -> Self {
        Self { proxy, authorization: Some(authorization.to_owned()), ..self.clone() }
    }

    /// A connection to the proxy, and nothing said.
    pub(crate) async fn plain(&self) -> Connection {
        Connection::over(TcpStream::connect(self.proxy).await.expect("the proxy listens"))
    }

    /// A tunnel to `authority`, and nothing said in it; the answer if it is not opened.
    pub(crate) async fn tunnel(&self, authority: &str) -> std::result::Result<TcpStream, Reply> {
        let stream = TcpStream::connect(self.proxy).await.expect("the proxy listens");
        let mut connection = BufReader::new(stream);
        let shown = self.authorization.as_ref();
        let shown = shown.map_or(String::new(), |shown| format!("Proxy-Authorization: {shown}\r\n"));
        let asked = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{shown}\r\n");
        connection.write_all(asked.as_bytes()).await.expect("the proxy reads");
        let head = soon(read_head(&mut connection)).await.expect("an answer to CONNECT").expect("an answer to CONNECT");
        if head.status().expect("a status") == 200 {
            assert!(connection.buffer().is_empty(), "nothing is said in a tunnel before the program speaks");
            return Ok(connection.into_inner());
        }
        let mut body = Body::of_answer(&head, "GET").expect("framing");
        let body = soon(body.rest(&mut connection)).await.expect("a whole refusal");
        Err(Reply { head, body, continued: false })
    }

    /// TLS in a tunnel, with a name in the handshake that may be another than the tunnel's.
    pub(crate) async fn tls(&self, authority: &str, name: &str) -> Result<TlsStream<TcpStream>> {
        self.tls_offering(authority, name, &[]).await
    }

    /// The same, offering protocols (RFC 7301).
    pub(crate) async fn tls_offering(
        &self,
        authority: &str,
        name: &str,
        alpn: &[&[u8]],
    ) -> Result<TlsStream<TcpStream>> {
        let mut tls = ClientConfig::clone(&self.tls);
        tls.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        let tunnel = self.tunnel(authority).await.map_err(|reply| Error::other(format!("no tunnel: {reply:?}")))?;
        let name = ServerName::try_from(name.to_owned()).expect("a server name");
        soon(TlsConnector::from(Arc::new(tls)).connect(name, tunnel)).await
    }

    /// As an SDK does it for `https://host/`.
    pub(crate) async fn secure(&self, host: &str) -> Connection {
        Connection::over(self.tls(&format!("{host}:443"), host).await.expect("the proxy is trusted for the host"))
    }

    /// Signs a request with the program's keys, now.
    pub(crate) fn sign(&self, ask: Ask) -> Signed {
        ask.signed(&self.keys, self.clock.now())
    }

    /// The same, for an answer that is to hold a credential.
    pub(crate) async fn secure_unwatched(&self, host: &str) -> Connection {
        Connection::unwatched(self.tls(&format!("{host}:443"), host).await.expect("the proxy is trusted for the host"))
    }

    /// A request on a connection of its own.
    pub(crate) async fn call(&self, ask: Ask) -> Reply {
        let mut connection = self.secure(&ask.host).await;
        connection.call(&self.sign(ask)).await.expect("an answer")
    }
}

/// Waits, but not for ever.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("nothing on loopback takes so long")
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    /// Whether `100 Continue` came first.
    pub(crate) continued: bool,
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        self.head.status().expect("a status")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection on which requests are sent one after the other.
pub(crate) struct Connection {
    wire: BufReader<Box<dyn Duplex>>,
}

impl Connection {
    /// To the product: whatever comes is watched for real credentials.
    pub(crate) fn over(stream: impl Duplex + 'static) -> Self {
        Self::unwatched(Watched::new(stream))
    }

    /// To somebody who may show some.
    pub(crate) fn unwatched(stream: impl Duplex + 'static) -> Self {
        Self { wire: BufReader::new(Box::new(stream)) }
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        soon(self.wire.write_all(bytes)).await?;
        soon(self.wire.flush()).await
    }

    /// Sends bytes in pieces of these sizes, over and over.
    pub(crate) async fn send_in(&mut self, sizes: &[usize], mut bytes: &[u8]) -> Result<()> {
        for size in sizes.iter().cycle() {
            let (piece, rest) = bytes.split_at((*size).min(bytes.len()));
            self.send(piece).await?;
            bytes = rest;
            if bytes.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Reads a whole answer to a request of that method. An end too early is an error.
    pub(crate) async fn answer(&mut self, method: &str) -> Result<Reply> {
        soon(self.answer_whenever(method)).await
    }

    /// The same, however long it takes.
    pub(crate) async fn answer_whenever(&mut self, method: &str) -> Result<Reply> {
        let mut continued = false;
        loop {
            let head = read_head(&mut self.wire).await?.ok_or(ErrorKind::ConnectionAborted)?;
            if head.status()? == 100 {
                continued = true;
                continue;
            }
            let mut body = Body::of_answer(&head, method)?;
            let body = body.rest(&mut self.wire).await?;
            return Ok(Reply { head, body, continued });
        }
    }

    /// Reads one head: an interim answer, or a final one whose body is left.
    pub(crate) async fn head(&mut self) -> Result<Head> {
        soon(read_head(&mut self.wire)).await?.ok_or_else(|| ErrorKind::ConnectionAborted.into())
    }

    /// Sends a signed request, and reads its answer.
    pub(crate) async fn call(&mut self, request: &Signed) -> Result<Reply> {
        let sent = self.send(&[request.head(None), request.framed_body()].concat()).await;
        // Whoever refuses early may have answered before it stopped reading.
        let answer = self.answer(&request.method).await;
        if answer.is_err() { sent.and(answer) } else { answer }
    }

    /// So many of the bytes that come next.
    pub(crate) async fn take(&mut self, length: usize) -> Vec<u8> {
        use tokio::io::AsyncReadExt;
        let mut bytes = vec![0; length];
        soon(self.wire.read_exact(&mut bytes)).await.expect("bytes");
        bytes
    }

    /// Ends this side's half.
    pub(crate) async fn end(&mut self) {
        soon(self.wire.shutdown()).await.expect("the other half goes on");
    }

    /// Everything that still comes, up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        use tokio::io::AsyncReadExt;
        let mut rest = Vec::new();
        // A reset is an end as well.
        drop(soon(self.wire.read_to_end(&mut rest)).await);
        rest
    }
}

/// A request before it is signed.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: String,
    pub(crate) host: String,
    /// Path and query.
    pub(crate) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) service: String,
    pub(super) region: String,
    /// What `x-amz-content-sha256` says; `None`: it is not sent.
    pub(super) form: Option<Form>,
    pub(super) chunk: usize,
    pub(super) reading: Reading,
}

impl Ask {
    /// To a service in us-east-1, its payload declared as S3 wants it.
    pub(crate) fn s3(method: &str, host: &str, target: &str) -> Self {
        Self::to(("s3", "us-east-1"), method, host, target).form(Some(Form::Hashed))
    }

    /// Its payload's hash stands only in the signature.
    pub(crate) fn to((service, region): (&str, &str), method: &str, host: &str, target: &str) -> Self {
        Self {
            method: method.into(),
            host: host.into(),
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
            service: service.into(),
            region: region.into(),
            form: None,
            chunk: 64 * 1024,
            reading: Reading::Verbatim,
        }
    }

    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    pub(crate) fn form(self, form: impl Into<Option<Form>>) -> Self {
        Self { form: form.into(), ..self }
    }

    /// The size of the chunks of a framed body.
    pub(crate) fn chunks_of(self, chunk: usize) -> Self {
        Self { chunk, ..self }
    }

    pub(crate) fn reading(self, reading: Reading) -> Self {
        Self { reading, ..self }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Signs it as of `at`.
    pub(crate) fn signed(self, keys: &Keys, at: jiff::Timestamp) -> Signed {
        if self.form.is_some_and(Form::is_for_regions) {
            return self.signed_for_all_regions(keys, at);
        }
        let (date, scope) = (amz_date(at), Scope::new(at, &self.region, &self.service));
        let payload = self.form.unwrap_or(Form::Hashed).declared(&self.body);
        let mut headers = vec![("Host".to_owned(), self.host.clone()), ("X-Amz-Date".to_owned(), date.clone())];
        headers.extend(self.form.map(|form| form.headers(&self.body)).unwrap_or_default());
        headers.extend(self.headers);
        let signed = covered(&headers);
        let (method, target) = (self.method, self.target);
        let request =
            Signable { method: &method, target: &target, headers: &headers, signed: &signed, payload: &payload };
        let key = scope.key(&keys.secret);
        let seed = signature(&key, (&date, &scope), &canonical(request, &self.service, self.reading));
        let chain = Chain { by: By::Hmac(key), date, scope: scope.clone(), last: seed.clone() };
        let authorization = Authorization { key_id: keys.id.clone(), scope, signed, signature: seed };
        headers.push(("Authorization".to_owned(), authorization.header()));
        let body = match self.form {
            Some(form) if form.is_chunked() => frame(&self.body, self.chunk, form, chain),
            _ => self.body,
        };
        // As boto3 does it.
        let chunked = self.form == Some(Form::UnsignedTrailer);
        Signed { method, host: self.host, target, headers, body, chunked }
    }
}

/// A request that is ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    /// As `aws-chunked` frames it, if it does.
    pub(crate) body: Vec<u8>,
    /// Whether HTTP frames it in chunks too.
    pub(crate) chunked: bool,
}

impl Signed {
    /// Adds a header that the signature does not cover.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The value of a header.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Puts another value in the place of a header's.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.and(name, value)
    }

    /// The head; with an origin in front of the path (`http://host`), if one is given.
    pub(crate) fn head(&self, origin: Option<&str>) -> Vec<u8> {
        let mut head = format!("{} {}{} HTTP/1.1\r\n", self.method, origin.unwrap_or_default(), self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.chunked {
            head.push_str("Transfer-Encoding: chunked\r\n");
        } else if !self.body.is_empty() || matches!(self.method.as_str(), "PUT" | "POST") {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// The body as HTTP frames it.
    pub(crate) fn framed_body(&self) -> Vec<u8> {
        if self.chunked { in_chunks(&self.body) } else { self.body.clone() }
    }
}

/// The checksum header that S3 clients send with a hashed body.
pub(crate) fn checksum(body: &[u8]) -> (String, String) {
    ("x-amz-checksum-crc32".to_owned(), crc32(body))
}
