//! What an answer repeats of the request that it answers.
//!
//! Where AWS refuses a signature or a token it says what it saw, and S3's redirects repeat the query. The program gets
//! its own back: of the lease's credential it sees nothing. A refused signature is diagnosed on the way.
//!
//! The secret key travels to AWS's sign-in alone, whose answers are written anew, so nothing repeats it. What code behind
//! a cloud's API says of the token that the cloud has told it is not looked for in what succeeds: it could say that in any
//! other spelling.

use std::sync::atomic::{AtomicI64, Ordering};

use access::{AwsCredential, RequestId, Secret};
use cloud::aws::mask::{mask, mask_text};
use cloud::aws::mismatch::{CanonicalRequest, Mismatch, diagnose};
use http::Uri;
use http::header::{CONTENT_ENCODING, HeaderMap, HeaderValue, LOCATION};
use jiff::{SignedDuration, Timestamp};

use crate::answers::trouble::{self, Stop};
use crate::upstream::Answered;

/// Longest body of a refusal that is looked into. AWS's have a few KiB; S3's repeat the canonical request three times.
const MAX_READ: usize = 64 * 1024;

/// How often a refused signature is worth a line in the log. If one is refused, all are.
const SAY_EVERY: SignedDuration = SignedDuration::from_secs(1);

/// What was sent, as far as an answer may repeat it.
#[derive(Debug)]
pub(crate) struct Echo {
    pub(crate) canonical: CanonicalRequest,
    /// The query that the program sent, where its signature stands in it.
    pub(crate) asked: Option<String>,
    /// Another secret that was sent: what of a form's policy holds the token, or a token of AWS's sign-in.
    pub(crate) also: Option<Secret<String>>,
}

/// When a refused signature was last logged, in seconds.
#[derive(Debug, Default)]
pub(crate) struct Said(AtomicI64);

/// What to put in the place of what.
#[derive(Clone, Copy)]
pub(crate) struct Stead<'a> {
    pub(crate) credential: &'a AwsCredential,
    /// The program's access key id.
    pub(crate) placeholder: &'a str,
}

impl Echo {
    /// Takes back what `answered` repeats. Of the bodies only those of refusals and redirects are looked at; all else
    /// streams.
    pub(crate) async fn take_back(
        &self,
        answered: &mut Answered,
        stead: Stead<'_>,
        (said, request, now): (&Said, RequestId, Timestamp),
    ) -> Result<(), Stop> {
        let status = answered.response.status();
        if status.is_redirection() {
            self.redirect(answered);
        }
        stead.mask_head(answered.response.headers_mut(), self.also.as_ref());
        if !status.is_client_error() && !status.is_server_error() && !status.is_redirection() {
            return Ok(());
        }
        let is_plain = !answered.response.headers().contains_key(CONTENT_ENCODING);
        let look = |body: &mut Vec<u8>| {
            if is_plain && let Some(mismatch) = diagnose(body, &self.canonical) {
                said.say(&mismatch, request, now);
            }
            mask(body, stead.credential, stead.placeholder);
            if let Some(also) = &self.also {
                mask_text(body, also.expose());
            }
        };
        answered.look_ahead(MAX_READ, look).await.map_err(|error| trouble::broken_off(&error))
    }

    /// `Location` with the query that the program sent, where ours stands in it.
    fn redirect(&self, answered: &mut Answered) {
        let (Some(asked), Some(location)) = (&self.asked, answered.response.headers().get(LOCATION)) else { return };
        let own = location.to_str().ok().filter(|text| text.contains("X-Amz-Signature=")).map(|text| {
            let path = text.split_once('?').map_or(text, |(path, _)| path);
            format!("{path}?{asked}")
        });
        let Some(own) = own.filter(|own| own.parse::<Uri>().is_ok()) else { return };
        if let Ok(own) = HeaderValue::from_str(&own) {
            answered.response.headers_mut().insert(LOCATION, own);
        }
    }
}

impl Stead<'_> {
    /// A token is longer than all but very few values, so this costs a comparison of lengths for each.
    fn mask_head(self, headers: &mut HeaderMap, also: Option<&Secret<String>>) {
        let token = self.credential.session_token.expose().len();
        let shortest = also.map_or(token, |also| token.min(also.expose().len()));
        for value in headers.values_mut().filter(|value| value.len() >= shortest) {
            let mut bytes = value.as_bytes().to_vec();
            mask(&mut bytes, self.credential, self.placeholder);
            if let Some(also) = also {
                mask_text(&mut bytes, also.expose());
            }
            if let Ok(masked) = HeaderValue::from_bytes(&bytes) {
                *value = masked;
            }
        }
    }
}

impl Said {
    fn say(&self, mismatch: &Mismatch, request: RequestId, now: Timestamp) {
        let (last, now) = (self.0.load(Ordering::Relaxed), now.as_second());
        let is_due = (now - last).abs() >= SAY_EVERY.as_secs();
        if !is_due || self.0.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        match mismatch {
            Mismatch::Differs(found) => tracing::warn!(
                %request, part = found.part, ours = found.ours, theirs = found.theirs,
                "the cloud refused our signature: it canonicalises the request otherwise"
            ),
            Mismatch::Same => tracing::warn!(
                %request,
                "the cloud refused our signature over the same canonical request: the secret, the date or the scope differs"
            ),
            Mismatch::Unsaid => {
                tracing::warn!(%request, "the cloud refused our signature and does not say what it expected");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_signature_is_logged_once_in_a_while() {
        let (said, request) =
            (Said::default(), serde_json::from_str("\"019f0000-0000-7000-8000-000000000001\"").unwrap());
        let at = |second| Timestamp::from_second(second).unwrap();
        said.say(&Mismatch::Same, request, at(1_000));
        assert_eq!(said.0.load(Ordering::Relaxed), 1_000);
        said.say(&Mismatch::Same, request, at(1_000));
        said.say(&Mismatch::Same, request, at(1_001));
        assert_eq!(said.0.load(Ordering::Relaxed), 1_001);
    }
}
