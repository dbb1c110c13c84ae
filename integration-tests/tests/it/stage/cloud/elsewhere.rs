//! Signatures of other kinds, and inside other credentials: SigV4A, bearers of EKS clusters, passwords for git.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::SignedDuration;

use super::admit::{Denied, Signed, ended, read_date};
use super::{State, open, query};
use crate::stage::sigv4::{Authorization, Scope, signature};
use crate::stage::sigv4a;
use crate::stage::wire::Head;

/// The name of every cluster here.
pub(crate) const CLUSTER: &str = "prod";

fn unauthorized(why: &str) -> Denied {
    Denied::new(401, "Unauthorized", why)
}

/// Reads a header of one of these kinds, and checks it wholly.
pub(super) fn read(head: &Head, header: &str, state: &State) -> Result<Option<Signed>, Denied> {
    match header.split_once(' ') {
        Some(("Bearer", token)) => in_bearer(token, state).map(Some),
        Some(("Basic", text)) => in_password(head, text, state).map(Some),
        Some((sigv4a::ALGORITHM, fields)) => for_regions(head, fields, state).map(Some),
        _ => Ok(None),
    }
}

/// As aws-iam-authenticator verifies it, and STS after it.
fn in_bearer(token: &str, state: &State) -> Result<Signed, Denied> {
    let wrong = || unauthorized("no such bearer");
    let url = URL_SAFE_NO_PAD.decode(token.strip_prefix("k8s-aws-v1.").ok_or_else(wrong)?).map_err(|_| wrong())?;
    let url = String::from_utf8(url).map_err(|_| wrong())?;
    let (host, target) = url.strip_prefix("https://").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
    let headers = vec![("Host".to_owned(), host.to_owned()), ("x-k8s-aws-id".to_owned(), CLUSTER.to_owned())];
    let head = Head { start: format!("GET /{target} HTTP/1.1"), headers };
    let signed = query::read(&head, state)?.ok_or_else(wrong)?;
    if !host.starts_with("sts.") || !target.starts_with("?Action=GetCallerIdentity&Version=2011-06-15&") {
        return Err(unauthorized("not a question about the caller"));
    }
    if !signed.authorization.signed.iter().any(|name| name == "x-k8s-aws-id") {
        return Err(unauthorized("not for this cluster"));
    }
    signed.check(&head, &crate::stage::sigv4::sha256_hex(b""))?;
    Ok(Signed { declared: Some("UNSIGNED-PAYLOAD".to_owned()), ..signed })
}

/// SigV4A: for a set of regions, which a header names.
fn for_regions(head: &Head, fields: &str, state: &State) -> Result<Signed, Denied> {
    let wrong = |why: &str| Denied::new(403, "SignatureDoesNotMatch", why);
    let field = |name: &str| fields.split(", ").find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let (Some(credential), Some(signed), Some(made)) =
        (field("Credential"), field("SignedHeaders"), field("Signature"))
    else {
        return Err(wrong("a part is missing"));
    };
    let [key_id, day, service, "aws4_request"] = credential.split('/').collect::<Vec<_>>()[..] else {
        return Err(wrong("the scope is malformed"));
    };
    let header = |name: &'static str| head.get(name).unwrap_or_default();
    let session = open(&state.sessions).get(key_id).cloned().ok_or_else(|| wrong("no such key"))?;
    let now = state.clock.now();
    ended(&session, now)?;
    let at = read_date(header("x-amz-date")).ok_or_else(|| wrong("no date"))?;
    let is_current = at.duration_since(now).abs() <= SignedDuration::from_mins(15);
    if !is_current || !header("x-amz-date").starts_with(day) || header("x-amz-security-token") != session.token {
        return Err(wrong("date or token are not right"));
    }
    let signed: Vec<String> = signed.split(';').map(str::to_owned).collect();
    for needed in ["host", "x-amz-date", "x-amz-region-set", "x-amz-security-token", "x-amz-content-sha256"] {
        if !signed.iter().any(|name| name == needed) {
            return Err(wrong("a header is not covered"));
        }
    }
    let (target, payload) = (head.word(1).to_owned(), header("x-amz-content-sha256"));
    let scope =
        Scope { day: day.to_owned(), region: header("x-amz-region-set").to_owned(), service: service.to_owned() };
    let authorization = Authorization { key_id: key_id.to_owned(), scope, signed, signature: made.to_owned() };
    let (date, declared) = (header("x-amz-date").to_owned(), Some(payload.to_owned()));
    let signed = Signed { target, session, authorization, date, declared, is_for_regions: true };
    signed.check(head, payload)?;
    Ok(signed)
}

/// As `aws codecommit credential-helper` makes it.
fn in_password(head: &Head, text: &str, state: &State) -> Result<Signed, Denied> {
    let wrong = || unauthorized("no such password");
    let text = STANDARD.decode(text).ok().and_then(|text| String::from_utf8(text).ok()).ok_or_else(wrong)?;
    let (user, password) = text.split_once(':').ok_or_else(wrong)?;
    let (key_id, token) = user.split_once('%').ok_or_else(wrong)?;
    let session = open(&state.sessions).get(key_id).cloned().ok_or_else(wrong)?;
    let now = state.clock.now();
    ended(&session, now)?;
    let (date, made) = password.split_once('Z').ok_or_else(wrong)?;
    let at = read_date(&format!("{date}Z")).ok_or_else(wrong)?;
    if token != session.token || at.duration_since(now).abs() > SignedDuration::from_mins(15) {
        return Err(wrong());
    }
    let host = head.get("host").unwrap_or_default();
    let path = head.word(1).split('?').next().unwrap_or_default();
    let repository = path.trim_end_matches("/info/refs").trim_end_matches("/git-upload-pack");
    let canonical = format!("GIT\n{repository}\n\nhost:{host}\n\nhost\n");
    let region = host.split('.').nth(1).unwrap_or_default();
    let scope = Scope { day: date[..8].to_owned(), region: region.to_owned(), service: "codecommit".to_owned() };
    if signature(&scope.key(&session.secret), (date, &scope), &canonical) != made {
        return Err(unauthorized("the password is not for this repository"));
    }
    let signed = vec!["host".to_owned()];
    let authorization = Authorization { key_id: key_id.to_owned(), scope, signed, signature: made.to_owned() };
    let (target, declared) = (path.to_owned(), Some("UNSIGNED-PAYLOAD".to_owned()));
    Ok(Signed { target, session, authorization, date: date.to_owned(), declared, is_for_regions: false })
}
