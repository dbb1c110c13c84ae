//! AWS's sign-in: a token for keys, and a session of the console for a token ("Enable custom identity broker access to the AWS
//! console").

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::admit::{Denied, ended};
use super::{Call, open};
use crate::stage::served::Answer;
use crate::stage::sigv4::decode;
use crate::stage::wire::Head;

/// What every token of the sign-in begins with; behind it stands what was asked for.
pub(crate) const SIGN_IN_TOKEN: &str = "real+session/token//signin ";

/// What opens the console.
pub(crate) const COOKIE: &str = "aws-creds=real+secret/console";

/// Whether a request goes there.
pub(super) fn is_asked(head: &Head) -> bool {
    head.get("host").is_some_and(|host| host.split('.').any(|label| label == "signin"))
}

fn refused(why: &str) -> Denied {
    Denied::new(400, "InvalidRequest", why)
}

pub(super) fn perform(call: &Call<'_>, body: &[u8]) -> Result<Answer, Denied> {
    let (path, query) = call.head.word(1).split_once('?').unwrap_or((call.head.word(1), ""));
    if path != "/federation" {
        return Ok(Answer::new(200, "text/html", format!("a page for people: {path}")));
    }
    let text = if body.is_empty() { query.to_owned() } else { String::from_utf8_lossy(body).into_owned() };
    let mut parameters = BTreeMap::new();
    for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = String::from_utf8_lossy(&decode(value)).into_owned();
        if parameters.insert(name.to_owned(), value).is_some() {
            return Err(refused("a parameter is there twice"));
        }
    }
    let parameter = |name: &str| parameters.get(name).map(String::as_str).unwrap_or_default();
    match parameter("Action") {
        "getSigninToken" => {
            let duration = parameter("SessionDuration");
            if !duration.is_empty() && !duration.parse().is_ok_and(|seconds| (900..=43_200).contains(&seconds)) {
                return Err(refused("SessionDuration"));
            }
            let shown: Value = serde_json::from_str(parameter("Session")).map_err(|_| refused("Session"))?;
            let part = |name: &str| shown[name].as_str().unwrap_or_default();
            let session = open(&call.state.sessions).get(part("sessionId")).cloned();
            let session = session.filter(|s| s.secret == part("sessionKey") && s.token == part("sessionToken"));
            // AWS's own page repeats what it was shown.
            let session = session.ok_or_else(|| refused(&format!("no such keys: {shown}")))?;
            ended(&session, call.state.clock.now())?;
            open(&call.state.seen)[call.index].key_id = Some(session.key_id.clone());
            let token = format!("{SIGN_IN_TOKEN}{} {duration}", session.key_id);
            Ok(Answer::new(200, "application/json", json!({ "SigninToken": token }).to_string()))
        }
        "login" if parameter("SigninToken").starts_with(SIGN_IN_TOKEN) => {
            let to = parameter("Destination");
            Ok(Answer::new(302, "text/html", "").header("Location", to).header("Set-Cookie", COOKIE))
        }
        "login" => Err(refused(&format!("the token {} is not valid", parameter("SigninToken")))),
        _ => Ok(Answer::new(200, "text/html", "nothing was asked")),
    }
}
