//! Uploads with a form: the rules of AWS's pages "POST Object" and "POST policy". The signature is in a field, and each
//! field is held against the policy.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use super::admit::{Denied, ended, fits, read_date};
use super::iam::{Request, may};
use super::{Call, Session, open};
use crate::stage::served::Answer;
use crate::stage::sigv4::{Scope, hmac};
use crate::stage::wire::Head;

/// "The form data and boundaries (excluding the contents of the file) cannot exceed 20 KB."
const MAX_BEFORE_FILE: usize = 20 * 1024;

/// Whether a request is one of these.
pub(super) fn is_asked(head: &Head) -> bool {
    let is_s3 = head.get("host").is_some_and(|host| host.contains(".s3."));
    is_s3
        && head.word(0) == "POST"
        && head.get("content-type").is_some_and(|kind| kind.starts_with("multipart/form-data"))
}

/// A form, taken apart.
struct Form {
    /// Names in lower case.
    fields: Vec<(String, String)>,
    content: Vec<u8>,
}

fn malformed(why: &str) -> Denied {
    Denied::new(400, "MalformedPOSTRequest", why)
}

fn denied(why: &str) -> Denied {
    Denied::new(403, "AccessDenied", format!("Invalid according to Policy: {why}"))
}

impl Form {
    fn read(head: &Head, body: &[u8]) -> Result<Self, Denied> {
        let boundary = head.get("content-type").and_then(|kind| kind.split_once("boundary="));
        let boundary = format!("\r\n--{}", boundary.ok_or_else(|| malformed("no boundary"))?.1);
        // As if a line had ended before the first one.
        let body = [b"\r\n", body].concat();
        let mut parts = split(&body, boundary.as_bytes()).into_iter();
        if parts.next().is_none_or(|before| !before.is_empty()) {
            return Err(malformed("something before the first boundary"));
        }
        let (mut fields, mut length) = (Vec::new(), 0);
        while let Some(part) = parts.next() {
            let part = part.strip_prefix(b"\r\n").ok_or_else(|| malformed("no file"))?;
            let at = part.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| malformed("no blank line"))?;
            let lines = String::from_utf8_lossy(&part[..at]).into_owned();
            let name = lines.split("name=\"").nth(1).and_then(|rest| rest.split('"').next());
            let name = name.ok_or_else(|| malformed("no name"))?.to_lowercase();
            if name == "file" {
                let rest: Vec<&[u8]> = parts.collect();
                return match rest[..] {
                    [b"--\r\n"] if length <= MAX_BEFORE_FILE => Ok(Self { fields, content: part[at + 4..].to_vec() }),
                    [b"--\r\n"] => Err(Denied::new(400, "MaxPostPreDataLengthExceeded", "too much before the file")),
                    _ => Err(malformed("the file is not the last field")),
                };
            }
            length += part.len() + boundary.len();
            fields.push((name, String::from_utf8_lossy(&part[at + 4..]).into_owned()));
        }
        Err(malformed("no file"))
    }

    fn get(&self, name: &str) -> Result<&str, Denied> {
        let mut found = self.fields.iter().filter(|(field, _)| field == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(value),
            _ => Err(malformed(&format!("{name} has to be there once"))),
        }
    }

    /// Key, token, times, scope and signature.
    fn session(&self, call: &Call<'_>) -> Result<Session, Denied> {
        if self.get("awsaccesskeyid").is_ok() {
            return Err(Denied::new(400, "InvalidRequest", "Please use AWS4-HMAC-SHA256."));
        }
        let credential: Vec<&str> = self.get("x-amz-credential")?.split('/').collect();
        let [key_id, day, region, service, "aws4_request"] = credential[..] else {
            return Err(malformed("credential"));
        };
        let scope = Scope { day: day.to_owned(), region: region.to_owned(), service: service.to_owned() };
        let unknown = || {
            Denied::new(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
        };
        let session = open(&call.state.sessions).get(key_id).cloned().ok_or_else(unknown)?;
        if self.get("x-amz-security-token")? != session.token {
            return Err(Denied::new(403, "InvalidToken", "The provided token is malformed or otherwise invalid."));
        }
        ended(&session, call.state.clock.now())?;
        let date = self.get("x-amz-date")?;
        read_date(date).ok_or_else(|| malformed("x-amz-date"))?;
        fits(call.head, &scope, date)?;
        let policy = self.get("policy")?;
        if self.get("x-amz-algorithm")? != "AWS4-HMAC-SHA256"
            || self.get("x-amz-signature")? != hex::encode(hmac(&scope.key(&session.secret), policy))
        {
            let message = "The request signature we calculated does not match the signature you provided.";
            let denied = Denied::new(403, "SignatureDoesNotMatch", message);
            return Err(Denied { expected: Some((policy.to_owned(), session.key_id)), ..denied });
        }
        Ok(session)
    }

    /// Holds the form against its policy: each condition is met, and each field has one.
    fn check(&self, bucket: &str, now: Timestamp) -> Result<(), Denied> {
        let policy = STANDARD.decode(self.get("policy")?).map_err(|_| malformed("policy"))?;
        let policy: Value = serde_json::from_slice(&policy).map_err(|_| malformed("policy"))?;
        let ends: Timestamp =
            policy["expiration"].as_str().and_then(|ends| ends.parse().ok()).ok_or_else(|| malformed("expiration"))?;
        if ends <= now {
            return Err(denied("Policy expired."));
        }
        let value = |name: &str| if name == "bucket" { Some(bucket) } else { self.get(name).ok() };
        let mut mentioned = vec!["policy".to_owned(), "x-amz-signature".to_owned()];
        for condition in policy["conditions"].as_array().ok_or_else(|| malformed("conditions"))? {
            let mut hold = |name: &str, meets: &dyn Fn(&str) -> bool| {
                let name = name.to_lowercase();
                let is_met = value(&name).is_some_and(meets);
                mentioned.push(name);
                if is_met { Ok(()) } else { Err(denied(&format!("Policy Condition failed: {condition}"))) }
            };
            match condition {
                Value::Object(exact) => {
                    for (name, wanted) in exact {
                        hold(name, &|value| *wanted == value)?;
                    }
                }
                Value::Array(parts) => {
                    let text = |at: usize| parts[at].as_str().unwrap_or_default();
                    match text(0) {
                        "eq" => hold(&text(1)[1..], &|value| value == text(2))?,
                        "starts-with" => hold(&text(1)[1..], &|value| value.starts_with(text(2)))?,
                        "content-length-range" => {
                            let range = parts[1].as_u64()..=parts[2].as_u64();
                            if !range.contains(&Some(self.content.len() as u64)) {
                                return Err(Denied::new(400, "EntityTooLarge", "outside of the range"));
                            }
                        }
                        _ => return Err(malformed("a condition")),
                    }
                }
                _ => return Err(malformed("a condition")),
            }
        }
        let ignored = |name: &str| name.starts_with("x-ignore-");
        let extra = self.fields.iter().find(|(name, _)| !ignored(name) && !mentioned.contains(name));
        extra.map_or(Ok(()), |(name, _)| Err(denied(&format!("Extra input fields: {name}"))))
    }
}

/// The pieces between the marks.
fn split<'a>(text: &'a [u8], mark: &[u8]) -> Vec<&'a [u8]> {
    let (mut pieces, mut from, mut at) = (Vec::new(), 0, 0);
    while at + mark.len() <= text.len() {
        if text[at..].starts_with(mark) {
            pieces.push(&text[from..at]);
            at += mark.len();
            from = at;
        } else {
            at += 1;
        }
    }
    pieces.push(&text[from..]);
    pieces
}

/// Takes an upload, if all of it is right.
pub(super) fn perform(call: &Call<'_>, body: &[u8]) -> Result<Answer, Denied> {
    let form = Form::read(call.head, body)?;
    if form.get("policy").is_err() {
        return Err(Denied::new(403, "AccessDenied", "Access Denied"));
    }
    let session = form.session(call)?;
    let bucket = call.head.get("host").unwrap_or_default().split('.').next().unwrap_or_default();
    form.check(bucket, call.state.clock.now())?;
    open(&call.state.seen)[call.index].key_id = Some(session.key_id.clone());
    let key = form.get("key")?.replace("${filename}", "a.txt");
    let resource = format!("arn:aws:s3:::{bucket}/{key}");
    may(&session, Request::of("s3:PutObject", &resource))?;
    if form.get("acl").is_ok() {
        may(&session, Request::of("s3:PutObjectAcl", &resource))?;
    }
    open(&call.state.objects).put(bucket, key.as_bytes(), form.content.clone());
    match form.get("success_action_redirect") {
        Ok(url) => {
            Ok(Answer::new(303, "text/plain", "").header("Location", format!("{url}?bucket={bucket}&key={key}")))
        }
        Err(_) => Ok(Answer::new(204, "text/plain", "")),
    }
}
