//! Requests to AWS's sign-in and its answers: any bytes give an answer, and what is written anew is read as the same again, with
//! nothing left of the keys that were shown.
#![no_main]

use access::{AwsCredential, Secret};
use cloud::aws::sign_in::{self, SignIn, Wish};
use http::Request;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8])| {
    let (query, form) = input;
    if let Ok(token) = sign_in::token_in(form) {
        let again = sign_in::token_in(sign_in::answer(&token).as_bytes()).expect("an answer");
        assert_eq!(again.expose(), token.expose());
    }
    let Ok(request) = Request::post(format!("/federation?{query}")).body(()) else { return };
    let mut parts = request.into_parts().0;
    let Ok(sign_in) = SignIn::read(&parts, form) else { return };
    let Wish::Token(shown) = sign_in.wish() else { return };
    let lease = AwsCredential {
        access_key_id: "ASIALEASE".to_owned(),
        secret_access_key: Secret::new("a secret/+\"".to_owned()),
        session_token: Secret::new("a token".to_owned()),
        expires: Timestamp::MAX,
    };
    let Ok(body) = sign_in.with_keys(&mut parts, &lease, shown.duration) else { return };
    let again = SignIn::read(&parts, &body).expect("what is written is read");
    let Wish::Token(sent) = again.wish() else { panic!("another wish") };
    assert_eq!(sent.access_key_id, "ASIALEASE");
    assert_eq!(sent.secret.expose(), lease.secret_access_key.expose());
    assert_eq!((sent.token.as_ref().map(|token| token.expose().as_str()), sent.duration), (Some("a token"), shown.duration));
});
