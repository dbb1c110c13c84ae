//! The program over HTTP/2: many requests at once on one connection.

use std::future::poll_fn;

use bytes::Bytes;
use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};

use super::program::{Program, Reply, Signed, soon};
use super::watch::{Watched, watch};
use super::wire::Head;

/// A connection on which requests are sent side by side.
#[derive(Clone)]
pub(crate) struct Streams {
    sender: SendRequest<Bytes>,
}

impl Streams {
    /// As an SDK does it for `https://host/` that prefers HTTP/2.
    pub(crate) async fn to(program: &Program, host: &str) -> Self {
        let stream = program.tls_offering(&format!("{host}:443"), host, &[b"h2", b"http/1.1"]).await;
        let stream = stream.expect("the proxy is trusted for the host");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "the cloud speaks HTTP/2");
        let (sender, connection) = soon(h2::client::handshake(Watched::new(stream))).await.expect("HTTP/2");
        tokio::spawn(drive(connection));
        Self { sender }
    }

    /// Sends a head; `ends`: nothing follows.
    pub(crate) async fn begin(&self, asked: &Signed, ends: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let request = head(asked);
        let mut sender = soon(self.sender.clone().ready()).await.expect("the connection goes on");
        sender.send_request(request, ends).expect("a request that HTTP/2 takes")
    }

    /// Asks for a WebSocket (RFC 8441), as soon as it is known that they are taken.
    pub(crate) async fn socket(&self, asked: &Signed) -> (ResponseFuture, SendStream<Bytes>) {
        let announced = async {
            while !self.sender.is_extended_connect_protocol_enabled() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        soon(announced).await;
        let mut request = head(&Signed { method: "CONNECT".into(), ..asked.clone() });
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        let mut sender = soon(self.sender.clone().ready()).await.expect("the connection goes on");
        sender.send_request(request, false).expect("a request that HTTP/2 takes")
    }

    /// Sends a signed request, and reads its answer.
    pub(crate) async fn call(&self, asked: &Signed) -> Reply {
        let (answer, mut stream) = self.begin(asked, asked.body.is_empty()).await;
        let sending = async {
            let mut rest = Bytes::from(asked.body.clone());
            while !rest.is_empty() {
                stream.reserve_capacity(rest.len());
                // Whoever refuses early has answered before it stops reading.
                let Some(Ok(room)) = poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
                let piece = rest.split_to(room.min(rest.len()));
                if stream.send_data(piece, rest.is_empty()).is_err() {
                    return;
                }
            }
        };
        let reading = async { whole(answer.await.expect("an answer")).await };
        soon(async { tokio::join!(sending, reading) }).await.1
    }
}

fn head(asked: &Signed) -> Request<()> {
    let mut request = Request::builder().method(&*asked.method).uri(format!("https://{}{}", asked.host, asked.target));
    for (name, value) in asked.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")) {
        request = request.header(name, value);
    }
    request.body(()).expect("a request")
}

async fn drive<I: AsyncRead + AsyncWrite + Unpin>(connection: Connection<I, Bytes>) {
    // How it ends is told to whoever waits for an answer.
    drop(connection.await);
}

/// What is left of an answer. On the wire its headers are compressed, and its body may be cut anywhere: all of it is
/// watched once more as the program has it.
pub(crate) async fn whole(answer: Response<RecvStream>) -> Reply {
    let (parts, mut stream) = answer.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece.expect("a whole answer");
        stream.flow_control().release_capacity(piece.len()).expect("it was received");
        body.extend_from_slice(&piece);
    }
    let trailers = stream.trailers().await.expect("a whole answer");
    watch(format!("{:?} {trailers:?}", parts.headers).as_bytes());
    watch(&body);
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let head = Head {
        start: format!("HTTP/2 {}", parts.status.as_u16()),
        headers: parts.headers.iter().map(header).collect(),
    };
    Reply { head, body, continued: false }
}
