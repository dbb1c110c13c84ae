//! Refusals as gRPC says them (gRPC over HTTP/2, "Responses"): the HTTP status is 200, and no body follows.

use std::fmt::Write as _;

use access::{RefusalCode, Retry};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// What HTTP says whatever gRPC does.
pub(super) const HTTP_STATUS: StatusCode = StatusCode::OK;

/// Adds status and message.
pub(super) fn say(headers: &mut HeaderMap, code: RefusalCode, sentence: &str) {
    headers.insert(STATUS, HeaderValue::from(status(code)));
    headers.insert(MESSAGE, HeaderValue::from_str(&encoded(sentence)).expect("percent-encoded text is visible ASCII"));
}

/// The nearest of gRPC's statuses. Clients try again on UNAVAILABLE only.
const fn status(code: RefusalCode) -> u16 {
    const INVALID_ARGUMENT: u16 = 3;
    const PERMISSION_DENIED: u16 = 7;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const UNIMPLEMENTED: u16 = 12;
    const UNAVAILABLE: u16 = 14;
    const UNAUTHENTICATED: u16 = 16;
    match (code, code.retry()) {
        (_, Retry::Later) => UNAVAILABLE,
        (RefusalCode::NotSupported, _) => UNIMPLEMENTED,
        (RefusalCode::RequestMalformed, _) => INVALID_ARGUMENT,
        (RefusalCode::RequestTooLarge, _) => RESOURCE_EXHAUSTED,
        (RefusalCode::PlaceholderUnknown | RefusalCode::PlaceholderInvalid, _) => UNAUTHENTICATED,
        (_, Retry::Never) => PERMISSION_DENIED,
    }
}

/// Visible ASCII and spaces as they are, `%` and all else as `%XX` of UTF-8.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").expect("a string takes all that is written"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_percent_encoded_and_only_what_may_pass_by_itself_is_unavailable() {
        let mut headers = HeaderMap::new();
        say(&mut headers, RefusalCode::NotGranted, "no “grant”: 100 %\n");
        assert_eq!(headers[STATUS], "7");
        assert_eq!(headers[MESSAGE], "no %E2%80%9Cgrant%E2%80%9D: 100 %25%0A");
        let statuses = [RefusalCode::UpstreamTimeout, RefusalCode::EvidenceMissing, RefusalCode::PlaceholderInvalid];
        assert_eq!(statuses.map(status), [14, 7, 16]);
    }
}
