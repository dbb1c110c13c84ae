//! Refusals, in the error shape that the caller's SDK understands, with a reason that a person can act on.

mod grpc;

use access::{Refusal, RefusalCode, RequestId, Retry};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, PROXY_AUTHENTICATE, RETRY_AFTER};
use http::request::Parts;
use http::{Response, StatusCode};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const S3_REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Names the kind of refusal to whoever looks at the wire, whatever the dialect.
const REFUSAL: HeaderName = HeaderName::from_static("x-countersign-refusal");

/// A second: a bucket has tickets again by then, and a place for a body is likely free.
const RETRY_SOON: HeaderValue = HeaderValue::from_static("1");

/// How a service words its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `<Error>` (Amazon S3 API, "Error responses").
    S3,
    /// `<ErrorResponse>` (AWS Query and REST-XML; Smithy 2.0, `awsQuery`).
    Query,
    /// `<Response><Errors>` (Smithy 2.0, `ec2Query`).
    Ec2,
    /// `{"__type":…}` as `application/x-amz-json-1.0` (Smithy 2.0, `awsJson1_0`).
    Json10,
    /// The same as `application/x-amz-json-1.1`.
    Json11,
    /// Smithy RPC v2: the same, in CBOR (RFC 8949).
    Cbor,
    /// `{"message":…}` and a header (Smithy 2.0, `restJson1`).
    RestJson,
    /// gRPC: nothing but headers, whose `grpc-status` says it all (gRPC over HTTP/2, "Responses").
    Grpc,
    /// Not a cloud: a line of text.
    Plain,
}

impl Dialect {
    /// What a client that sent these expects back, as far as that tells; read before the request is changed.
    pub(crate) fn hinted(head: &Parts) -> Option<Self> {
        let content_type = head.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        match content_type {
            b"application/x-amz-json-1.0" => return Some(Self::Json10),
            b"application/x-amz-json-1.1" => return Some(Self::Json11),
            form if form.starts_with(b"application/x-www-form-urlencoded") => return Some(Self::Query),
            grpc if grpc.starts_with(b"application/grpc") => return Some(Self::Grpc),
            _ => {}
        }
        if head.headers.contains_key("smithy-protocol") {
            return Some(Self::Cbor);
        }
        let in_query = |query: &str| query.starts_with("Action=") || query.contains("&Action=");
        head.uri.query().is_some_and(in_query).then_some(Self::Query)
    }

    /// How `service` (a signing name) words its errors, to a client that hinted at `hint`.
    pub(crate) fn of(service: Option<&str>, hint: Option<Self>) -> Self {
        match service {
            Some("s3" | "s3express" | "s3-outposts" | "s3-object-lambda") => Self::S3,
            Some("ec2") => Self::Ec2,
            Some("route53" | "cloudfront") => Self::Query,
            Some(_) | None => hint.unwrap_or(Self::RestJson),
        }
    }

    const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::S3 => "application/xml",
            Self::Query | Self::Ec2 => "text/xml",
            Self::Json10 => "application/x-amz-json-1.0",
            Self::Json11 => "application/x-amz-json-1.1",
            Self::RestJson => "application/json",
            Self::Cbor => "application/cbor",
            Self::Grpc => "application/grpc",
            Self::Plain => "text/plain; charset=utf-8",
        })
    }
}

/// The answer to a request that is refused.
pub(crate) fn answer(refusal: &Refusal, dialect: Dialect, id: RequestId) -> Response<Bytes> {
    let mut response = Response::new(body(refusal, dialect, id));
    *response.status_mut() = status(refusal.code, dialect);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, dialect.content_type());
    headers.insert(REFUSAL, HeaderValue::from_static(refusal.code.as_str()));
    if refusal.code == RefusalCode::ProxyAuthentication {
        headers.insert(PROXY_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"countersign\", charset=\"UTF-8\""));
        headers.append(PROXY_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"countersign\""));
    }
    if matches!(refusal.code, RefusalCode::RateLimited | RefusalCode::ProxyBusy) {
        headers.insert(RETRY_AFTER, RETRY_SOON);
    }
    let id = HeaderValue::from_str(&id.to_string()).expect("a UUID is visible ASCII");
    if dialect == Dialect::Cbor {
        headers.insert(HeaderName::from_static("smithy-protocol"), HeaderValue::from_static("rpc-v2-cbor"));
    }
    if dialect == Dialect::Grpc {
        grpc::say(headers, refusal.code, &sentence(refusal));
    }
    if dialect == Dialect::S3 {
        headers.insert(S3_REQUEST_ID, id);
    } else {
        headers.insert(REQUEST_ID, id);
        headers.insert(ERROR_TYPE, HeaderValue::from_static(error_code(refusal.code, dialect)));
    }
    response
}

/// SDKs try again on 429 and 5xx; a final answer must therefore be a 4xx that none of them repeats.
const fn status(code: RefusalCode, dialect: Dialect) -> StatusCode {
    match (code, code.retry()) {
        _ if matches!(dialect, Dialect::Grpc) => grpc::HTTP_STATUS,
        (RefusalCode::UpstreamUnavailable, _) if matches!(dialect, Dialect::Plain) => StatusCode::BAD_GATEWAY,
        (RefusalCode::UpstreamTimeout, _) if matches!(dialect, Dialect::Plain) => StatusCode::GATEWAY_TIMEOUT,
        (RefusalCode::ProxyAuthentication, _) => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        (RefusalCode::RateLimited, _) if !matches!(dialect, Dialect::S3 | Dialect::Ec2) => {
            StatusCode::TOO_MANY_REQUESTS
        }
        (_, Retry::Later) => StatusCode::SERVICE_UNAVAILABLE,
        (RefusalCode::RequestMalformed | RefusalCode::NotSupported, _) => StatusCode::BAD_REQUEST,
        (RefusalCode::RequestTooLarge, _) => StatusCode::PAYLOAD_TOO_LARGE,
        (_, Retry::Never) => StatusCode::FORBIDDEN,
    }
}

/// The nearest of the codes that AWS itself uses. `ExpiredToken` is said where the program's own temporary credentials
/// have ended: SDKs fetch new ones. It is not said of a pod's token that has expired: those are not what is missing.
const fn error_code(code: RefusalCode, dialect: Dialect) -> &'static str {
    use RefusalCode as C;
    let [s3, query, ec2, json] = match code {
        C::EvidenceMissing
        | C::EvidenceInvalid
        | C::EvidenceExpired
        | C::SourceUnmatched
        | C::Deactivated
        | C::NotGranted
        | C::ConditionUnmet
        | C::PlaceholderAstray
        | C::EgressDenied
        | C::InterceptionRejected
        | C::ProxyAuthentication
        | C::CredentialWithheld
        | C::ExchangeRefused => ["AccessDenied", "AccessDenied", "UnauthorizedOperation", "AccessDeniedException"],
        C::PlaceholderUnknown => {
            ["InvalidAccessKeyId", "InvalidClientTokenId", "AuthFailure", "UnrecognizedClientException"]
        }
        C::PlaceholderExpired => ["ExpiredToken", "ExpiredToken", "RequestExpired", "ExpiredTokenException"],
        C::PlaceholderInvalid => {
            ["SignatureDoesNotMatch", "SignatureDoesNotMatch", "AuthFailure", "InvalidSignatureException"]
        }
        C::RequestMalformed => ["InvalidRequest", "ValidationError", "InvalidRequest", "ValidationException"],
        C::RequestTooLarge => {
            ["EntityTooLarge", "RequestEntityTooLarge", "RequestEntityTooLarge", "RequestEntityTooLargeException"]
        }
        C::RateLimited => ["SlowDown", "Throttling", "RequestLimitExceeded", "ThrottlingException"],
        C::NotSupported => {
            ["NotImplemented", "UnsupportedOperation", "UnsupportedOperation", "UnsupportedOperationException"]
        }
        C::ProxyBusy | C::ExchangeUnavailable | C::BrokerUnavailable | C::UpstreamUnavailable | C::UpstreamTimeout => {
            ["ServiceUnavailable", "ServiceUnavailable", "Unavailable", "ServiceUnavailableException"]
        }
    };
    match dialect {
        Dialect::S3 => s3,
        Dialect::Query => query,
        Dialect::Ec2 => ec2,
        Dialect::Json10 | Dialect::Json11 | Dialect::Cbor | Dialect::RestJson | Dialect::Grpc | Dialect::Plain => json,
    }
}

fn body(refusal: &Refusal, dialect: Dialect, id: RequestId) -> Bytes {
    let code = error_code(refusal.code, dialect);
    let text = sentence(refusal);
    match dialect {
        Dialect::S3 => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{}</Message>\
             <RequestId>{id}</RequestId><HostId>countersign</HostId></Error>",
            xml(&text)
        ),
        Dialect::Query => format!(
            "<ErrorResponse><Error><Type>{}</Type><Code>{code}</Code><Message>{}</Message></Error>\
             <RequestId>{id}</RequestId></ErrorResponse>",
            if refusal.code.retry() == Retry::Later { "Receiver" } else { "Sender" },
            xml(&text)
        ),
        Dialect::Ec2 => format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>{}</Message></Error></Errors>\
             <RequestID>{id}</RequestID></Response>",
            xml(&text)
        ),
        Dialect::Json10 | Dialect::Json11 => {
            serde_json::json!({ "__type": code, "message": text, "requestId": id }).to_string()
        }
        Dialect::RestJson => serde_json::json!({ "message": text, "code": code, "requestId": id }).to_string(),
        Dialect::Cbor => return cbor_map([("__type", code), ("message", &text)]),
        Dialect::Grpc => return Bytes::new(),
        Dialect::Plain => format!("countersign: {text}\nrequest id: {id}\n"),
    }
    .into()
}

/// Reason, help, and the stable name of the kind.
fn sentence(refusal: &Refusal) -> String {
    match &refusal.help {
        Some(help) => format!("{}; {help} [countersign: {}]", refusal.message, refusal.code),
        None => format!("{} [countersign: {}]", refusal.message, refusal.code),
    }
}

/// Text for XML 1.0: markup escaped, characters that XML has no form for replaced (§2.2).
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A map of text to text (RFC 8949 §3.1, major types 5 and 3).
fn cbor_map<const N: usize>(entries: [(&str, &str); N]) -> Bytes {
    let mut out = Vec::new();
    cbor_head(5, N, &mut out);
    for text in entries.into_iter().flat_map(|(name, value)| [name, value]) {
        cbor_head(3, text.len(), &mut out);
        out.extend_from_slice(text.as_bytes());
    }
    out.into()
}

fn cbor_head(major: u8, argument: usize, out: &mut Vec<u8>) {
    match u8::try_from(argument) {
        Ok(small @ 0..24) => out.push(major << 5 | small),
        Ok(byte) => out.extend_from_slice(&[major << 5 | 24, byte]),
        Err(_) => {
            out.push(major << 5 | 26);
            out.extend_from_slice(&u32::try_from(argument).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
}

/// An error and its causes: hyper's errors and I/O errors say little without their causes.
pub(crate) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn refused(code: RefusalCode, dialect: Dialect) -> (u16, String, Response<Bytes>) {
        let id = serde_json::from_str::<RequestId>("\"019f0000-0000-7000-8000-000000000001\"").unwrap();
        let refusal = Refusal::new(code, "grant \"a\" <does> not & cover").help("ask alice");
        let response = answer(&refusal, dialect, id);
        (response.status().as_u16(), String::from_utf8_lossy(response.body()).into_owned(), response)
    }

    #[test]
    fn each_protocol_gets_its_own_shape() {
        let text = "grant \\\"a\\\" <does> not & cover; ask alice [countersign: not-granted]";
        let xml = "grant \"a\" &lt;does&gt; not &amp; cover; ask alice [countersign: not-granted]";
        let id = "019f0000-0000-7000-8000-000000000001";
        let golden = [
            (
                Dialect::S3,
                format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code><Message>{xml}</Message><RequestId>{id}</RequestId><HostId>countersign</HostId></Error>"
                ),
            ),
            (
                Dialect::Query,
                format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{xml}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
                ),
            ),
            (
                Dialect::Ec2,
                format!(
                    "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>{xml}</Message></Error></Errors><RequestID>{id}</RequestID></Response>"
                ),
            ),
            (
                Dialect::Json10,
                format!("{{\"__type\":\"AccessDeniedException\",\"message\":\"{text}\",\"requestId\":\"{id}\"}}"),
            ),
            (
                Dialect::RestJson,
                format!("{{\"message\":\"{text}\",\"code\":\"AccessDeniedException\",\"requestId\":\"{id}\"}}"),
            ),
            (
                Dialect::Plain,
                format!(
                    "countersign: grant \"a\" <does> not & cover; ask alice [countersign: not-granted]\nrequest id: {id}\n"
                ),
            ),
        ];
        for (dialect, expected) in golden {
            let (status, body, response) = refused(RefusalCode::NotGranted, dialect);
            assert_eq!((status, body), (403, expected), "{dialect:?}");
            let header = if dialect == Dialect::S3 { "x-amz-request-id" } else { "x-amzn-requestid" };
            assert_eq!(response.headers()[header], id);
            assert_eq!(response.headers()["x-countersign-refusal"], "not-granted");
        }
    }

    #[test]
    fn cbor_is_a_map_of_two_texts() {
        assert_eq!(
            cbor_map([("a", "b"), ("c", &"d".repeat(24))])[..8],
            [0xa2, 0x61, b'a', 0x61, b'b', 0x61, b'c', 0x78]
        );
        assert_eq!(cbor_map([("a", &"d".repeat(300))])[..8], [0xa1, 0x61, b'a', 0x7a, 0, 0, 1, 44]);
    }

    #[test]
    fn only_what_may_pass_by_itself_is_tried_again() {
        for (code, expected) in [
            (RefusalCode::NotGranted, 403),
            (RefusalCode::EvidenceExpired, 403),
            (RefusalCode::RequestMalformed, 400),
            (RefusalCode::RequestTooLarge, 413),
            (RefusalCode::BrokerUnavailable, 503),
            (RefusalCode::UpstreamUnavailable, 503),
        ] {
            assert_eq!(refused(code, Dialect::S3).0, expected, "{code}");
        }
        assert_eq!(refused(RefusalCode::UpstreamUnavailable, Dialect::Plain).0, 502);
        assert_eq!(refused(RefusalCode::UpstreamTimeout, Dialect::Plain).0, 504);
    }

    #[test]
    fn dialect_follows_what_the_client_sent_and_then_the_service() {
        let of = |service, (name, value): (&str, &str), uri: &str| {
            let (head, ()) = Request::builder().uri(uri).header(name, value).body(()).unwrap().into_parts();
            Dialect::of(service, Dialect::hinted(&head))
        };
        let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        let (json, target) =
            (("content-type", "application/x-amz-json-1.0"), ("content-type", "application/x-amz-json-1.1"));
        assert_eq!(of(Some("s3"), form, "/"), Dialect::S3);
        assert_eq!(of(Some("dynamodb"), json, "/"), Dialect::Json10);
        assert_eq!(of(Some("kms"), target, "/"), Dialect::Json11);
        assert_eq!(of(Some("sts"), form, "/"), Dialect::Query);
        assert_eq!(of(Some("sts"), ("accept", "*/*"), "/?Version=2011-06-15&Action=GetCallerIdentity"), Dialect::Query);
        assert_eq!(of(Some("ec2"), form, "/"), Dialect::Ec2);
        assert_eq!(of(Some("lambda"), ("content-type", "application/json"), "/"), Dialect::RestJson);
        assert_eq!(of(None, ("content-type", "application/grpc+proto"), "/"), Dialect::Grpc);
        assert_eq!(of(Some("monitoring"), ("smithy-protocol", "rpc-v2-cbor"), "/"), Dialect::Cbor);
    }
}
