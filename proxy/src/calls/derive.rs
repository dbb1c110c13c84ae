//! Calls whose answers hold credentials: the program gets placeholders, the credentials stay here.

use access::{Call, Credential, Lease, Refusal, RefusalCode, TargetName};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use cloud::aws::placeholder::{DerivedPlaceholder, Placeholders};
use cloud::aws::vended::{self, Unreadable, Vended};
use cloud::aws::vending::Vends;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRAILER,
};
use http::request;
use jiff::Timestamp;
use lease::{Derived, DerivedCredentials, Owner};
use zeroize::Zeroize;

use crate::answers::trouble::{self, Stop};
use crate::upstream::Answered;

/// Longest answer that is read for keys. One of STS has 2 KiB; a page of jobs with keys each, some ten.
const MAX_ANSWER: usize = 256 * 1024;

/// The types of the answers of APIs, in which keys could stand that nobody expects there. One without a type may be a
/// socket's, unless it says its length.
const WITH_KEYS: [&str; 7] = [
    "application/cbor",
    "application/json",
    "application/x-amz-cbor-1.1",
    "application/x-amz-json-1.0",
    "application/x-amz-json-1.1",
    "application/xml",
    "text/xml",
];

const WITHOUT_TARGET: &str =
    "set `proxy.default_target`, or let the program use the placeholder keys that it was given";

/// How often another id is drawn where one is taken. It has 40 random bits: the second draw is free but for a wonder.
const DRAWS: usize = 4;

/// What no longer fits a body that was changed. All of them are optional to whoever reads them.
const OF_THE_BODY: [HeaderName; 5] = [
    HeaderName::from_static("x-amz-crc32"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("etag"),
    TRAILER,
];

/// An answer to come that holds keys, and what will be asked of calls that are made with them.
#[derive(Debug)]
pub(crate) struct Expected {
    /// The target whose grants must cover them; none for an unsigned call where no target is the default.
    target: Option<TargetName>,
    /// The only caller who may make them; the keys of a call that nobody signed belong to whoever has their placeholder.
    owner: Option<Owner>,
    odds: Odds,
}

/// How surely an answer holds keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Odds {
    /// It has to.
    Always,
    /// It may be without.
    Perhaps,
    /// Nothing says so. Only what looks like keys is held back; all else is passed on as it comes.
    Hardly,
}

impl Expected {
    /// What a call that was signed with a placeholder for `target` has to be answered with.
    pub(crate) fn of_signed(vends: Vends, target: &TargetName, lease: &Lease) -> Option<Self> {
        let odds = Odds::of(vends)?;
        Some(Self { target: Some(target.clone()), owner: Some(Owner::of(lease)), odds })
    }

    /// The same for a call that carries another proof than a signature. The keys that it buys are the program's own, but
    /// no request is signed that no grant covers: those to the default target have to.
    pub(crate) fn of_unsigned(
        call: &Call,
        vends: Vends,
        default: Option<&TargetName>,
    ) -> Result<Option<Self>, Refusal> {
        match vends {
            Vends::Nothing => Ok(None),
            Vends::Hardly => Ok(Some(Self::of_stranger(default))),
            Vends::Keys { .. } if default.is_none() => {
                Err(withheld(call, "access keys that no target's grants apply to").help(WITHOUT_TARGET))
            }
            Vends::Keys { .. } => Ok(Odds::of(vends).map(|odds| Self { target: default.cloned(), owner: None, odds })),
            Vends::Token | Vends::Lasting => Err(withheld(call, "a credential that the program would hold itself")),
            Vends::Unclear => Err(unclear(call)),
        }
    }

    /// The same at a host that stands in for a cloud, of which no rule says what is asked there.
    pub(crate) fn of_stranger(default: Option<&TargetName>) -> Self {
        Self { target: default.cloned(), owner: None, odds: Odds::Hardly }
    }

    /// Asks for an answer that can be read.
    pub(crate) fn announce(head: &mut request::Parts) {
        head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
}

impl Odds {
    const fn of(vends: Vends) -> Option<Self> {
        match vends {
            Vends::Keys { perhaps: false } => Some(Self::Always),
            Vends::Keys { perhaps: true } => Some(Self::Perhaps),
            Vends::Hardly => Some(Self::Hardly),
            Vends::Nothing | Vends::Lasting | Vends::Token | Vends::Unclear => None,
        }
    }
}

/// Refuses before anything is lent what nothing can stand for.
pub(crate) fn refuse_hopeless(call: &Call, vends: Vends) -> Result<(), Refusal> {
    match vends {
        Vends::Nothing | Vends::Hardly | Vends::Keys { .. } | Vends::Token => Ok(()),
        Vends::Lasting => Err(withheld(call, "a key without an end, which no placeholder can stand for")
            .help("make lasting keys elsewhere, or grant a target instead: programs here need none")),
        Vends::Unclear => Err(unclear(call)),
    }
}

/// Refuses a token that the program itself would hold, unless the operator has said so by its name.
pub(crate) fn refuse_unnamed(call: Option<&Call>, vends: Vends, lease: &Lease) -> Result<(), Refusal> {
    let Some(call) = call.filter(|_| vends == Vends::Token) else { return Ok(()) };
    if lease.permit().names(call) {
        return Ok(());
    }
    let action = call.action.as_deref().unwrap_or_default();
    let grant = &lease.permit().grant().name;
    Err(withheld(call, "a token that the program would hold itself, beyond every grant")
        .help(format!("if it may, write `{action}` in full among what the grant {grant} allows")))
}

fn withheld(call: &Call, what: &str) -> Refusal {
    let action = call.action.as_deref().unwrap_or(&call.service);
    Refusal::new(RefusalCode::CredentialWithheld, format!("the answer to {action} holds {what}"))
}

fn unclear(call: &Call) -> Refusal {
    let message = format!(
        "{} hands out credentials, and the request does not say clearly whether this call asks for some",
        call.service
    );
    Refusal::new(RefusalCode::CredentialWithheld, message).help("name one operation, the same wherever it is named")
}

/// What placeholders are drawn from, and what they stand for.
type Books<'a> = (&'a Placeholders, &'a DerivedCredentials);

/// Keeps the keys in an answer here; the program gets placeholders in their place.
pub(crate) async fn take_keys(
    answered: &mut Answered,
    expected: &Expected,
    books: Books<'_>,
    now: Timestamp,
) -> Result<(), Stop> {
    let headers = answered.response.headers();
    if expected.odds == Odds::Hardly && !could_hold_keys(headers) {
        return Ok(());
    }
    if is_compressed(headers) {
        return Err(unread("it is compressed, though it was asked for as it is").into());
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let mut length = Err(unread("it was not read"));
    let look = |body: &mut Vec<u8>| {
        let is_free = expected.odds == Odds::Hardly && !vended::may_hold_keys(body);
        length = if is_free { Ok(None) } else { virtualise((body, &content_type), expected, books, now) };
    };
    answered.look_ahead(MAX_ANSWER + 1, look).await.map_err(|error| trouble::broken_off(&error))?;
    if let Some(length) = length? {
        describe(answered.response.headers_mut(), length);
    }
    Ok(())
}

/// Whether an answer that nobody expects to hold keys is one in which they could be found: not a stream, not an object.
fn could_hold_keys(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = text(&CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_short =
        text(&CONTENT_LENGTH).and_then(|length| length.parse().ok()).is_none_or(|length| MAX_ANSWER >= length);
    is_short && !is_compressed(headers) && WITH_KEYS.iter().any(|known| known.eq_ignore_ascii_case(kind))
}

fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity")
}

/// The answer's new length; `None` where it stays as it is.
fn virtualise(
    (body, content_type): (&mut Vec<u8>, &str),
    expected: &Expected,
    (placeholders, kept): Books<'_>,
    now: Timestamp,
) -> Result<Option<usize>, Refusal> {
    if body.len() > MAX_ANSWER {
        return Err(unread(&format!("it is longer than {MAX_ANSWER} bytes")));
    }
    let unreadable = |why: Unreadable| unread(&why.to_string());
    let vended = vended::read(body, content_type, now).map_err(unreadable)?;
    match &vended[..] {
        [] if expected.odds == Odds::Always => return Err(unread("there are none in it")),
        [] => return Ok(None),
        _ => {}
    }
    let is_free = |id: &str| kept.find(id, now).is_none();
    let drawn = vended.iter().map(|_| draw(placeholders, is_free)).collect::<Result<Vec<_>, _>>()?;
    let replaced = vended::replace(body, &vended, &drawn).map_err(unreadable)?;
    for (keys, placeholder) in vended.into_iter().zip(drawn) {
        keep(keys, placeholder, expected, (kept, now))?;
    }
    body.zeroize();
    *body = replaced;
    Ok(Some(body.len()))
}

fn keep(
    Vended { credential, principal, .. }: Vended,
    placeholder: DerivedPlaceholder,
    expected: &Expected,
    (kept, now): (&DerivedCredentials, Timestamp),
) -> Result<(), Refusal> {
    let target = expected.target.clone();
    let target = target.ok_or_else(|| unread("no target's grants apply to them").help(WITHOUT_TARGET))?;
    let principal = principal.unwrap_or_else(|| credential.access_key_id.clone());
    tracing::info!(
        access_key_id = credential.access_key_id,
        placeholder = placeholder.access_key_id,
        principal,
        until = %credential.expires,
        "temporary credentials kept, and a placeholder given in their place"
    );
    let derived = Derived::new(Credential::Aws(credential), target, expected.owner.clone(), principal);
    let is_free = kept.keep(placeholder.access_key_id, derived, now);
    if is_free { Ok(()) } else { Err(unread("no placeholder was free for them")) }
}

/// A placeholder that stands for nothing yet.
pub(crate) fn draw(placeholders: &Placeholders, is_free: impl Fn(&str) -> bool) -> Result<DerivedPlaceholder, Refusal> {
    for _ in 0..DRAWS {
        let mut random = [0; 8];
        SystemRandom::new().fill(&mut random).map_err(|_| unread("this system gives no random numbers"))?;
        let placeholder = placeholders.derived(random);
        if is_free(&placeholder.access_key_id) {
            return Ok(placeholder);
        }
    }
    Err(unread("no placeholder was free for them"))
}

fn describe(headers: &mut HeaderMap, length: usize) {
    OF_THE_BODY.iter().for_each(|name| drop(headers.remove(name)));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
}

/// A placeholder that stood for something once.
pub(crate) fn expired() -> Refusal {
    let message =
        "these temporary keys stand for nothing any more: they have ended, or the proxy was started again since";
    Refusal::new(RefusalCode::PlaceholderExpired, message).help("ask for new ones; SDKs do it by themselves")
}

/// The credentials of an answer could not be taken out of it. What they are good for ends by itself.
fn unread(why: &str) -> Refusal {
    let message = format!("the cloud's answer holds credentials that could not be taken out of it: {why}");
    Refusal::new(RefusalCode::CredentialWithheld, message)
}

#[cfg(test)]
mod tests {
    use access::{Cloud, Spelling};

    use super::*;

    fn call(action: &str) -> Call {
        Call {
            cloud: Cloud::Aws,
            service: "sts".into(),
            prefix: "sts".into(),
            region: None,
            action: Some(action.into()),
            resource: None,
            also: Vec::new(),
            method: "POST".into(),
            host: "sts.amazonaws.com".into(),
            path: "/".into(),
            spelling: Spelling::Plain,
        }
    }

    #[test]
    fn keys_of_an_unsigned_call_are_had_only_where_a_default_target_says_what_they_may_do() {
        let (call, keys) = (call("sts:AssumeRoleWithWebIdentity"), Vends::Keys { perhaps: false });
        let receipts = TargetName::new("receipts").unwrap();
        let expected = Expected::of_unsigned(&call, keys, Some(&receipts)).unwrap().unwrap();
        assert!(expected.target == Some(receipts) && expected.owner.is_none());
        let refusal = Expected::of_unsigned(&call, keys, None).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::CredentialWithheld);
        assert!(refusal.help.unwrap().contains("proxy.default_target"));
    }

    #[test]
    fn what_nothing_can_stand_for_is_refused() {
        for (action, vends) in [("iam:CreateAccessKey", Vends::Lasting), ("sts:AssumeRole", Vends::Unclear)] {
            let refused = refuse_hopeless(&call(action), vends).unwrap_err();
            assert_eq!(refused.code, RefusalCode::CredentialWithheld);
            assert!(Expected::of_unsigned(&call(action), vends, None).is_err());
        }
        assert!(Expected::of_unsigned(&call("signin:CreateOAuth2Token"), Vends::Token, None).is_err());
        assert!(refuse_hopeless(&call("sts:AssumeRole"), Vends::Keys { perhaps: false }).is_ok());
    }
}
