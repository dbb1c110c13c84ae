//! Header fields that end at this hop (RFC 9110 §7.6.1). Nothing is added: `Via` and `X-Forwarded-*` would only tell
//! the destination about the sidecar, and break signatures that cover them.

use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING,
    UPGRADE,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Fields meant for the destination that a `Connection` line must not take away on the way there: naming
/// `Authorization` or `Host` in it is an old trick against proxies that authenticate, and a `PUT` that loses its
/// `If-None-Match` overwrites what its signature said to keep.
const END_TO_END: [&str; 14] = [
    "host",
    "authorization",
    "content-length",
    "content-type",
    "content-encoding",
    "content-md5",
    "date",
    "expect",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
];

/// Takes from a request what is meant for us only.
///
/// `Transfer-Encoding` stays: it is exactly `chunked` (see [`crate::wire::head`]) and so is what is sent on.
pub(crate) fn strip_request(headers: &mut HeaderMap) {
    strip_listed(headers);
    let wants_trailers = headers.get(TE).is_some_and(|te| lists(te, "trailers"));
    for name in [KEEP_ALIVE, PROXY_CONNECTION, PROXY_AUTHORIZATION, TE, UPGRADE] {
        headers.remove(name);
    }
    if wants_trailers {
        // RFC 9110 §10.1.4: `TE` is about one connection, and `Connection` must say so.
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
}

/// Takes from an answer what is meant for us only.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    strip_listed(headers);
    for name in [KEEP_ALIVE, PROXY_CONNECTION, PROXY_AUTHENTICATE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

/// Removes `Connection` and the fields that it lists.
fn strip_listed(headers: &mut HeaderMap) {
    if !headers.contains_key(CONNECTION) {
        return;
    }
    let listed: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name: &HeaderName| !is_end_to_end(name))
        .collect();
    headers.remove(CONNECTION);
    for name in listed {
        if name != TE && name != TRANSFER_ENCODING {
            headers.remove(name);
        }
    }
}

fn is_end_to_end(name: &HeaderName) -> bool {
    END_TO_END.contains(&name.as_str()) || name.as_str().starts_with("x-amz-")
}

fn lists(value: &HeaderValue, wanted: &str) -> bool {
    value.to_str().is_ok_and(|value| value.split([',', ';']).any(|item| item.trim().eq_ignore_ascii_case(wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    fn left(headers: &HeaderMap) -> Vec<(&str, &str)> {
        let mut left: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        left.sort_unstable();
        left
    }

    #[test]
    fn fields_of_this_hop_are_taken_and_all_others_stay() {
        let mut request = headers(&[
            ("connection", "keep-alive, X-Mine ,upgrade, http2-settings"),
            ("x-mine", "1"),
            ("http2-settings", "AA"),
            ("upgrade", "h2c"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eDp5"),
            ("transfer-encoding", "chunked"),
            ("trailer", "x-sum"),
            ("accept-encoding", "gzip"),
        ]);
        strip_request(&mut request);
        let expected = [("accept-encoding", "gzip"), ("trailer", "x-sum"), ("transfer-encoding", "chunked")];
        assert_eq!(left(&request), expected);
    }

    #[test]
    fn connection_cannot_take_away_what_the_destination_needs() {
        let lines = [
            ("authorization", "AWS4"),
            ("content-length", "4"),
            ("host", "x"),
            ("if-none-match", "*"),
            ("range", "bytes=0-1"),
            ("x-amz-date", "now"),
        ];
        let mut request = headers(&lines);
        let listed = "host, authorization, x-amz-date, content-length, If-None-Match, range";
        request.insert(CONNECTION, HeaderValue::from_static(listed));
        strip_request(&mut request);
        assert_eq!(left(&request), lines);
    }

    #[test]
    fn wish_for_trailers_is_passed_on_and_other_codings_are_not() {
        let mut request = headers(&[("te", "gzip, Trailers;q=0.5"), ("connection", "TE")]);
        strip_request(&mut request);
        assert_eq!(left(&request), [("connection", "te"), ("te", "trailers")]);
    }

    #[test]
    fn answer_loses_its_framing_but_keeps_its_length_date_and_trailer_names() {
        let lines = [("content-length", "5"), ("date", "now"), ("trailer", "x-sum")];
        let mut answer = headers(&lines);
        answer.insert(CONNECTION, HeaderValue::from_static("close"));
        answer.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        strip_response(&mut answer);
        assert_eq!(left(&answer), lines);
    }
}
