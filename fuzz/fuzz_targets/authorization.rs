//! The client's `Authorization` header: any text gives an answer, and what is accepted stands in it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(parsed) = cloud::aws::authorization::parse(text) {
        assert!(text.contains(parsed.credential.access_key_id));
        assert!(parsed.signed_headers.names().count() > 0);
    }
});
