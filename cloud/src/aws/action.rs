//! What a request would do: IAM action and resource, from wherever the service's protocol names them.
//!
//! Four places can name an operation: `X-Amz-Target`, the parameter `Action` in query or body, the path of RPC v2, and
//! method and path of REST services. A request that names different operations in two of them has no action, for a
//! client could show one to us and the other to the service.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use percent_encoding::percent_decode_str;

use super::endpoints::Endpoint;
use super::git;
use super::operations::{self, Service};
use super::partition::partition_of;
use super::query::{Contradiction, Query};
use super::recognise::Head;
use super::s3_target::{self, Place, Target};
use super::{s3_action, sqs};

/// Longest operation name that is taken from the wire; AWS's longest has 77 characters.
const MAX_OPERATION_BYTES: usize = 128;

/// What the head of a request tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) action: Option<String>,
    pub(super) resource: Option<String>,
    /// The body may name the operation.
    pub(super) body_decides: bool,
}

/// A head with what is already known of it.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) head: Head<'a>,
    pub(super) query: Query<'a>,
    /// The signing name.
    pub(super) service: &'a str,
    pub(super) region: Option<&'a str>,
    pub(super) endpoint: Option<&'a Endpoint<'a>>,
}

/// Head → action and resource.
pub(super) fn read(known: Known<'_>) -> Reading {
    if is_s3_family(known.service) {
        return on_s3(known).unwrap_or_default();
    }
    data_plane(known).unwrap_or_else(|| by_operation(known))
}

/// The four signing names of S3, which share operations and canonicalisation.
pub(super) fn is_s3_family(service: &str) -> bool {
    matches!(service, "s3" | "s3express" | "s3-outposts" | "s3-object-lambda")
}

impl Known<'_> {
    fn path(&self) -> &str {
        self.head.uri.path()
    }

    fn method(&self) -> &str {
        self.head.method.as_str()
    }

    /// The partition for ARNs: the region's, else the host's, else the first.
    pub(super) fn partition(&self) -> &'static str {
        let of_region = self.region.and_then(partition_of);
        of_region.or_else(|| self.endpoint.and_then(|e| e.partition)).map_or("aws", |p| p.id)
    }
}

fn on_s3(known: Known<'_>) -> Option<Reading> {
    let place = Place { host: known.head.host, endpoint: known.endpoint, partition: known.partition() };
    let target = s3_target::read(place, known.path())?;
    // The host says more than the scope: clients sign `s3` for hosts of the other three.
    let family = known.endpoint.map_or(known.service, |endpoint| endpoint.service);
    let name = match &target {
        Target::Control => control_operation(known, family)?,
        Target::Account if family == "s3express" => "ListAllMyDirectoryBuckets",
        target => s3_action::action(known.method(), target, known.query, known.head.headers)?,
    };
    let resource = match target {
        Target::Control | Target::Account => None,
        // The keys are in the body: several objects, or a form.
        Target::Bucket(arn) if matches!(name, "DeleteObject" | "PutObject") => Some(arn + "/*"),
        Target::Bucket(arn) | Target::Object(arn) => Some(arn),
    };
    Some(Reading { action: Some(format!("{family}:{name}")), resource, body_decides: false })
}

/// S3 Control's routes, and those of S3 on Outposts' own API.
fn control_operation(known: Known<'_>, family: &str) -> Option<&'static str> {
    let find = |name| operations::service(name)?.operation(known.method(), known.path(), &known.query);
    match (family, known.path()) {
        ("s3-object-lambda", path) => (path == "/WriteGetObjectResponse").then_some("WriteGetObjectResponse"),
        ("s3-outposts", path) if path.starts_with("/S3Outposts/") => find("s3-outposts"),
        _ => find("s3-control"),
    }
}

/// Services whose actions are not operations: API Gateway's are HTTP methods; behind hosts of a customer's own resource
/// (APIs, function URLs, search domains) there is one action, or one for each method.
fn data_plane(known: Known<'_>) -> Option<Reading> {
    let endpoint = known.endpoint.filter(|endpoint| !endpoint.prefix.is_empty());
    let only = |action: String| Some(Reading { action: Some(action), ..Reading::default() });
    match (known.service, endpoint) {
        ("apigateway" | "execute-api", _) if !has_one_reading(known.path()) => Some(Reading::default()),
        // A custom domain: the API's id is nowhere on the wire.
        ("execute-api", None) if known.endpoint.is_none() => {
            only(format!("execute-api:{}", execute_api_action(known.path())))
        }
        ("apigateway", _) => Some(Reading {
            action: Some(format!("apigateway:{}", known.method())),
            resource: known
                .region
                .map(|region| format!("arn:{}:apigateway:{region}::{}", known.partition(), known.path())),
            body_decides: false,
        }),
        ("execute-api", Some(endpoint)) => Some(on_execute_api(known, endpoint)),
        (git::SERVICE, None) if git::region_of(known.head.host).is_some() => {
            Some(Reading { action: git::action(known.path(), known.query).map(str::to_owned), ..Reading::default() })
        }
        ("lambda", Some(_)) => only("lambda:InvokeFunctionUrl".into()),
        ("vpc-lattice-svcs", _) => only("vpc-lattice-svcs:Invoke".into()),
        ("appsync", Some(_)) => only("appsync:GraphQL".into()),
        ("aoss", Some(_)) => only("aoss:APIAccessAll".into()),
        ("es", Some(_)) => only(format!("es:ESHttp{}", title_case(known.method()))),
        _ => None,
    }
}

/// `arn:aws:execute-api:eu-west-1::api/stage/METHOD/path`; the account is nowhere on the wire, its field stays empty.
fn on_execute_api(known: Known<'_>, endpoint: &Endpoint<'_>) -> Reading {
    let api = endpoint.prefix.split('.').next_back().unwrap_or("");
    let path = known.path().strip_prefix('/').unwrap_or("");
    let (stage, path) = path.split_once('/').unwrap_or((path, ""));
    let resource = endpoint.region.name().map(|region| {
        format!("arn:{}:execute-api:{region}::{api}/{stage}/{}/{path}", known.partition(), known.method())
    });
    let action = format!("execute-api:{}", execute_api_action(known.path()));
    Reading { action: Some(action), resource, body_decides: false }
}

/// Whether a path means the same to who normalises it and to who does not: `/orders/../admin` is below `orders` to one
/// and not to the other.
fn has_one_reading(path: &str) -> bool {
    let inner = path.trim_matches('/');
    let decoded = percent_decode_str(inner).decode_utf8_lossy();
    let doubtful = |segment: &str| matches!(segment, "." | "..");
    !path.starts_with("//")
        && !path.ends_with("//")
        && !inner.contains("//")
        && !decoded.split(['/', '\\']).any(doubtful)
}

/// `/stage/@connections/id` manages the clients of a WebSocket API; everything else is the API's own.
fn execute_api_action(path: &str) -> &'static str {
    let is_connections = |segment| percent_decode_str(segment).eq(*b"@connections");
    let manages = path.split('/').nth(2).is_some_and(is_connections);
    if manages { "ManageConnections" } else { "Invoke" }
}

fn title_case(method: &str) -> String {
    let (first, rest) = method.split_at(method.len().min(1));
    first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
}

fn by_operation(known: Known<'_>) -> Reading {
    let service = operations::service(known.service);
    let Ok(operation) = operation(known, service) else { return Reading::default() };
    let resource = (known.service == "sqs" && !known.head.headers.contains_key("x-amz-target"))
        .then(|| sqs::queue_arn(known.path(), known.region?, known.partition()))
        .flatten();
    Reading {
        action: operation.map(|name| named(service, known.service, &name)),
        resource,
        // A parameter in the query says that the protocol is in use; then a form counts under any `Content-Type`.
        body_decides: known.method() == "POST"
            && service.is_none_or(Service::speaks_query)
            && (known.query.has("Action") || may_be_form(known.head.headers)),
    }
}

/// `dynamodb:GetItem`
pub(super) fn named(service: Option<&Service>, signing_name: &str, operation: &str) -> String {
    service.map_or_else(|| format!("{signing_name}:{operation}"), |service| service.action(operation))
}

fn operation(known: Known<'_>, service: Option<&'static Service>) -> Result<Option<String>, Contradiction> {
    if known.head.headers.contains_key("x-http-method-override") {
        return Err(Contradiction);
    }
    let in_query = if service.is_none_or(Service::speaks_query) { known.query.one("Action")? } else { None };
    let in_query = in_query.map(|name| checked(&name).map(str::to_owned)).transpose()?;
    let in_path = service.is_none_or(Service::speaks_cbor).then(|| rpc_operation(known.path())).flatten();
    let by_route = service.and_then(|service| service.operation(known.method(), known.path(), &known.query));
    let is_routed = service.is_some_and(Service::speaks_rest) && known.path() != "/";
    if is_routed && by_route.is_none() && in_path.is_none() {
        // The service goes by the path, and we cannot read it: what stands elsewhere must not speak for it.
        return Err(Contradiction);
    }
    let places = [
        target(known.head.headers)?.map(str::to_owned),
        in_query,
        in_path.map(str::to_owned),
        by_route.map(str::to_owned),
    ];
    let mut names = places.into_iter().flatten();
    let first = names.next();
    if names.all(|name| Some(&name) == first.as_ref()) { Ok(first) } else { Err(Contradiction) }
}

/// `X-Amz-Target: DynamoDB_20120810.GetItem` → `GetItem`.
fn target(headers: &HeaderMap) -> Result<Option<&str>, Contradiction> {
    let mut values = headers.get_all("x-amz-target").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().map_err(|_| Contradiction)?;
    let name = checked(text.rsplit('.').next().unwrap_or(text))?;
    if values.next().is_some() { Err(Contradiction) } else { Ok(Some(name)) }
}

/// `/service/GraniteServiceVersion20100801/operation/PutMetricData` (Smithy RPC v2 CBOR), below any prefix.
fn rpc_operation(path: &str) -> Option<&str> {
    let mut segments = path.rsplit('/');
    let (operation, word, _, service) = (segments.next()?, segments.next()?, segments.next()?, segments.next()?);
    (word == "operation" && service == "service").then(|| checked(operation).ok()).flatten()
}

/// An operation's name as services spell it; anything else is no name.
pub(super) fn checked(name: &str) -> Result<&str, Contradiction> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let fits = !name.is_empty() && name.len() <= MAX_OPERATION_BYTES && name.bytes().all(word);
    if fits { Ok(name) } else { Err(Contradiction) }
}

fn may_be_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let is = |start: &str| content_type.get(..start.len()).is_some_and(|s| s.eq_ignore_ascii_case(start));
    !(is("application/x-amz-json") || is("application/json") || is("application/cbor"))
}
