//! Names that lead nowhere.

use access::{Outcome, RefusalCode};

use super::far::Place;
use super::in_time;
use crate::program::{Signed, ask};
use crate::stage::Stage;

/// No resolver knows it (RFC 6761 §6.4).
const NOWHERE: &str = "nowhere.invalid";

#[tokio::test]
async fn name_that_has_no_address_is_a_refusal_with_the_reason() {
    let place = Place::clear().await;
    let mut wish = place.wish();
    wish.endpoints = vec![("*amazonaws.com", format!("http://{NOWHERE}:4566"))];
    let stage = Stage::with(wish).await;
    for (request, status) in [
        (Signed::get(&stage, "/x").absolute_head(), 503),
        (format!("GET http://{NOWHERE}/ HTTP/1.1\r\nHost: {NOWHERE}\r\n\r\n"), 502),
        (format!("CONNECT {NOWHERE}:443 HTTP/1.1\r\nHost: {NOWHERE}:443\r\n\r\n"), 502),
    ] {
        let answer = in_time(ask(&stage, &request)).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.body.contains(NOWHERE) && answer.body.contains("cannot be resolved"), "{answer:?}");
        let outcome = stage.outcome().await;
        let Outcome::Refused { code: RefusalCode::UpstreamUnavailable, message } = outcome else {
            panic!("{outcome:?}")
        };
        assert!(message.contains("cannot be resolved"), "{message}");
    }
}
