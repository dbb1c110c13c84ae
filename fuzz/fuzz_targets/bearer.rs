//! Bearers of clusters: any text gives an answer, and what is opened can be sealed again.
#![no_main]

use cloud::aws::cluster::{open, seal};
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(value) = HeaderValue::from_str(text) else { return };
    let headers: HeaderMap = [(AUTHORIZATION, value)].into_iter().collect();
    let Ok(Some(parts)) = open(&headers, "prod") else { return };
    let sealed = [(AUTHORIZATION, seal(&parts).expect("it was opened"))].into_iter().collect();
    let again = open(&sealed, "prod").expect("it was sealed").expect("it is one");
    assert_eq!(again.uri, parts.uri);
});
