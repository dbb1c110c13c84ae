//! A signed `sts:GetCallerIdentity` as a proof of who somebody is in AWS: whoever gets it sends it to STS, and STS says.
//!
//! Three forms are about, and all end in one request: Vault's JSON, the presigned URL of `aws eks get-token`, and the
//! JSON that Google's token service takes. What is sent on is built here from parts that were checked; nothing of the caller's
//! chooses another host, path or operation.

mod answer;
mod forms;
mod principal;

use aws_lc_rs::digest::{SHA256, digest};
use http::header::{ACCEPT, HOST, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use jiff::Timestamp;

use super::algorithm::Algorithm;
use super::authorization::{self, BadAuthorization, Credential, SignedHeaders};
use super::date::AmzDate;
use super::endpoints::{self, SigningRegion};
use super::partition::Partition;
use super::query::Query;

pub use answer::{CallerIdentity, NoIdentity, answer};
pub use principal::Principal;

/// Longest proof; the longest of aws-iam-authenticator's. A session token is most of it.
const MAX_PROOF: usize = 4 * 1024;
/// The header that binds a proof to one server, so that the server cannot show it to another.
pub const SERVER_ID: &str = "x-countersign-server-id";
/// STS takes a presigned call for so long at the most (aws-iam-authenticator, `maxTokenLifetime`).
const MAX_EXPIRES: u32 = 900;

const OPERATION: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const OPERATION_TOO: &str = "Version=2011-06-15&Action=GetCallerIdentity";

/// Headers that clients sign besides the one that binds. They are passed on as they were signed; others are not.
const MAY_BE_SIGNED: [&str; 10] = [
    "host",
    "content-type",
    "content-length",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
    "x-amz-user-agent",
    "user-agent",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
];

/// Names and values of a query that presigns this call.
const MAY_BE_ASKED: [&str; 9] = [
    "action",
    "version",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// Why a text is no proof. The texts hold no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadProof {
    /// Longer than any.
    #[error("is longer than {MAX_PROOF} bytes")]
    TooLong,
    /// None of the three.
    #[error("is in none of the known forms")]
    Form,
    /// Something that comes twice, which two readers could read differently.
    #[error("says something twice")]
    Repeated,
    /// A host that is not one of STS's own.
    #[error("is not for a host of STS")]
    Host,
    /// Something else than `GetCallerIdentity`, and nothing with it.
    #[error("is not a call of GetCallerIdentity alone")]
    Operation,
    /// A header that is not passed on, so that the signature could not hold.
    #[error("signs a header that is not passed on")]
    Header,
    /// A header that is signed and not there.
    #[error("lacks a header that it signs")]
    Missing,
    /// Not bound to a server.
    #[error("is bound to no server: the signature does not cover the header that names one")]
    Unbound,
    /// Bound to another.
    #[error("was made for another server")]
    OtherServer,
    /// A signature that no client makes.
    #[error("has no signature that can be read: {0}")]
    Signature(#[from] BadAuthorization),
    /// Signed for another day, region or service than it is sent to.
    #[error("is signed for something else than STS on that day in that region")]
    Scope,
    /// No time, or one that is none.
    #[error("does not say when it was signed")]
    Time,
}

/// A proof that is well-formed. Whether it is true, STS must say.
#[derive(Clone)]
pub struct Proof {
    request: Request<&'static str>,
    /// The binding header, where it is not told what it says.
    unsaid: Option<HeaderName>,
    /// What it says, where that is told.
    said: Vec<String>,
    partition: &'static Partition,
    at: Timestamp,
    id: [u8; 32],
}

/// A proof in whichever form, taken apart and not yet believed.
struct Parts {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
    /// The header with which tools of this form bind.
    binding: &'static str,
}

/// What was signed, wherever the form has it.
struct Claim<'a> {
    credential: Credential<'a>,
    signature: &'a str,
    date: AmzDate,
}

impl Proof {
    /// Reads a proof in any of the forms.
    ///
    /// # Errors
    /// [`BadProof`] says what keeps it from being one.
    pub fn read(text: &str) -> Result<Self, BadProof> {
        if text.len() > MAX_PROOF {
            return Err(BadProof::TooLong);
        }
        let parts = forms::take_apart(text.trim())?;
        match parts.method {
            Method::POST => parts.in_header(),
            _ => parts.in_query(),
        }
    }

    /// When it was signed.
    pub const fn signed_at(&self) -> Timestamp {
        self.at
    }

    /// The partition whose STS would be asked.
    pub const fn partition(&self) -> &'static Partition {
        self.partition
    }

    /// What it is known by: the same for every spelling of the same signature.
    pub const fn id(&self) -> [u8; 32] {
        self.id
    }

    /// The request that asks STS about it, if it was made for this server.
    ///
    /// # Errors
    /// [`BadProof::OtherServer`] if not.
    pub fn request(&self, server_id: &str) -> Result<Request<&'static str>, BadProof> {
        if self.said.iter().any(|said| said != server_id) {
            return Err(BadProof::OtherServer);
        }
        let mut request = self.request.clone();
        if let Some(name) = &self.unsaid {
            // Where the URL alone is shown, nobody says for whom it was signed: with our own name in it the signature
            // holds, or STS refuses.
            let value = HeaderValue::from_str(server_id).map_err(|_| BadProof::OtherServer)?;
            request.headers_mut().insert(name.clone(), value);
        }
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(request)
    }
}

impl Parts {
    /// Signed in the `Authorization` header.
    fn in_header(&self) -> Result<Proof, BadProof> {
        let (uri, host) = self.place()?;
        let query = uri.query().unwrap_or_default();
        let is_operation = |text: &str| text == OPERATION || text == OPERATION_TOO;
        let body = match (is_operation(query), query.is_empty(), self.body.as_str()) {
            (true, _, "") => "",
            (false, true, OPERATION) => OPERATION,
            (false, true, OPERATION_TOO) => OPERATION_TOO,
            _ => return Err(BadProof::Operation),
        };
        let header = |name: &str| self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
        let authorization = authorization::parse(header("authorization").ok_or(BadProof::Missing)?)?;
        let date = header("x-amz-date").and_then(|date| AmzDate::parse(date.as_bytes())).ok_or(BadProof::Time)?;
        let signed = authorization.signed_headers;
        if !signed.contains("x-amz-date") {
            return Err(BadProof::Time);
        }
        if header("host").is_some_and(|said| said != host)
            || header("content-length").is_some_and(|length| length != body.len().to_string())
        {
            return Err(BadProof::Host);
        }
        let claim = Claim { credential: authorization.credential, signature: authorization.signature, date };
        let said = self.said(signed)?;
        let mut request = Request::builder().method(Method::POST).uri(uri.clone());
        for name in signed.names().chain(["authorization", "x-amz-security-token", "content-type"]) {
            let passed_on = MAY_BE_SIGNED.contains(&name) || self.binds(name) || name == "authorization";
            if !passed_on {
                return Err(BadProof::Header);
            }
            let is_there = request.headers_ref().is_some_and(|headers| headers.contains_key(name));
            match header(name) {
                // The client sets these two by itself, as they were checked to be.
                _ if name == "host" || name == "content-length" || is_there => {}
                Some(value) => request = request.header(name, value),
                None if signed.contains(name) => return Err(BadProof::Missing),
                None => {}
            }
        }
        let request = request.header(HOST, &host).body(body).map_err(|_| BadProof::Form)?;
        claim.proof(request, (None, said), &host)
    }

    /// Signed in the query: presigned.
    fn in_query(&self) -> Result<Proof, BadProof> {
        let (uri, host) = self.place()?;
        let query = Query::parse(uri.query());
        let mut asked: Vec<(String, String)> = Vec::new();
        for (name, value) in query.pairs() {
            let name = name.to_ascii_lowercase();
            if !MAY_BE_ASKED.contains(&&*name) {
                return Err(BadProof::Operation);
            }
            if asked.iter().any(|(other, _)| *other == name) {
                return Err(BadProof::Repeated);
            }
            asked.push((name, value.into_owned()));
        }
        let value = |name: &str| asked.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value.as_str());
        if value("action") != "GetCallerIdentity" || value("version") != "2011-06-15" || !self.body.is_empty() {
            return Err(BadProof::Operation);
        }
        let algorithm = Algorithm::named(value("x-amz-algorithm")).ok_or(BadAuthorization::Algorithm)?;
        if value("x-amz-expires").parse::<u32>().is_ok_and(|seconds| seconds > MAX_EXPIRES)
            || !value("x-amz-expires").bytes().all(|b| b.is_ascii_digit())
        {
            return Err(BadProof::Time);
        }
        let signed = SignedHeaders::parse(value("x-amz-signedheaders"))?;
        let mut binding = signed.names().filter(|name| *name != "host");
        let (Some(name), None) = (binding.next(), binding.next()) else {
            return Err(if signed.as_str() == "host" { BadProof::Unbound } else { BadProof::Header });
        };
        if !self.binds(name) {
            return Err(BadProof::Unbound);
        }
        let claim = Claim {
            credential: Credential::parse(value("x-amz-credential"), algorithm)?,
            signature: authorization::parse_signature(value("x-amz-signature"), algorithm)?,
            date: AmzDate::parse(value("x-amz-date").as_bytes()).ok_or(BadProof::Time)?,
        };
        let unsaid = HeaderName::from_bytes(name.as_bytes()).map_err(|_| BadProof::Header)?;
        let request = Request::builder().method(Method::GET).uri(uri.clone()).header(HOST, &host);
        claim.proof(request.body("").map_err(|_| BadProof::Form)?, (Some(unsaid), Vec::new()), &host)
    }

    /// Where it goes: the root of a host of STS, over TLS.
    fn place(&self) -> Result<(Uri, String), BadProof> {
        let uri: Uri = self.url.parse().map_err(|_| BadProof::Host)?;
        let host = uri.host().unwrap_or_default().to_owned();
        let is_plain = uri.scheme_str() == Some("https")
            && uri.authority().is_some_and(|authority| authority.as_str() == host)
            && uri.path() == "/"
            && !self.url.contains('#');
        if is_plain { Ok((uri, host)) } else { Err(BadProof::Host) }
    }

    fn binds(&self, name: &str) -> bool {
        name == SERVER_ID || name == self.binding
    }

    /// What the binding headers that are signed say. One that is there and not signed says nothing: anybody added it.
    fn said(&self, signed: SignedHeaders<'_>) -> Result<Vec<String>, BadProof> {
        let binding = self.headers.iter().filter(|(name, _)| self.binds(name) && signed.contains(name));
        let said: Vec<_> = binding.map(|(_, value)| value.clone()).collect();
        if said.is_empty() { Err(BadProof::Unbound) } else { Ok(said) }
    }
}

impl Claim<'_> {
    fn proof(
        &self,
        request: Request<&'static str>,
        (unsaid, said): (Option<HeaderName>, Vec<String>),
        host: &str,
    ) -> Result<Proof, BadProof> {
        let (region, partition) = sts(host).ok_or(BadProof::Host)?;
        let scope = self.credential.scope;
        if scope.service != "sts" || scope.region != Some(region) || scope.date != self.date.day() {
            return Err(BadProof::Scope);
        }
        let known_by = format!("{}\n{}", self.credential.access_key_id, self.signature);
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, known_by.as_bytes()).as_ref());
        Ok(Proof { request, unsaid, said, partition, at: self.date.timestamp(), id })
    }
}

/// Region and partition of a host that is STS itself: no endpoint of a customer's, no other service.
fn sts(host: &str) -> Option<(&str, &'static Partition)> {
    let first = host.split('.').next().unwrap_or_default();
    let endpoint =
        endpoints::resolve(host).ok().filter(|endpoint| endpoint.service == "sts" && endpoint.prefix.is_empty());
    let endpoint = endpoint.filter(|_| matches!(first, "sts" | "sts-fips") && !host.ends_with('.'))?;
    let SigningRegion::One(region) = endpoint.region else { return None };
    Some((region, endpoint.partition?))
}

impl std::fmt::Debug for Proof {
    /// Whoever holds the request can show it: not in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proof").field("partition", &self.partition.id).field("at", &self.at).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
