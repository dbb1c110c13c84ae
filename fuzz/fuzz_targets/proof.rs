//! Proofs of AWS callers: any text ends in an answer, and what is passed on is a call of `GetCallerIdentity` to STS that
//! is bound to us, and nothing else.
#![no_main]

use cloud::aws::caller::{Principal, Proof, answer};
use http::StatusCode;
use libfuzzer_sys::fuzz_target;

const OPERATIONS: [&str; 2] =
    ["Action=GetCallerIdentity&Version=2011-06-15", "Version=2011-06-15&Action=GetCallerIdentity"];

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(principal) = Principal::parse(text) {
        assert!(principal.account.len() == 12 && principal.role().is_none_or(|role| role.contains(principal.account)));
    }
    if let Ok(identity) = answer(StatusCode::OK, bytes) {
        assert!(identity.arn.contains(&identity.account) && !identity.user_id.is_empty());
    }
    let Ok(proof) = Proof::read(text) else { return };
    assert_eq!(Proof::read(&format!(" {text}\n")).expect("blanks do not count").id(), proof.id());
    let Ok(request) = proof.request("https://us.example") else { return };
    let uri = request.uri();
    let host = uri.host().expect("a host");
    assert!(host.starts_with("sts.") || host.starts_with("sts-fips."), "{host}");
    assert_eq!((uri.scheme_str(), uri.path(), uri.port()), (Some("https"), "/", None));
    assert_eq!(request.headers()["host"], host);
    assert_eq!(request.headers()["accept"], "application/json");
    let query = uri.query().unwrap_or_default();
    let presigned = query.to_ascii_lowercase().contains("getcalleridentity");
    assert!(presigned || OPERATIONS.contains(request.body()), "{request:?}");
    assert!(!request.headers().contains_key("x-amz-target"));
    assert!(request.headers().values().any(|value| value == "https://us.example"), "bound to us");
});
