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
    /// The target whose grants must cover them.
    target: TargetName,
    /// The only caller who may make them; the keys of a call that nobody signed belong to whoever has their placeholder.
    owner: Option<Owner>,
    /// The answer may be without.
    perhaps: bool,
}

impl Expected {
    /// What a call that was signed with a placeholder for `target` has to be answered with.
    pub(crate) fn of_signed(vends: Vends, target: &TargetName, lease: &Lease) -> Option<Self> {
        let Vends::Keys { perhaps } = vends else { return None };
        Some(Self { target: target.clone(), owner: Some(Owner::of(lease)), perhaps })
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
            Vends::Keys { perhaps } => match default {
                Some(target) => Ok(Some(Self { target: target.clone(), owner: None, perhaps })),
                None => Err(withheld(call, "access keys that no target's grants apply to")
                    .help("set `proxy.default_target`, or let the program use the placeholder keys that it was given")),
            },
            Vends::Token | Vends::Lasting => Err(withheld(call, "a credential that the program would hold itself")),
            Vends::Unclear => Err(unclear(call)),
        }
    }

    /// Asks for an answer that can be read.
    pub(crate) fn announce(head: &mut request::Parts) {
        head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
}

/// Refuses before anything is lent what nothing can stand for.
pub(crate) fn refuse_hopeless(call: &Call, vends: Vends) -> Result<(), Refusal> {
    match vends {
        Vends::Nothing | Vends::Keys { .. } | Vends::Token => Ok(()),
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
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(unread("it is compressed, though it was asked for as it is").into());
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let mut length = Err(unread("it was not read"));
    let look = |body: &mut Vec<u8>| length = virtualise((body, &content_type), expected, books, now);
    answered.look_ahead(MAX_ANSWER + 1, look).await.map_err(|error| trouble::broken_off(&error))?;
    describe(answered.response.headers_mut(), length?);
    Ok(())
}

/// The answer's new length.
fn virtualise(
    (body, content_type): (&mut Vec<u8>, &str),
    expected: &Expected,
    (placeholders, kept): Books<'_>,
    now: Timestamp,
) -> Result<usize, Refusal> {
    if body.len() > MAX_ANSWER {
        return Err(unread(&format!("it is longer than {MAX_ANSWER} bytes")));
    }
    let unreadable = |why: Unreadable| unread(&why.to_string());
    let vended = vended::read(body, content_type, now).map_err(unreadable)?;
    if vended.is_empty() && !expected.perhaps {
        return Err(unread("there are none in it"));
    }
    let drawn = vended.iter().map(|_| draw(placeholders, kept, now)).collect::<Result<Vec<_>, _>>()?;
    let replaced = vended::replace(body, &vended, &drawn).map_err(unreadable)?;
    for (keys, placeholder) in vended.into_iter().zip(drawn) {
        keep(keys, placeholder, expected, (kept, now))?;
    }
    body.zeroize();
    *body = replaced;
    Ok(body.len())
}

fn keep(
    Vended { credential, principal, .. }: Vended,
    placeholder: DerivedPlaceholder,
    expected: &Expected,
    (kept, now): (&DerivedCredentials, Timestamp),
) -> Result<(), Refusal> {
    let principal = principal.unwrap_or_else(|| credential.access_key_id.clone());
    tracing::info!(
        access_key_id = credential.access_key_id,
        placeholder = placeholder.access_key_id,
        principal,
        until = %credential.expires,
        "temporary credentials kept, and a placeholder given in their place"
    );
    let derived = Derived::new(Credential::Aws(credential), expected.target.clone(), expected.owner.clone(), principal);
    let is_free = kept.keep(placeholder.access_key_id, derived, now);
    if is_free { Ok(()) } else { Err(unread("no placeholder was free for them")) }
}

fn draw(placeholders: &Placeholders, kept: &DerivedCredentials, now: Timestamp) -> Result<DerivedPlaceholder, Refusal> {
    for _ in 0..DRAWS {
        let mut random = [0; 8];
        SystemRandom::new().fill(&mut random).map_err(|_| unread("this system gives no random numbers"))?;
        let placeholder = placeholders.derived(random);
        if kept.find(&placeholder.access_key_id, now).is_none() {
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
        assert!(expected.target == receipts && expected.owner.is_none());
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
