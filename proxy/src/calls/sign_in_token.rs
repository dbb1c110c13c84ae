//! The token that AWS's sign-in gives for keys: it stays here, and the program gets a placeholder for it.

use access::{Lease, Refusal, RefusalCode};
use cloud::aws::placeholder::Placeholders;
use cloud::aws::sign_in::{self, NoToken, TOKEN_LASTS};
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use jiff::Timestamp;
use lease::{DerivedCredentials, SignInToken, SignInTokens};
use zeroize::Zeroize;

use crate::answers::trouble::{self, Stop};
use crate::calls::derive::draw;
use crate::upstream::Answered;

/// Longest answer that is read. One with a token has some 2 KiB.
const MAX_ANSWER: usize = 64 * 1024;

/// What tokens are kept in, and what else placeholders stand for.
type Books<'a> = (&'a Placeholders, &'a SignInTokens, &'a DerivedCredentials);

/// Keeps the token of an answer, which is written anew: the request had keys in it, and nobody says what else repeats them.
pub(crate) async fn keep_token(
    answered: &mut Answered,
    lease: &Lease,
    (placeholders, tokens, derived): Books<'_>,
    now: Timestamp,
) -> Result<(), Stop> {
    let status = answered.response.status();
    if status.is_server_error() {
        let message = format!("AWS's sign-in answered {status}");
        return Err(Stop::Broken(Refusal::new(RefusalCode::UpstreamUnavailable, message)));
    }
    if status != StatusCode::OK {
        let message = format!("AWS's sign-in gives no token for these keys: it answered {status}");
        return Err(Refusal::new(RefusalCode::ExchangeRefused, message).into());
    }
    if answered.response.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(unread("it is compressed, though it was asked for as it is").into());
    }
    let mut token = Err(unread("it was not read"));
    let look = |body: &mut Vec<u8>| {
        let is_short = body.len() <= MAX_ANSWER;
        let found = if is_short { sign_in::token_in(body) } else { Err(NoToken) };
        token = found.map_err(|error| unread(&error.to_string()));
        body.zeroize();
    };
    answered.look_ahead(MAX_ANSWER + 1, look).await.map_err(|error| trouble::broken_off(&error))?;
    let token = token?;
    let is_free = |id: &str| derived.find(id, now).is_none() && tokens.find(id, now).is_none();
    let placeholder = draw(placeholders, is_free)?;
    let text = sign_in::answer(&placeholder.sign_in_token());
    let until = now.checked_add(TOKEN_LASTS).unwrap_or(now);
    tokens.keep(placeholder.access_key_id, SignInToken::new(token, lease, until));
    let headers = answered.response.headers_mut();
    headers.clear();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    answered.response.body_mut().give_back(text.into(), None);
    Ok(())
}

fn unread(why: &str) -> Refusal {
    let message = format!("the answer of AWS's sign-in is held back: {why}");
    Refusal::new(RefusalCode::CredentialWithheld, message)
}
