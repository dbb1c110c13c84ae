//! A request's head → the call that it makes.
//!
//! Service and region come from what the client itself signed, for no table knows them better. The host rules stand
//! behind: for requests without a signature, and against a scope that says another service than the host is.

use http::{HeaderMap, Method, Uri};

use access::{Call, Cloud, Deed, NO_RESOURCE};

use super::action::{self, BodyForm, Known};
use super::authorization::Scope;
use super::credentialing::{self, BadProof, Credentialing};
use super::endpoints::{Endpoint, UnknownHost, resolve};
use super::git;
use super::naming;
use super::operations;
use super::presigned;
use super::query::Query;
use super::resource::{self, Said};
use super::s3_target::is_nameless;
use super::strip::REGION_SET;
use super::{members, s3_deeds, sqs, uri};

pub use super::action::BodyReading;

/// What recognition looks at. Nothing of it is changed. No `Debug`: headers carry secrets.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// HTTP method.
    pub method: &'a Method,
    /// Path and query as on the wire.
    pub uri: &'a Uri,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The host that the request goes to: lower case, without port.
    pub host: &'a str,
}

/// A request that is a call to AWS or to something that speaks like it.
#[derive(Debug, Clone)]
pub struct Recognised<'a> {
    /// What it would do.
    pub call: Call,
    /// How it proves who sent it.
    pub credentialing: Credentialing<'a>,
    /// What the host rules say of the host. A signature is worth something only on a host that is AWS's own or that the
    /// configuration names.
    pub endpoint: Result<Endpoint<'a>, UnknownHost>,
    /// The body tells action or resources: collect it, and give it to [`refine_with_body`] before anything is decided.
    pub body: Option<BodyReading>,
}

/// Why a request is no call that could be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unrecognised {
    /// Its proof cannot be read.
    #[error(transparent)]
    Proof(#[from] BadProof),
    /// It is not signed, and its host tells nothing.
    #[error(transparent)]
    Host(#[from] UnknownHost),
    /// It is signed for another service than its host is.
    #[error("the request is signed for `{scope}`, and its host is `{host}`")]
    OtherService {
        /// What the client signed for.
        scope: String,
        /// What the host rules say.
        host: &'static str,
    },
}

/// Head → call.
///
/// ```
/// # use http::{HeaderMap, Method, Uri};
/// use cloud::aws::recognise::{Head, recognise};
///
/// let uri = Uri::from_static("https://acme-receipts.s3.eu-west-1.amazonaws.com/2026/07.pdf");
/// let head = Head { method: &Method::GET, uri: &uri, headers: &HeaderMap::new(), host: "acme-receipts.s3.eu-west-1.amazonaws.com" };
/// let call = recognise(head).expect("a host of S3").call;
/// assert_eq!(call.action.as_deref(), Some("s3:GetObject"));
/// assert_eq!(call.resource.as_deref(), Some("arn:aws:s3:::acme-receipts/2026/07.pdf"));
/// ```
///
/// # Errors
/// [`Unrecognised`]: the request is refused, or passed on as it is where it is not signed.
pub fn recognise(head: Head<'_>) -> Result<Recognised<'_>, Unrecognised> {
    let query = Query::parse(head.uri.query());
    let credentialing = credentialing::read(head.headers, query)?;
    let endpoint = resolve(head.host);
    if endpoint == Err(UnknownHost::NotAName) && !is_nameless(head.host) {
        // `S3.amazonaws.com` would pass by the host rules, and still reach S3.
        return Err(UnknownHost::NotAName.into());
    }
    let signed = Signed::of(&credentialing, head.host, &endpoint);
    let (call, body) = read(head, query, (signed, &endpoint))?;
    Ok(Recognised { call, credentialing, endpoint, body })
}

/// The call of a head that is not signed itself: its body is, for `scope`, or with version 2, which names none.
pub(super) fn recognise_form(head: Head<'_>, scope: Option<Scope<'_>>) -> Result<Call, Unrecognised> {
    let endpoint = resolve(head.host);
    let signed = match scope {
        Some(Scope { service, region, .. }) => Signed { service: Some(service), region },
        None => Signed::without_scope(&endpoint),
    };
    Ok(read(head, Query::parse(head.uri.query()), (signed, &endpoint))?.0)
}

fn read<'a>(
    head: Head<'_>,
    query: Query<'_>,
    (signed, endpoint): (Signed<'_>, &Result<Endpoint<'a>, UnknownHost>),
) -> Result<(Call, Option<BodyReading>), Unrecognised> {
    let service = match signed.service {
        Some(scope) => agreed(scope, endpoint)?,
        None => endpoint.as_ref().map_err(|why| *why)?.service,
    };
    let host_region = endpoint.as_ref().ok().and_then(|endpoint| endpoint.region.name());
    // SigV4A signs for a set of regions; where the request goes is one of them.
    let in_query = query.one(presigned::REGION_SET).ok().flatten();
    let region = signed.region.or(host_region).or_else(|| region_set(head.headers)).or(in_query.as_deref());
    let reading = action::read(Known { head, query, service, region, endpoint: endpoint.as_ref().ok() });
    let call = Call {
        cloud: Cloud::Aws,
        service: service.to_owned(),
        // Of S3's four services the host says which; clients sign `s3` for all of them.
        prefix: action::prefix(
            endpoint.as_ref().ok().map_or(service, |e| if action::is_s3_family(service) { e.service } else { service }),
        ),
        region: region.map(str::to_owned),
        action: reading.action,
        resource: reading.resource,
        also: reading.also,
        method: head.method.as_str().to_owned(),
        host: head.host.to_owned(),
        path: head.uri.path().to_owned(),
        spelling: uri::spelling(head.uri.path(), uri::PathRule::of(service)),
    };
    let mut call = call;
    doubt(&mut call);
    Ok((call, reading.body))
}

/// The body of a call → what the head had left open. A body that names another action than the head leaves the call
/// without one; a body that cannot be read leaves it without resource.
pub fn refine_with_body(call: &mut Call, reading: BodyReading, body: &[u8]) {
    match reading.form {
        BodyForm::Query => refine_with_form(call, reading, body),
        BodyForm::Json if call.service == "sqs" => refine_queue_of_json(call, body),
        BodyForm::Json => refine_resources(call, reading, resource::Body::Json(body)),
        BodyForm::Deletes => refine_deletes(call, body),
    }
    doubt(call);
}

/// A call whose name IAM does not know is asked for by another one (`neptune-db:ReadDataViaQuery`), and which is not told.
fn doubt(call: &mut Call) {
    let service = operations::service(&call.service);
    let unlisted = |action: &String| service.is_some_and(|service| service.is_unlisted(action));
    let other = Deed { action: None, resource: None };
    if call.action.as_ref().is_some_and(unlisted) && !call.also.contains(&other) {
        call.also.push(other);
    }
}

fn refine_with_form(call: &mut Call, reading: BodyReading, body: &[u8]) {
    if body.is_empty() {
        return;
    }
    if call.service != "sqs" {
        // What the query told of resources, the body could tell otherwise.
        (call.resource, call.also) = (None, Vec::new());
    }
    let Ok(form) = std::str::from_utf8(body) else {
        (call.action, call.resource) = (None, None);
        return;
    };
    let form = Query::parse(Some(form));
    let in_body =
        form.one("Action").and_then(|name| name.map(|name| naming::checked(&name).map(str::to_owned)).transpose());
    let service = operations::service(&call.service);
    let mut ways = reading.ways;
    call.action = match in_body {
        Err(_) => None,
        Ok(None) => call.action.take(),
        Ok(Some(name)) => {
            ways = ways.or_else(|| service.filter(|_| call.action.is_none()).and_then(|service| service.ways(&name)));
            let found = action::named(service, &call.service, &name);
            call.action.take().is_none_or(|known| known == found).then_some(found)
        }
    };
    if call.service == "sqs" {
        if form.has("QueueUrl") {
            refine_queue(call, form.one("QueueUrl").ok().flatten().as_deref());
        }
    } else if call.action.is_some() {
        refine_resources(call, BodyReading { ways, ..reading }, resource::Body::Form(form));
    }
}

fn refine_resources(call: &mut Call, reading: BodyReading, body: resource::Body<'_>) {
    let Some(ways) = reading.ways else { return };
    let partition = call.region.as_deref().map_or("aws", partition_id);
    let (region, template) = (call.region.as_deref(), reading.template);
    let said = Said { partition, region, path: &call.path, template, query: None, body };
    let deeds = resource::told(ways, said);
    (call.resource, call.also) = action::settle(&mut call.action, deeds);
}

/// The JSON protocol of SQS names the queue in the body, by URL or by name, whatever the path says.
fn refine_queue_of_json(call: &mut Call, body: &[u8]) {
    let member = |name: &str| match members::find(body, &members::steps(name)).as_deref() {
        Ok([text]) => Ok(text.clone()),
        _ => Err(()),
    };
    call.resource = match (member("QueueUrl"), member("QueueName"), member("QueueOwnerAWSAccountId")) {
        (Ok(Some(url)), Ok(None), Ok(None)) => sqs::path_of(&url).and_then(|path| queue_arn(call, path)),
        (Ok(None), Ok(Some(name)), Ok(Some(owner))) => queue_arn(call, &format!("/{owner}/{name}")),
        (Ok(None), Ok(Some(name)), Ok(None)) => {
            call.region.as_deref().and_then(|region| sqs::own_queue_arn(&name, region, partition_id(region)))
        }
        (Ok(None), Ok(None), Ok(None)) if call.action.as_deref() == Some("sqs:ListQueues") => {
            Some(NO_RESOURCE.to_owned())
        }
        _ => None,
    };
}

/// Keys with letters that stand for others in patterns are held against each pattern letter by letter. A delete of more is
/// one of all objects.
const MOST_WILD: usize = 20;

/// The objects themselves in the place of all that the bucket has.
fn refine_deletes(call: &mut Call, body: &[u8]) {
    let Some(objects) = s3_deeds::deleted(body) else { return };
    let Some(bucket) = call.resource.as_deref().and_then(|resource| resource.strip_suffix('*')) else { return };
    let before_key = if bucket.contains(":accesspoint/") { "object/" } else { "" };
    let family = call.action.as_deref().and_then(|action| action.split(':').next()).unwrap_or("s3");
    let is_wild = |(key, _): &&(String, bool)| key.contains(['*', '?']);
    if objects.iter().filter(is_wild).count() > MOST_WILD {
        return;
    }
    // What is done besides is done to each.
    let besides: Vec<_> = call.also.iter().filter_map(|deed| deed.action.clone()).collect();
    let mut deeds = objects.into_iter().flat_map(|(key, version)| {
        let action = format!("{family}:{}", if version { "DeleteObjectVersion" } else { "DeleteObject" });
        let resource = Some(format!("{bucket}{before_key}{key}"));
        let actions = std::iter::once(action).chain(besides.iter().cloned());
        actions.map(move |action| Deed { action: Some(action), resource: resource.clone() })
    });
    let Some(first) = deeds.next() else { return };
    let also: Vec<_> = deeds.collect();
    (call.action, call.resource, call.also) = (first.action, first.resource, also);
}

/// SQS takes the queue from the path or from the parameter; where both are there they have to agree.
fn refine_queue(call: &mut Call, url: Option<&str>) {
    let in_body = url.and_then(sqs::path_of).and_then(|path| queue_arn(call, path));
    call.resource = match call.resource.take() {
        Some(known) => in_body.filter(|found| *found == known),
        None if call.path == "/" => in_body,
        None => None,
    };
}

fn queue_arn(call: &Call, path: &str) -> Option<String> {
    let region = call.region.as_deref()?;
    sqs::queue_arn(path, region, partition_id(region))
}

fn partition_id(region: &str) -> &'static str {
    super::partition::partition_of(region).map_or("aws", |partition| partition.id)
}

/// What the client signed for.
#[derive(Debug, Default)]
struct Signed<'c> {
    service: Option<&'c str>,
    region: Option<&'c str>,
}

impl<'c> Signed<'c> {
    fn of(credentialing: &'c Credentialing<'_>, host: &'c str, endpoint: &Result<Endpoint<'_>, UnknownHost>) -> Self {
        let scope = match credentialing {
            Credentialing::Header(authorization) => authorization.credential.scope,
            Credentialing::Presigned(presigned) => presigned.authorization().credential.scope,
            Credentialing::HeaderV2(_) | Credentialing::PresignedV2(_) => {
                return Self::without_scope(endpoint);
            }
            Credentialing::Git(_) => {
                let region = git::region_of(host);
                return Self { service: region.map(|_| git::SERVICE), region };
            }
            Credentialing::CallV2(_) | Credentialing::Bearer | Credentialing::OtherScheme | Credentialing::Unsigned => {
                return Self::default();
            }
        };
        Self { service: Some(scope.service), region: scope.region }
    }

    /// Version 2: its scope is not on the wire, and S3 alone takes it. The host tells the region; one that it does not tell,
    /// such as an emulator's, is in the region where S3 began.
    fn without_scope(endpoint: &Result<Endpoint<'_>, UnknownHost>) -> Self {
        match endpoint {
            Ok(_) => Self::default(),
            Err(_) => Self { service: Some("s3"), region: Some("us-east-1") },
        }
    }
}

/// `*`, or `us-east-1,us-west-2`.
fn region_set(headers: &HeaderMap) -> Option<&str> {
    headers.get(REGION_SET).and_then(|set| set.to_str().ok())
}

/// The scope's service, unless the host rules know the host for another one. A host that they do not know (an emulator,
/// a custom domain) leaves the scope as it is; so does another region: S3 answers with a redirect, other services refuse.
fn agreed<'c>(scope: &'c str, endpoint: &Result<Endpoint<'_>, UnknownHost>) -> Result<&'c str, Unrecognised> {
    let host = match endpoint {
        Ok(endpoint) if endpoint.service == scope || is_signed_as(endpoint.service, scope) => return Ok(scope),
        Ok(endpoint) => endpoint.service,
        Err(UnknownHost::Ambiguous(services)) if services.split('|').any(|service| service == scope) => {
            return Ok(scope);
        }
        Err(UnknownHost::Ambiguous(services)) => services,
        Err(UnknownHost::NotAName | UnknownHost::NotAws | UnknownHost::CustomerZone | UnknownHost::NoRule) => {
            return Ok(scope);
        }
    };
    Err(Unrecognised::OtherService { scope: scope.to_owned(), host })
}

/// Hosts of one service that clients also sign under another name.
fn is_signed_as(host: &str, scope: &str) -> bool {
    matches!(
        (host, scope),
        // Clients older than these hosts' own signing names; `CreateSession` with the credentials of the role.
        ("s3express" | "s3-outposts" | "s3-object-lambda", "s3")
        // Amazon Location before and after its split into three APIs: `maps.geo.eu-west-1.amazonaws.com` serves both.
        | ("geo-maps" | "geo-places" | "geo-routes", "geo")
        // MQTT over WebSocket and the jobs API on the hosts of the device data API (AWS IoT Core, "Protocols").
        | ("iotdata", "iotdevicegateway" | "iot-jobs-data")
        // AWS Import/Export: the model's signing name, and that of the endpoint rules.
        | ("IngestionService", "importexport")
    )
}
