//! Forms with a file, whole and in pieces: any bytes give an answer, the same however they are cut; and no policy is taken that
//! is not signed with the secret.
#![no_main]

use std::sync::LazyLock;

use access::Secret;
use bytes::Bytes;
use cloud::aws::claim::Claim;
use cloud::aws::key::{AccessKey, SigningKeys};
use cloud::aws::post::{Boundary, PostForm, Reader};
use http::Request;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<SigningKeys> = LazyLock::new(SigningKeys::new);

fuzz_target!(|input: (&str, &[u8], u16)| {
    let (boundary, form, cut) = input;
    let kind = format!("multipart/form-data; boundary={boundary}");
    let Ok(request) = Request::post("/").header("host", "acme.s3.amazonaws.com").header("content-type", kind).body(()) else {
        return;
    };
    let parts = request.into_parts().0;
    let Ok(Some(boundary)) = Boundary::declared(&parts.headers) else { return };
    let form = Bytes::copy_from_slice(form);
    let (mut whole, mut in_pieces) = (Reader::new(boundary.clone()), Reader::new(boundary));
    let outcome = whole.read(&form);
    let first = in_pieces.read(&form[..usize::from(cut).min(form.len())]);
    let last = if first == Ok(false) { in_pieces.read(&form) } else { first };
    assert_eq!(outcome, last, "cut at {cut}");
    if outcome != Ok(true) {
        return;
    }
    let fields = whole.into_fields(&form).expect("the file has begun");
    assert_eq!(in_pieces.into_fields(&form).as_ref(), Some(&fields));
    let Ok(Some(signed)) = PostForm::read(&parts, fields) else { return };
    let secret = Secret::new("a secret that nobody guesses".to_owned());
    let key = AccessKey { id: signed.access_key_id(), secret: &secret };
    let now = "2026-07-05T12:00:00Z".parse::<Timestamp>().expect("a time");
    assert!(Claim::Post(&signed).check(&parts, (key, &KEYS), now).is_err());
});
