//! Requests to AWS's sign-in: the keys that a program shows are placeholders, and so is the token that it gets for them.

use std::time::Duration;

use access::{Call, Credential, Lease, Refusal, RefusalCode, Secret};
use aws_lc_rs::constant_time;
use bytes::Bytes;
use cloud::aws::mismatch::CanonicalRequest;
use cloud::aws::sign::SignError;
use cloud::aws::sign_in::{BadSignIn, Shown, SignIn, Wish, capped};
use cloud::aws::vending::Vends;
use cloud::aws::verify::VerifyError;
use http::Request;
use http::header::{ACCEPT_ENCODING, HeaderValue};
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use lease::{AnothersCredential, Lessor};
use percent_encoding::percent_decode;

use super::{Conversation, Outbound, pass_on};
use crate::answers::trouble::Stop;
use crate::app::span;
use crate::books::record::Entry;
use crate::calls::classify::{no_sign_in, unverified};
use crate::calls::derive;
use crate::calls::echo::Echo;
use crate::calls::sign::credential;
use crate::calls::standing::{self, Standing};
use crate::client::Client;
use crate::wire::body::{RequestBody, Upload};
use crate::wire::hop;

/// What began at once ends at once, but for the fractions of a second that keys do not have, and for another clock.
const AT_ONCE: SignedDuration = SignedDuration::from_mins(1);

impl<L: Lessor> Conversation<L> {
    /// Reads what is asked of the federation endpoint.
    pub(super) async fn sign_in(
        &self,
        (mut head, body): (Parts, Upload),
        call: Call,
        client: &Client,
        entry: &mut Entry,
    ) -> Result<Outbound, Stop> {
        let held = self.app.holding.of(self.client.address).whole(&mut head, body).await?;
        let malformed = |error: BadSignIn| Refusal::new(RefusalCode::RequestMalformed, error.to_string());
        let sign_in = SignIn::read(&head, &held).map_err(malformed)?;
        let call = sign_in.call(call);
        let ours = |token: &Secret<String>| self.app.classifier.placeholders().find_sign_in(token.expose());
        match sign_in.wish() {
            Wish::Token(shown) => self.get_token((head, &sign_in), (shown, call), client, entry).await,
            Wish::Login(token) if let Some(id) = ours(token) => {
                self.log_in((head, &sign_in), (&id, call), client, entry).await
            }
            Wish::Login(_) | Wish::Other => {
                let classifier = &self.app.classifier;
                classifier.refuse_astray(&head).map_err(|_| no_sign_in())?;
                let plain = percent_decode(&held).collect::<Vec<_>>();
                if classifier.is_mentioned(&held) || classifier.is_mentioned(&plain) {
                    return Err(no_sign_in().into());
                }
                entry.call(call);
                Ok(pass_on(head, RequestBody::Held(Some(held))))
            }
        }
    }

    /// identify → lease, and the lease's keys go in the place of those that were shown.
    async fn get_token(
        &self,
        (mut head, sign_in): (Parts, &SignIn),
        (shown, mut call): (&Shown, Call),
        client: &Client,
        entry: &mut Entry,
    ) -> Result<Outbound, Stop> {
        let standing = self.stand_of(shown, &head)?;
        let (target, derived) = self.stands_for(standing, entry)?;
        self.app.limiter.admit_target(&target)?;
        let is_chained = derived.as_ref().is_some_and(|derived| derived.is_chained());
        if is_chained && shown.duration.is_some() {
            let message = "AWS takes no SessionDuration with the keys of a role that another role became";
            let help = "leave it out: the session of the console then ends with the keys";
            return Err(Refusal::new(RefusalCode::RequestMalformed, message).help(help).into());
        }
        if let Some(derived) = &derived {
            call.settle(derived.account());
        }
        let request = entry.id();
        let call = entry.call(call);
        let lease = self.lease((&target, call), client, request).await?;
        entry.lease(lease.clone());
        let Credential::Aws(keys) = credential(&lease, derived.as_deref())?;
        let longest = longest(&lease, self.app.clock.now());
        let lasts = if is_chained { None } else { capped(shown.duration.unwrap_or(longest), longest) };
        // The session then ends with the keys.
        if lasts.is_none() && keys.expires > lease.permit().until() + AT_ONCE {
            return Err(outlives().into());
        }
        prepare(&mut head, entry);
        let body = sign_in.with_keys(&mut head, keys, lasts).map_err(|error| too_long(&error))?;
        let request = Request::from_parts(head, RequestBody::Held(Some(Bytes::from_owner(body))));
        Ok(Outbound { request, echo: None, expected: None, is_sign_in: true })
    }

    /// What the keys stand for. They are shown as they are, so the secret is compared instead of a signature.
    fn stand_of(&self, shown: &Shown, head: &Parts) -> Result<Standing, Refusal> {
        let token = shown.token.as_ref().map(|token| token.expose().as_str());
        let placeholders = self.app.classifier.placeholders();
        let (secret, standing) = standing::find(placeholders, (&shown.access_key_id, token), head)?;
        // Keys of a target have no session token.
        let has_right_token = token.is_none() || matches!(standing, Standing::Derived(_));
        let (ours, theirs) = (secret.expose().as_bytes(), shown.secret.expose().as_bytes());
        if has_right_token && constant_time::verify_slices_are_equal(ours, theirs).is_ok() {
            return Ok(standing);
        }
        Err(unverified(&VerifyError::Mismatch))
    }

    /// The token that a placeholder stands for opens the console where the grant says so by name: what comes back is the
    /// program's to keep.
    async fn log_in(
        &self,
        (mut head, sign_in): (Parts, &SignIn),
        (id, call): (&str, Call),
        client: &Client,
        entry: &mut Entry,
    ) -> Result<Outbound, Stop> {
        let kept = self.app.sign_ins.find(id, self.app.clock.now()).ok_or_else(expired)?;
        let target = kept.target().clone();
        entry.target(target.clone());
        self.app.limiter.admit_target(&target)?;
        let request = entry.id();
        let call = entry.call(call);
        let lease = self.lease((&target, call), client, request).await?;
        entry.lease(lease.clone());
        derive::refuse_unnamed(entry.called(), Vends::Token, &lease)?;
        let anothers = |error: AnothersCredential| Refusal::new(RefusalCode::PlaceholderInvalid, error.to_string());
        let token = kept.token(&lease).map_err(anothers)?;
        prepare(&mut head, entry);
        let body = sign_in.with_token(&mut head, token).map_err(|error| too_long(&error))?;
        let request = Request::from_parts(head, RequestBody::Held(Some(Bytes::from_owner(body))));
        let echo = Echo { canonical: CanonicalRequest::unsaid(), asked: None, also: Some(token.clone()) };
        Ok(Outbound { request, echo: Some(echo), expected: None, is_sign_in: false })
    }
}

/// The head for an answer that can be read.
fn prepare(head: &mut Parts, entry: &Entry) {
    hop::strip_request(&mut head.headers);
    head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    entry.continue_trace(&mut head.headers);
}

/// How long a session may be that nobody can take back: as long as the permit, and no longer than it has still to go.
fn longest(lease: &Lease, now: Timestamp) -> Duration {
    let permit = lease.permit();
    span(permit.session().min(permit.until().duration_since(now)))
}

/// AWS takes no duration with these keys, or none so short.
fn outlives() -> Refusal {
    let message = "the session of the console would end with the keys, later than the caller's permission";
    let help = "ask for temporary keys with a shorter DurationSeconds, or again with a newer token of the caller's";
    Refusal::new(RefusalCode::CredentialWithheld, message).help(help)
}

fn expired() -> Refusal {
    let message = "this token of AWS's sign-in stands for nothing any more: it was good for 15 minutes, or the proxy was started again since";
    Refusal::new(RefusalCode::PlaceholderExpired, message).help("ask for a new one")
}

fn too_long(error: &SignError) -> Refusal {
    Refusal::new(RefusalCode::RequestMalformed, error.to_string())
}
