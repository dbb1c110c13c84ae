//! Which operation a request names, and what its body is written in.
//!
//! Four places can name an operation: `X-Amz-Target`, the parameter `Action` in query or body, the path of RPC v2, and
//! method and path of REST services. Each counts only where the service speaks that protocol, and where the request says
//! in all other respects that it is spoken. What names different operations in two places, or one in a place that does
//! not count, has none: a client could show one to us and another to the service.

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName};

use super::action::Known;
use super::operations::Service;
use super::query::Contradiction;

/// Longest operation name that is taken from the wire; AWS's longest has 77 characters.
const MAX_OPERATION_BYTES: usize = 128;

/// The types of bodies whose operation is in `X-Amz-Target`. The last is Kinesis's, from Java.
const WITH_TARGET: [&str; 3] =
    ["application/x-amz-json-1.0", "application/x-amz-json-1.1", "application/x-amz-cbor-1.1"];

/// What a request names.
pub(super) struct Named {
    /// The operation, as far as the head tells it.
    pub(super) operation: Option<String>,
    pub(super) written: Written,
}

/// What a body is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// A form, which may name an operation too.
    Form,
    /// JSON, or what stands in its place.
    Json,
    /// Something that tells nothing.
    Otherwise,
}

/// Head → operation.
pub(super) fn read(known: Known<'_>, service: Option<&'static Service>) -> Result<Named, Contradiction> {
    let speaks_query = service.is_none_or(Service::speaks_query);
    let in_query = if speaks_query { known.query.one("Action")? } else { None };
    let in_query = in_query.map(|name| checked(&name).map(str::to_owned)).transpose()?;
    let by_route = service.and_then(|service| service.operation(known.method(), known.path(), &known.query));
    let by_rpc = rpc(known, service, by_route)?;
    let target = target(known, service, by_route)?;
    let is_sqs = known.service == "sqs"; // a path is a queue there
    if service.is_some() && known.path() != "/" && !is_sqs && by_route.is_none() && by_rpc.is_none() {
        // The service goes by the path, and we cannot read it: what stands elsewhere must not speak for it.
        return Err(Contradiction);
    }
    let written = match (by_rpc, by_route, target) {
        (Some(_), ..) if only(known.head.headers, CONTENT_TYPE)? == Some("application/cbor") => Written::Otherwise,
        (None, Some(_), _) if !(speaks_query && may_be_form(known.head.headers)) => Written::Json,
        (None, None, Some(_)) => Written::Json,
        // A service that speaks the query protocol may read any body so, whatever method and type it comes with.
        _ if service.is_some() && speaks_query => Written::Form,
        _ if service.is_none() && (in_query.is_some() || is_posted_form(known)) => Written::Form,
        _ => Written::Otherwise,
    };
    let places = [target.map(str::to_owned), in_query, by_rpc.map(str::to_owned), by_route.map(str::to_owned)];
    let mut names = places.into_iter().flatten();
    let first = names.next();
    if names.all(|name| Some(&name) == first.as_ref()) {
        Ok(Named { operation: first, written })
    } else {
        Err(Contradiction)
    }
}

/// `X-Amz-Target: DynamoDB_20120810.GetItem` → `GetItem`. Beside a route of that name (Amazon Transcribe's streams) the
/// body may be of any type.
fn target<'a>(
    known: Known<'a>,
    service: Option<&Service>,
    by_route: Option<&str>,
) -> Result<Option<&'a str>, Contradiction> {
    let Some(text) = only(known.head.headers, HeaderName::from_static("x-amz-target"))? else { return Ok(None) };
    let name = checked(text.rsplit('.').next().unwrap_or(text))?;
    let content_type = only(known.head.headers, CONTENT_TYPE)?.map(essence).unwrap_or_default();
    let is_typed = WITH_TARGET.iter().any(|known| known.eq_ignore_ascii_case(content_type));
    let is_spoken = known.method() == "POST" && service.is_none_or(Service::speaks_json) && is_typed;
    if is_spoken || by_route == Some(name) { Ok(Some(name)) } else { Err(Contradiction) }
}

/// `/service/GraniteServiceVersion20100801/operation/PutMetricData` (Smithy RPC v2 CBOR), below any prefix.
fn rpc<'a>(
    known: Known<'a>,
    service: Option<&Service>,
    by_route: Option<&str>,
) -> Result<Option<&'a str>, Contradiction> {
    let mut segments = known.path().rsplit('/');
    let (operation, is_operation) = (segments.next(), segments.next() == Some("operation"));
    let is_rpc = is_operation && segments.nth(1) == Some("service");
    match (only(known.head.headers, HeaderName::from_static("smithy-protocol"))?, operation.filter(|_| is_rpc)) {
        (None, None) => Ok(None),
        (None, Some(_)) if by_route.is_some() => Ok(None),
        (Some("rpc-v2-cbor"), Some(name)) if known.method() == "POST" && service.is_none_or(Service::speaks_cbor) => {
            checked(name).map(Some)
        }
        _ => Err(Contradiction),
    }
}

/// An operation's name as services spell it; anything else is no name.
pub(super) fn checked(name: &str) -> Result<&str, Contradiction> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let fits = !name.is_empty() && name.len() <= MAX_OPERATION_BYTES && name.bytes().all(word);
    if fits { Ok(name) } else { Err(Contradiction) }
}

/// The one header of this name.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Contradiction> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() { Err(Contradiction) } else { value.to_str().map(Some).map_err(|_| Contradiction) }
}

/// `application/json; charset=utf-8` → `application/json`
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Whether a body on a REST route may be a form: its type says so, or nothing clear.
fn may_be_form(headers: &HeaderMap) -> bool {
    let other = |kind: &str| !essence(kind).eq_ignore_ascii_case("application/x-www-form-urlencoded");
    !only(headers, CONTENT_TYPE).is_ok_and(|kind| kind.is_some_and(other))
}

/// The same for a service that no model is known of.
fn is_posted_form(known: Known<'_>) -> bool {
    let kind = only(known.head.headers, CONTENT_TYPE).ok().flatten().map(essence).unwrap_or_default();
    let other = ["application/json", "application/cbor"].iter().chain(&WITH_TARGET);
    known.method() == "POST" && !other.into_iter().any(|other| other.eq_ignore_ascii_case(kind))
}
