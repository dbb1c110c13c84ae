//! What a request would do: IAM action and resource, from wherever the service's protocol names them.
//!
//! Which operation it is says `naming`; services whose actions are no operations are here, and in `s3_action`.

use std::borrow::Cow;

use access::{Deed, NO_RESOURCE, OWN_ACCOUNT, Spelling};
use percent_encoding::percent_decode_str;

use super::endpoints::Endpoint;
use super::git;
use super::naming::{self, Named, Written};
use super::operations::{self, Service};
use super::partition::partition_of;
use super::query::Query;
use super::recognise::Head;
use super::resource::{self, Said};
use super::s3_deeds::{self, Orders};
use super::s3_target::{self, Place, Target};
use super::{s3_action, sqs, uri};

/// What the head of a request tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) action: Option<String>,
    pub(super) resource: Option<String>,
    /// What the request does besides.
    pub(super) also: Vec<Deed>,
    /// What its body tells.
    pub(super) body: Option<BodyReading>,
}

/// What a body tells of its request, and so has to be read before anything is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyReading {
    pub(super) form: BodyForm,
    /// The ways to the resources, and the template of the route, where the head named the operation.
    pub(super) ways: Option<&'static str>,
    pub(super) template: Option<&'static str>,
}

impl BodyReading {
    /// Whether it is a form that names operation and members.
    pub fn is_form(self) -> bool {
        self.form == BodyForm::Query
    }
}

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyForm {
    /// The query protocol: operation and members.
    Query,
    /// JSON: members.
    Json,
    /// The objects that S3 is to delete.
    Deletes,
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

/// What handshakes of MQTT over WebSocket are signed for (AWS IoT Core, "Protocols").
pub(super) const IOT_GATEWAY: &str = "iotdevicegateway";

/// Names the API at an endpoint of a VPC.
const API_ID: &str = "x-apigw-api-id";

/// Headers that name another method than the request line: to who honours them the request is another one.
const OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// Head → action and resource.
pub(super) fn read(known: Known<'_>) -> Reading {
    if OVERRIDES.iter().any(|name| known.head.headers.contains_key(*name)) {
        return Reading::default();
    }
    if is_s3_family(known.service) {
        return on_s3(known).unwrap_or_default();
    }
    data_plane(known).unwrap_or_else(|| by_operation(known))
}

/// The four signing names of S3, which share operations and canonicalisation.
pub(super) fn is_s3_family(service: &str) -> bool {
    matches!(service, "s3" | "s3express" | "s3-outposts" | "s3-object-lambda")
}

impl<'a> Known<'a> {
    pub(super) fn path(self) -> &'a str {
        self.head.uri.path()
    }

    pub(super) fn method(self) -> &'a str {
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
    let orders = Orders::read(known.head.headers, known.query)?;
    // The host says more than the scope: clients sign `s3` for hosts of the other three.
    let family = known.endpoint.map_or(known.service, |endpoint| endpoint.service);
    let name = match &target {
        Target::Control => control_operation(known, family)?,
        Target::Account if family == "s3express" => "ListAllMyDirectoryBuckets",
        target => s3_action::action(known.method(), target, known.query, orders)?,
    };
    let deletes = known.query.has("delete") && known.method() == "POST";
    let body = deletes.then_some(BodyReading { form: BodyForm::Deletes, ways: None, template: None });
    let action = Some(format!("{family}:{name}"));
    let resource = match target {
        Target::Control => return Some(Reading { action, body, ..Reading::default() }),
        Target::Account => NO_RESOURCE.to_owned(),
        // The keys are in the body: several objects, or a form.
        Target::Bucket(arn) if matches!(name, "DeleteObject" | "PutObject") => arn + "/*",
        Target::Bucket(arn) | Target::Object(arn) => arn,
    };
    let also = s3_deeds::besides(family, (name, &resource), (place, orders));
    Some(Reading { action, resource: Some(resource), also, body })
}

/// S3 Control's routes, and those of S3 on Outposts' own API.
fn control_operation(known: Known<'_>, family: &str) -> Option<&'static str> {
    let find = |name| {
        let service = operations::service(name)?;
        service.operation(known.method(), known.path(), &known.query).map(|operation| service.alias(operation))
    };
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
            resource: known.region.zip(managed(known)).map(|(region, path)| {
                let partition = known.partition();
                format!("arn:{partition}:apigateway:{region}::{path}")
            }),
            ..Reading::default()
        }),
        ("execute-api", Some(endpoint)) => Some(on_execute_api(known, endpoint)),
        (git::SERVICE, None) if git::region_of(known.head.host).is_some() => {
            let region = git::region_of(known.head.host)?;
            let repository = git::repository(known.path());
            Some(Reading {
                action: git::action(known.path(), known.query).map(str::to_owned),
                resource: repository.map(|name| {
                    let partition = partition_of(region).map_or("aws", |partition| partition.id);
                    format!("arn:{partition}:codecommit:{region}:{OWN_ACCOUNT}:{name}")
                }),
                ..Reading::default()
            })
        }
        ("lambda", Some(_)) => only("lambda:InvokeFunctionUrl".into()),
        // MQTT over WebSocket; the client's id comes later.
        (IOT_GATEWAY, _) => only("iot:Connect".into()),
        ("vpc-lattice-svcs", _) => only("vpc-lattice-svcs:Invoke".into()),
        ("appsync", Some(_)) => only("appsync:GraphQL".into()),
        ("aoss", Some(_)) => only("aoss:APIAccessAll".into()),
        ("es", Some(_)) => only(format!("es:ESHttp{}", title_case(known.method()))),
        _ => None,
    }
}

/// What API Gateway manages at a path. The ARN in the path of tags is encoded in IAM's names as well.
fn managed(known: Known<'_>) -> Option<Cow<'_, str>> {
    let Some(tagged) = known.path().strip_prefix("/tags/") else { return read_path(known) };
    let mut path = b"/tags/".to_vec();
    let (tagged, end) = tagged.strip_suffix('/').map_or((tagged, ""), |tagged| (tagged, "/"));
    uri::encode_all(&percent_decode_str(tagged).decode_utf8().ok()?, &mut path);
    Some(Cow::Owned(String::from_utf8(path).ok()? + end))
}

/// The path as the service reads it; `None` where readers differ.
fn read_path(known: Known<'_>) -> Option<Cow<'_, str>> {
    match uri::spelling(known.path(), uri::PathRule::of(known.service)) {
        Spelling::Plain => Some(Cow::Borrowed(known.path())),
        Spelling::Escaped => percent_decode_str(known.path()).decode_utf8().ok(),
        Spelling::Doubtful => None,
    }
}

/// `arn:aws:execute-api:eu-west-1:{account}:api/stage/METHOD/path`; the account is nowhere on the wire.
fn on_execute_api(known: Known<'_>, endpoint: &Endpoint<'_>) -> Reading {
    // `a1b2-vpce-0123` is the API `a1b2` by way of an endpoint in a VPC; at that endpoint's own name a header says which.
    let label = endpoint.prefix.split('.').next_back().unwrap_or("");
    let api = label.split("-vpce-").next().filter(|_| !known.head.headers.contains_key(API_ID));
    let path = read_path(known);
    let resource = endpoint.region.name().zip(api).zip(path).map(|((region, api), path)| {
        let path = path.strip_prefix('/').unwrap_or("");
        let (stage, path) = path.split_once('/').unwrap_or((path, ""));
        let (partition, method) = (known.partition(), known.method());
        format!("arn:{partition}:execute-api:{region}:{OWN_ACCOUNT}:{api}/{stage}/{method}/{path}")
    });
    let action = format!("execute-api:{}", execute_api_action(known.path()));
    Reading { action: Some(action), resource, ..Reading::default() }
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
    if known.service == "sqs" && known.query.has("QueueUrl") {
        // Queues are named by the path or by the body.
        return Reading::default();
    }
    let Ok(Named { operation, written }) = naming::read(known, service) else { return Reading::default() };
    let action = operation.as_deref().map(|name| named(service, known.service, name));
    let of_operation = service.zip(operation.as_deref());
    let ways = of_operation.and_then(|(service, name)| service.ways(name));
    let template = of_operation.and_then(|(service, name)| service.template(known.method(), name));
    let is_form = written == Written::Form;
    // Members beside the operation in the query could be others than those in the body.
    let alone = known.query.pairs().all(|(name, _)| matches!(&*name, "Action" | "Version"));
    let body = |form, ways| Some(BodyReading { form, ways, template });
    let may_tell = known.service == "sqs" || ways.is_some_and(resource::needs_body);
    let body = match written {
        Written::Form => body(BodyForm::Query, ways.filter(|_| alone)),
        Written::Json if may_tell => return Reading { action, body: body(BodyForm::Json, ways), ..Reading::default() },
        Written::Json | Written::Otherwise => None,
    };
    let Some(ways) = ways else { return Reading { resource: queue(known), action, body, ..Reading::default() } };
    let said = Said {
        partition: known.partition(),
        region: known.region,
        path: known.path(),
        template,
        query: Some(known.query),
        body: if is_form { resource::Body::Form(known.query) } else { resource::Body::Unread },
    };
    Reading { body, ..told(action, resource::told(ways, said)) }
}

/// The queue that the path names.
fn queue(known: Known<'_>) -> Option<String> {
    if known.service == "sqs" { sqs::queue_arn(known.path(), known.region?, known.partition()) } else { None }
}

/// The deeds of an operation, the first of them in its own place.
fn told(action: Option<String>, deeds: Result<Vec<resource::Resource>, resource::Untold>) -> Reading {
    let mut reading = Reading { action, ..Reading::default() };
    let (action, also) = (&mut reading.action, &mut reading.also);
    (reading.resource, *also) = settle(action, deeds);
    reading
}

/// The same for a call that is known but for its resources: the first resource, and all other deeds.
pub(super) fn settle(
    action: &mut Option<String>,
    deeds: Result<Vec<resource::Resource>, resource::Untold>,
) -> (Option<String>, Vec<Deed>) {
    let Ok(deeds) = deeds else { return (None, Vec::new()) };
    let prefix = action.as_deref().and_then(|action| action.split(':').next()).unwrap_or_default().to_owned();
    let operation = action.clone();
    let own = |own: &str| if prefix.is_empty() { None } else { Some(format!("{prefix}:{own}")) };
    let mut deeds = deeds.into_iter().map(|(name, resource)| (name.map_or_else(|| operation.clone(), own), resource));
    let Some((first, resource)) = deeds.next() else { return (None, Vec::new()) };
    *action = first;
    (resource, deeds.map(|(action, resource)| Deed { action, resource }).collect())
}

/// What the actions of a service begin with.
pub(super) fn prefix(service: &str) -> Cow<'static, str> {
    match operations::service(service) {
        Some(known) => Cow::Borrowed(known.iam_prefix),
        None if service == "s3" => Cow::Borrowed("s3"),
        None if service == IOT_GATEWAY => Cow::Borrowed("iot"),
        None => Cow::Owned(service.to_owned()),
    }
}

/// `dynamodb:GetItem`
pub(super) fn named(service: Option<&Service>, signing_name: &str, operation: &str) -> String {
    service.map_or_else(|| format!("{signing_name}:{operation}"), |service| service.action(operation))
}
