//! Answers that may hold access keys, in XML, JSON and CBOR: any bytes give an answer, and where keys were found nothing of
//! them is left once they are replaced, and what replaces them is found in their place.
#![no_main]

use std::sync::LazyLock;

use access::{Secret, TargetName};
use cloud::aws::placeholder::Placeholders;
use cloud::aws::vended;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

const FORMS: [&str; 4] = ["text/xml", "application/json", "application/cbor", ""];

static PLACEHOLDERS: LazyLock<Placeholders> =
    LazyLock::new(|| Placeholders::derive(&Secret::new([7; 32]), std::iter::empty::<TargetName>()));

fuzz_target!(|answer: &[u8]| {
    let now = "2026-07-05T12:00:00Z".parse::<Timestamp>().expect("a time");
    for form in FORMS {
        let Ok(found) = vended::read(answer, form, now) else { continue };
        let drawn: Vec<_> = (0_u64..).zip(&found).map(|(n, _)| PLACEHOLDERS.derived(n.to_be_bytes())).collect();
        let Ok(replaced) = vended::replace(answer, &found, &drawn) else { continue };
        let again = vended::read(&replaced, form, now).expect("what was replaced is still an answer");
        assert_eq!(again.len(), drawn.len());
        for (keys, placeholder) in again.iter().zip(&drawn) {
            assert_eq!(keys.credential.access_key_id, placeholder.access_key_id);
            assert_eq!(keys.credential.secret_access_key.expose(), placeholder.secret_access_key.expose());
        }
    }
});
