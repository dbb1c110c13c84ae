//! Access keys in an answer: found wherever they stand, and replaced in their place, all else byte for byte.

mod cbor;
mod json;
mod xml;

use std::collections::BTreeMap;
use std::ops::Range;

use access::{AwsCredential, Secret};
use jiff::{SignedDuration, Timestamp};

use super::placeholder::DerivedPlaceholder;

/// An answer nests eight deep at most.
const MAX_DEPTH: usize = 32;

/// Values in an answer. A page of jobs of CodePipeline has some thousands.
const MAX_VALUES: usize = 20_000;

/// How long keys are taken to last whose answer does not say it: a job's, of which it is usual.
const UNTOLD: SignedDuration = SignedDuration::from_hours(1);

/// Numbers from here on are milliseconds: as seconds they would lie beyond the year 5000.
const FIRST_MILLISECONDS: f64 = 1e11;

/// What members are called that hold the secret of a key.
const SECRETS: [&str; 2] = ["secretaccesskey", "secretkey"];

/// Why the keys in an answer cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Neither well-formed XML nor JSON nor CBOR.
    #[error("the answer is neither XML nor JSON nor CBOR that can be read")]
    Syntax,
    /// Far more than such an answer holds.
    #[error("the answer nests too deeply or holds too much")]
    TooMuch,
    /// Some parts of a key stand there, and not each of them once.
    #[error("the answer holds parts of an access key that do not make one")]
    Incomplete,
    /// A time that is none.
    #[error("the answer says the end of its keys in no known way")]
    Expiration,
    /// There is a token beside the keys with which others are had.
    #[error("the answer holds a token with which more keys could be had")]
    Renewal,
    /// Part of a key stands where none is looked for as well.
    #[error("the answer holds a secret in more places than one")]
    Elsewhere,
}

/// What an answer is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Xml,
    Json,
    Cbor,
}

/// A value of an answer.
struct Value {
    /// The structure that it stands in, by number.
    parent: usize,
    /// Its name there, lower case.
    name: String,
    /// Decoded; numbers as they are written.
    text: Secret<String>,
    /// Where it stands, as far as it has to be replaced.
    at: Range<usize>,
}

/// Keys as an answer holds them.
#[derive(Debug)]
pub struct Vended {
    /// The keys.
    pub credential: AwsCredential,
    /// Who whoever signs with them is: an ARN, if the answer says it.
    pub principal: Option<String>,
    /// Where access key id, secret and token stand.
    places: [Range<usize>; 3],
    form: Form,
}

/// Whether the secret of a key may stand in an answer that is not known to hold one: the name of such a member does. All
/// writers of such answers write it as it is.
pub fn may_hold_keys(body: &[u8]) -> bool {
    SECRETS.iter().any(|name| body.windows(name.len()).any(|text| text.eq_ignore_ascii_case(name.as_bytes())))
}

/// Finds every access key in `body`, in the order of the answer. `now` counts where the answer names no end.
///
/// # Errors
/// [`Unreadable`]: what cannot be read to its last byte may hold keys that are not found.
pub fn read(body: &[u8], content_type: &str, now: Timestamp) -> Result<Vec<Vended>, Unreadable> {
    let form = Form::of(body, content_type)?;
    let values = match form {
        Form::Xml => xml::values(body)?,
        Form::Json => json::values(body)?,
        Form::Cbor => cbor::values(body)?,
    };
    if values.iter().any(|value| value.name == "refreshtoken") {
        return Err(Unreadable::Renewal);
    }
    let mut structures = BTreeMap::<usize, Vec<&Value>>::new();
    for value in &values {
        structures.entry(value.parent).or_default().push(value);
    }
    let principal = values.iter().find(|value| value.name == "arn" && value.text.expose().starts_with("arn:"));
    let principal = principal.map(|value| value.text.expose().as_str());
    structures.values().filter_map(|members| keys(members, (form, principal), now).transpose()).collect()
}

/// `body` with the keys in it replaced, one for one.
///
/// # Errors
/// [`Unreadable::Elsewhere`]: a secret or a token would still stand in it.
pub fn replace(body: &[u8], vended: &[Vended], by: &[DerivedPlaceholder]) -> Result<Vec<u8>, Unreadable> {
    let mut changes: Vec<(&Range<usize>, Form, &str)> = Vec::with_capacity(vended.len() * 3);
    for (keys, placeholder) in vended.iter().zip(by) {
        let texts: [&str; 3] =
            [&placeholder.access_key_id, placeholder.secret_access_key.expose(), placeholder.session_token.expose()];
        changes.extend(keys.places.iter().zip(texts).map(|(place, text)| (place, keys.form, text)));
    }
    changes.sort_by_key(|(place, ..)| place.start);
    let (mut out, mut from) = (Vec::with_capacity(body.len() + 512), 0);
    for (place, form, text) in changes {
        out.extend_from_slice(&body[from..place.start]);
        match form {
            Form::Xml => out.extend_from_slice(text.as_bytes()),
            Form::Json => out.extend([b"\"", text.as_bytes(), b"\""].concat()),
            Form::Cbor => cbor::write_text(text, &mut out),
        }
        from = place.end;
    }
    out.extend_from_slice(&body[from..]);
    let secrets = vended.iter().flat_map(|keys| [&keys.credential.secret_access_key, &keys.credential.session_token]);
    let stands = |secret: &str| out.windows(secret.len()).any(|window| window == secret.as_bytes());
    if secrets.map(Secret::expose).any(|secret| stands(secret)) { Err(Unreadable::Elsewhere) } else { Ok(out) }
}

impl Form {
    /// What the bytes are counts; the header only tells CBOR, whose bytes may be anything.
    fn of(body: &[u8], content_type: &str) -> Result<Self, Unreadable> {
        if content_type.trim_start().to_ascii_lowercase().starts_with("application/cbor") {
            return Ok(Self::Cbor);
        }
        match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'<') => Ok(Self::Xml),
            Some(b'{') => Ok(Self::Json),
            Some(_) | None => Err(Unreadable::Syntax),
        }
    }
}

/// Which part of a key a member is, by its name in any of the models.
fn part(name: &str) -> Option<usize> {
    match name {
        "accesskeyid" => Some(0),
        secret if SECRETS.contains(&secret) => Some(1),
        "sessiontoken" => Some(2),
        _ => None,
    }
}

/// The key that the members of a structure make; `None` where it names one by its id alone.
fn keys(
    members: &[&Value],
    (form, principal): (Form, Option<&str>),
    now: Timestamp,
) -> Result<Option<Vended>, Unreadable> {
    let mut parts: [Option<&Value>; 3] = [None; 3];
    let mut expires = None;
    for value in members {
        if let Some(part) = part(&value.name) {
            if parts[part].replace(value).is_some() {
                return Err(Unreadable::Incomplete);
            }
        } else if value.name == "expiration" {
            expires = Some(value);
        }
    }
    let (id, secret, token) = match parts {
        [_, None, None] => return Ok(None),
        [Some(id), Some(secret), Some(token)] => (id, secret, token),
        _ => return Err(Unreadable::Incomplete),
    };
    if [id, secret, token].iter().any(|value| value.text.expose().is_empty()) {
        return Err(Unreadable::Incomplete);
    }
    let untold = || now.checked_add(UNTOLD).unwrap_or(now);
    let expires = expires.map_or_else(|| Ok(untold()), |end| time(end.text.expose()).ok_or(Unreadable::Expiration))?;
    let credential = AwsCredential {
        access_key_id: id.text.expose().clone(),
        secret_access_key: secret.text.clone(),
        session_token: token.text.clone(),
        expires,
    };
    let places = [id, secret, token].map(|value| value.at.clone());
    Ok(Some(Vended { credential, principal: principal.map(str::to_owned), places, form }))
}

/// `2026-07-05T13:00:00Z`, or seconds or milliseconds since 1970, with or without a fraction.
fn time(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
    let seconds = if number >= FIRST_MILLISECONDS { number / 1000.0 } else { number };
    Timestamp::UNIX_EPOCH.checked_add(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
}

#[cfg(test)]
#[path = "vended_tests.rs"]
mod tests;
