//! After `101 Switching Protocols`: a WebSocket (RFC 6455). Its bytes go both ways untouched, and are counted.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version, response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::answers::answer::AnswerBody;
use crate::answers::refuse::with_causes;
use crate::answers::tunnel::Open;
use crate::books::record::Entry;
use crate::upstream::Line;
use crate::wire::ahead::Ahead;
use crate::wire::hop;
use crate::wire::ledger::Ledger;

/// The only protocol that is changed to.
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// Whether a request asks for a WebSocket (RFC 6455 §4.1). What looks like it and is not is an ordinary request, whose
/// `Upgrade` ends here.
pub(crate) fn is_asked<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && is_websocket(request.headers())
        && request.headers().get_all(CONNECTION).iter().any(lists_upgrade)
}

/// Whether headers name a WebSocket, and nothing else, as the protocol to change to.
pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(UPGRADE).iter();
    all.next().is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes())) && all.next().is_none()
}

/// Says for the next hop what was said to us for this one.
pub(crate) fn name_upgrade(headers: &mut HeaderMap) {
    headers.insert(UPGRADE, WEBSOCKET);
    headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
}

fn lists_upgrade(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|value| value.split(',').any(|item| item.trim().eq_ignore_ascii_case("upgrade")))
}

/// The answer that changes the protocol, and what carries the WebSocket behind it.
pub(crate) async fn begin(
    (head, line): (response::Parts, Box<Line>),
    switch: OnUpgrade,
    mut entry: Box<Entry>,
    (ledger, idle): (Arc<Ledger>, Duration),
) -> (Response<AnswerBody>, impl Future<Output = ()> + Send + 'static) {
    entry.answered(&head);
    let (wire, said) = line.into_wire().await;
    let mut answer = Response::from_parts(head, AnswerBody::Empty);
    hop::strip_response(answer.headers_mut());
    name_upgrade(answer.headers_mut());
    let goes_on = ledger.socket();
    let socket = async move {
        let _goes_on = goes_on;
        let mut open = Open::new(entry);
        match switch.await {
            Ok(program) => {
                ledger.switch();
                match open.carry(&mut TokioIo::new(program), Ahead::new(wire, said), idle).await {
                    Ok(()) => open.entry.whole(),
                    Err(error) => open.entry.broken(with_causes(&error)),
                }
            }
            Err(error) => {
                tracing::debug!(cause = with_causes(&error), "the program left before its WebSocket began")
            }
        }
    };
    (answer, socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_wish_for_a_websocket_is_one() {
        let asks = |lines: &[(&str, &str)]| {
            let request = lines.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
            is_asked(&request.body(()).unwrap())
        };
        assert!(asks(&[("upgrade", "WebSocket"), ("connection", "keep-alive, Upgrade")]));
        assert!(!asks(&[("upgrade", "websocket")]));
        assert!(!asks(&[("upgrade", "h2c"), ("connection", "upgrade")]));
        assert!(!asks(&[("upgrade", "websocket"), ("upgrade", "h2c"), ("connection", "upgrade")]));
        assert!(!asks(&[("upgrade", "websocket, h2c"), ("connection", "upgrade")]));
    }
}
