//! Requests with any URL and any `Authorization`: presigned queries, version 2 and passwords for git give an answer, and what
//! is not signed with the secret proves nothing.
#![no_main]

use std::sync::LazyLock;

use access::Secret;
use cloud::aws::claim::Claim;
use cloud::aws::key::{AccessKey, SigningKeys};
use cloud::aws::recognise::{Head, recognise};
use cloud::aws::verify::Check;
use http::Request;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<SigningKeys> = LazyLock::new(SigningKeys::new);

fuzz_target!(|text: (&str, &str)| {
    let (target, authorization) = text;
    let host = "acme.s3.us-east-1.amazonaws.com";
    let mut request = Request::builder().uri(target).header("host", host);
    if !authorization.is_empty() {
        request = request.header("authorization", authorization);
    }
    let Ok(request) = request.body(()) else { return };
    let parts = request.into_parts().0;
    let head = Head { method: &parts.method, uri: &parts.uri, headers: &parts.headers, host };
    let Ok(recognised) = recognise(head) else { return };
    let Some(claim) = Claim::of(recognised.credentialing) else { return };
    let secret = Secret::new("a secret that nobody guesses".to_owned());
    let key = AccessKey { id: claim.access_key_id(), secret: &secret };
    let now = "2026-07-05T12:00:00Z".parse::<Timestamp>().expect("a time");
    assert!(!matches!(claim.check(&parts, (key, &KEYS), now), Ok(Check::Verified(_))), "{target:?} {authorization:?}");
});
