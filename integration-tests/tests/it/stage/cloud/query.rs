//! Whether a presigned URL may come in: the rules of AWS's page "Authenticating requests: using query parameters".

use jiff::{SignedDuration, Timestamp};

use super::admit::{Denied, Signed, ended, fits, read_date, scope_of, single};
use super::{State, open};
use crate::stage::sigv4::{Authorization, Scope, decode};
use crate::stage::sigv4a;
use crate::stage::wire::Head;

const NAMES: [&str; 8] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-Region-Set",
];

fn malformed(why: impl Into<String>) -> Denied {
    Denied::new(400, "AuthorizationQueryParametersError", why)
}

/// What a query claims; `None`: it is not signed.
pub(super) fn read(head: &Head, state: &State) -> Result<Option<Signed>, Denied> {
    let (path, query) = head.word(1).split_once('?').unwrap_or((head.word(1), ""));
    if query.contains("AWSAccessKeyId=") {
        return Err(Denied::new(400, "InvalidRequest", "Please use AWS4-HMAC-SHA256."));
    }
    let mut values = [const { None }; NAMES.len()];
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(at) = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name)) else { continue };
        let value = String::from_utf8_lossy(&decode(value)).into_owned();
        if name != NAMES[at] || values[at].replace(value).is_some() {
            return Err(malformed(format!("{name} comes twice, or in another letter case")));
        }
    }
    if values.iter().all(Option::is_none) {
        return Ok(None);
    }
    let [algorithm, credential, date, expires, signed, token, signature, regions] = values;
    let missing = || malformed("Query-string authentication version 4 requires all of its parameters.");
    let is_for_regions = match (algorithm.ok_or_else(missing)?.as_str(), &regions) {
        ("AWS4-HMAC-SHA256", None) => false,
        (sigv4a::ALGORITHM, Some(_)) => true,
        _ => return Err(malformed("X-Amz-Algorithm is neither of the two, or X-Amz-Region-Set not as it needs it")),
    };
    let (credential, date) = (credential.ok_or_else(missing)?, date.ok_or_else(missing)?);
    let rest = (signed.ok_or_else(missing)?, signature.ok_or_else(missing)?);
    let authorization = authorization((&credential, regions), rest)?;
    let session = open(&state.sessions).get(&authorization.key_id).cloned().ok_or_else(|| {
        Denied::new(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
    })?;
    if token.as_deref() != Some(session.token.as_str()) {
        return Err(Denied::new(403, "InvalidToken", "The provided token is malformed or otherwise invalid."));
    }
    let now = state.clock.now();
    ended(&session, now)?;
    in_time((&date, expires.as_deref()), &authorization.scope, now)?;
    let of_host = scope_of(head.get("host").unwrap_or_default()).1;
    let region = of_host.filter(|_| is_for_regions).unwrap_or(&authorization.scope.region).to_owned();
    fits(head, &Scope { region, ..authorization.scope.clone() }, &date)?;
    let own = head.headers.iter().map(|(name, _)| name.to_lowercase()).filter(|name| name.starts_with("x-amz-"));
    let is_signed = |name: &str| authorization.signed.iter().any(|signed| signed == name);
    if let Some(name) = own.chain(["host".to_owned()]).find(|name| !is_signed(name)) {
        let message = format!("There were headers present in the request which were not signed: {name}");
        return Err(Denied::new(403, "AccessDenied", message));
    }
    let after_signing: &[&str] = match authorization.scope.service.as_str() {
        "iotdevicegateway" => &["X-Amz-Signature", "X-Amz-Security-Token"],
        _ => &["X-Amz-Signature"],
    };
    let covered = query.split('&').filter(|pair| !after_signing.contains(&pair.split('=').next().unwrap_or_default()));
    let target = format!("{path}?{}", covered.collect::<Vec<_>>().join("&"));
    let declared = single(head, "x-amz-content-sha256")?.map(str::to_owned);
    let unsigned = (authorization.scope.service == "s3").then(|| "UNSIGNED-PAYLOAD".to_owned());
    Ok(Some(Signed { target, session, authorization, date, declared: declared.or(unsigned), is_for_regions }))
}

/// `regions`: of SigV4A, whose scope names none.
fn authorization(
    (credential, regions): (&str, Option<String>),
    (signed, signature): (String, String),
) -> Result<Authorization, Denied> {
    let parts: Vec<&str> = credential.split('/').collect();
    let (key_id, day, region, service) = match (&parts[..], &regions) {
        ([key_id, day, region, service, "aws4_request"], None) => (*key_id, *day, *region, *service),
        ([key_id, day, service, "aws4_request"], Some(regions)) => (*key_id, *day, regions.as_str(), *service),
        _ => return Err(malformed("the credential is mal-formed")),
    };
    let scope = Scope { day: day.to_owned(), region: region.to_owned(), service: service.to_owned() };
    let signed = signed.split(';').map(str::to_owned).collect();
    Ok(Authorization { key_id: key_id.to_owned(), scope, signed, signature })
}

fn in_time((date, expires): (&str, Option<&str>), scope: &Scope, now: Timestamp) -> Result<(), Denied> {
    let from = read_date(date).ok_or_else(|| malformed("X-Amz-Date must be in the ISO8601 Long Format"))?;
    let seconds = match expires {
        None if scope.service == "s3" => return Err(malformed("X-Amz-Expires is missing")),
        None => 900,
        Some(text) => text.parse().map_err(|_| malformed("X-Amz-Expires should be a number"))?,
    };
    if !(1..=604_800).contains(&seconds) {
        return Err(malformed("X-Amz-Expires must be less than a week (in seconds)"));
    }
    if now.duration_since(from) < SignedDuration::from_mins(-15) {
        return Err(Denied::new(403, "AccessDenied", "Request is not yet valid"));
    }
    if now.duration_since(from) >= SignedDuration::from_secs(seconds) {
        return Err(Denied::new(403, "AccessDenied", "Request has expired"));
    }
    Ok(())
}
