//! The same cloud over HTTP/2: each stream is a request, verified and answered as one of HTTP/1.1 is.

use std::io::{Error, Result};
use std::sync::Arc;

use bytes::Bytes;
use h2::RecvStream;
use h2::ext::Protocol;
use h2::server::SendResponse;
use http::{Request, Response, StatusCode};
use tokio::task::JoinSet;

use super::admit::{Claim, Denied};
use super::{Call, State, answers, open, sockets, station};
use crate::stage::faults::Station;
use crate::stage::served::{Answer, Wire};
use crate::stage::wire::{Head, malformed};

/// What a connection begins with that speaks HTTP/2 (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8] = b"PRI ";

/// Serves a connection whose preface is still to be read.
pub(super) async fn connection(state: Arc<State>, wire: Wire, number: usize) -> Result<()> {
    let mut builder = h2::server::Builder::new();
    let mut requests = builder.enable_connect_protocol().handshake(wire).await.map_err(Error::other)?;
    let mut running = JoinSet::new();
    while let Some(request) = requests.accept().await {
        let (request, respond) = request.map_err(Error::other)?;
        let stream = Stream { state: state.clone(), respond, number };
        running.spawn(async move { stream.serve(request).await });
    }
    Ok(())
}

struct Stream {
    state: Arc<State>,
    respond: SendResponse<Bytes>,
    number: usize,
}

impl Stream {
    async fn serve(mut self, request: Request<RecvStream>) -> Result<()> {
        let (parts, body) = request.into_parts();
        let head = head(&parts)?;
        let index = self.state.note(&head, self.number);
        if parts.extensions.get::<Protocol>().is_some() && sockets::are_taken(&head) {
            return self.socket(&head, index, body).await;
        }
        let answer = match self.answer(&head, index, body).await? {
            Ok(answer) => answer,
            Err(denied) => answers::denied(&denied, &head),
        };
        let answer = self.state.signed_off(answer);
        open(&self.state.seen)[index].status = Some(answer.status);
        self.send(answer)
    }

    async fn answer(
        &mut self,
        head: &Head,
        index: usize,
        mut body: RecvStream,
    ) -> Result<std::result::Result<Answer, Denied>> {
        let state = self.state.clone();
        let claim = match station(head) {
            Station::Sts => None,
            _ => match Claim::read(head, &state) {
                Ok(claim) => Some(claim),
                // What is still to come of the body is never read: the stream is reset behind the answer.
                Err(denied) => return Ok(Err(denied)),
            },
        };
        if head.get("expect").is_some() {
            let go_on = Response::builder().status(StatusCode::CONTINUE).body(()).map_err(Error::other)?;
            self.respond.send_informational(go_on).map_err(Error::other)?;
        }
        let mut whole = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece.map_err(Error::other)?;
            body.flow_control().release_capacity(piece.len()).map_err(Error::other)?;
            whole.extend_from_slice(&piece);
            open(&state.seen)[index].body = whole.len() as u64;
        }
        let call = Call { state: &state, head, index, fault: None };
        Ok(call.perform(claim, whole).await)
    }

    /// A WebSocket on a stream (RFC 8441), to its end. Its URL was signed ahead, for `GET`.
    async fn socket(&mut self, head: &Head, index: usize, mut body: RecvStream) -> Result<()> {
        let state = self.state.clone();
        let head = Head { start: head.start.replacen("CONNECT", "GET", 1), headers: head.headers.clone() };
        let admitted = sockets::admit(&Call { state: &state, head: &head, index, fault: None });
        open(&state.seen)[index].status = Some(if admitted.is_ok() { 200 } else { 403 });
        if let Err(denied) = admitted {
            return self.send(answers::denied(&denied, &head));
        }
        let mut stream = self.respond.send_response(Response::new(()), false).map_err(Error::other)?;
        while let Some(piece) = body.data().await {
            let piece = piece.map_err(Error::other)?;
            body.flow_control().release_capacity(piece.len()).map_err(Error::other)?;
            stream.send_data(piece, false).map_err(Error::other)?;
        }
        stream.send_data(sockets::BYE.into(), true).map_err(Error::other)
    }

    fn send(&mut self, answer: Answer) -> Result<()> {
        let mut head = Response::builder().status(answer.status);
        for (name, value) in answer.headers.iter().filter(|(name, _)| name != "Transfer-Encoding") {
            head = head.header(name, value);
        }
        let head = head.body(()).map_err(Error::other)?;
        let mut stream = self.respond.send_response(head, false).map_err(Error::other)?;
        stream.send_data(answer.body.into(), true).map_err(Error::other)
    }
}

/// A head as HTTP/1.1 would have it: what is signed as `host` is the authority, and there must be no other.
fn head(parts: &http::request::Parts) -> Result<Head> {
    let authority = parts.uri.authority().ok_or_else(|| malformed("no authority"))?;
    if parts.headers.contains_key("host") {
        return Err(malformed("a Host beside the authority"));
    }
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut headers = vec![("host".to_owned(), authority.to_string())];
    for (name, value) in &parts.headers {
        let value = value.to_str().map_err(|_| malformed("a header that is not ASCII"))?;
        headers.push((name.to_string(), value.to_owned()));
    }
    Ok(Head { start: format!("{} {target} HTTP/2", parts.method), headers })
}
