//! SimpleDB, which takes signatures of version 2 and no others.

use jiff::SignedDuration;

use super::admit::{Denied, ended};
use super::{Call, open, sts};
use crate::stage::presigning::call_signature_v2;
use crate::stage::served::Answer;
use crate::stage::wire::Head;

/// Whether a request is for SimpleDB.
pub(super) fn is_asked(head: &Head) -> bool {
    head.get("host").is_some_and(|host| host.starts_with("sdb."))
}

/// Answers who signed, as far as the signature is right.
pub(super) fn perform(call: &Call<'_>, body: &[u8]) -> Result<Answer, Denied> {
    let wrong = |code, why: &str| Denied::new(403, code, why);
    if call.head.get("authorization").is_some() {
        return Err(wrong("InvalidRequest", "signature version 4 is not for me"));
    }
    let (path, query) = call.head.word(1).split_once('?').unwrap_or((call.head.word(1), ""));
    if query.is_empty() == body.is_empty() {
        return Err(wrong("InvalidRequest", "the parameters stand in one place"));
    }
    let parameters = if body.is_empty() { query.to_owned() } else { String::from_utf8_lossy(body).into_owned() };
    let form = sts::form(parameters.as_bytes())?;
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let session = open(&call.state.sessions).get(field("AWSAccessKeyId")).cloned();
    let session = session.ok_or_else(|| wrong("InvalidClientTokenId", "no such key"))?;
    let now = call.state.clock.now();
    ended(&session, now)?;
    let made: jiff::Timestamp = field("Timestamp").parse().map_err(|_| wrong("InvalidParameterValue", "no time"))?;
    if made.duration_since(now).abs() > SignedDuration::from_mins(15) || field("SecurityToken") != session.token {
        return Err(wrong("RequestExpired", "the time or the token is wrong"));
    }
    let host = call.head.get("host").unwrap_or_default();
    if call_signature_v2((call.head.word(0), host, path), &parameters, &session.secret) != field("Signature") {
        return Err(wrong("SignatureDoesNotMatch", "the signature is not right"));
    }
    open(&call.state.seen)[call.index].key_id = Some(session.key_id);
    Ok(Answer::new(200, "text/xml", format!("<{0}Response><Done>{0}</Done></{0}Response>", field("Action"))))
}
