//! Answers of STS: any bytes end in an answer, and a credential is only what a success says in full.
#![no_main]

use cloud::aws::exchange::answer;
use http::StatusCode;
use libfuzzer_sys::fuzz_target;

/// As it stands in a log, an error is one line of bounded length.
const LONGEST: usize = 4 * 1024;

fuzz_target!(|bytes: &[u8]| {
    for status in [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::INTERNAL_SERVER_ERROR] {
        match answer(status, bytes) {
            Ok(assumed) => {
                assert!(status.is_success());
                let credential = assumed.credential;
                assert!(!credential.access_key_id.is_empty() && !assumed.arn.is_empty());
                assert!(!credential.secret_access_key.expose().is_empty());
                assert!(!credential.session_token.expose().is_empty());
                assert!(answer(StatusCode::FORBIDDEN, bytes).is_err());
            }
            Err(error) => assert!(error.to_string().len() <= LONGEST),
        }
    }
});
