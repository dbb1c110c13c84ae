//! Google service accounts.

use config::TokenKind;
use serde_json::{Value, json};

use super::{Kind, Provider, attributes, sign, sources, verify};
use crate::stage::noon;

/// As a virtual machine's metadata server gives it (`format=full`).
fn machine(provider: &Provider) -> Value {
    provider.claims(json!({
        "sub": "107517467455664443766", "azp": "107517467455664443766", "email": "me@acme.iam.gserviceaccount.com",
        "email_verified": true,
        "google": {"compute_engine": {
            "project_id": "acme", "project_number": 739_419_398_126_u64, "zone": "europe-west1-b",
            "instance_id": "152986662232938449", "instance_name": "example", "instance_creation_timestamp": 1_556_220_594,
        }},
    }))
}

#[tokio::test]
async fn a_service_account_is_known_by_its_number_and_its_machine() {
    let provider = Provider::start().await;
    let source = provider.source(TokenKind::Gcp, &[("subject", "107517467455664443766"), ("zone", "europe-*")]);
    let sources = sources(&[source]);
    let caller = verify(&sources, &sign(&machine(&provider)), noon()).await.unwrap();
    assert_eq!(
        caller.attributes,
        attributes(&[
            ("subject", "107517467455664443766"),
            ("email", "me@acme.iam.gserviceaccount.com"),
            ("project_id", "acme"),
            ("project_number", "739419398126"),
            ("zone", "europe-west1-b"),
            ("instance_id", "152986662232938449"),
            ("instance_name", "example"),
        ])
    );
}

#[tokio::test]
async fn an_address_that_nobody_has_verified_is_not_told() {
    let provider = Provider::start().await;
    let sources = sources(&[provider.source(TokenKind::Gcp, &[("subject", "107517467455664443766")])]);
    let mut claims = machine(&provider);
    claims["email_verified"] = json!(false);
    claims.as_object_mut().unwrap().remove("google");
    let caller = verify(&sources, &sign(&claims), noon()).await.unwrap();
    assert_eq!(caller.attributes, attributes(&[("subject", "107517467455664443766")]));
}

#[tokio::test]
async fn tokens_that_are_not_good_are_refused() {
    let provider = Provider::start().await;
    Kind {
        source: provider.source(TokenKind::Gcp, &[("subject", "107517467455664443766")]),
        claims: machine(&provider),
        needed: &["/google/compute_engine/project_number", "/google/compute_engine/instance_id"],
        texts: &["/email", "/google/compute_engine/zone", "/email_verified"],
        provider: &provider,
    }
    .refuses_what_all_refuse()
    .await;
}
