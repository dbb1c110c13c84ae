//! Pods; more of them in `sources` and `lend`.

use config::TokenKind;
use serde_json::{Value, json};

use super::{Kind, Provider, attributes, sign, sources, verify};
use crate::stage::noon;

pub(super) fn pod(provider: &Provider) -> Value {
    provider.claims(json!({
        "sub": "system:serviceaccount:shop:checkout", "aud": [super::AUDIENCE],
        "kubernetes.io": {
            "namespace": "shop", "serviceaccount": {"name": "checkout", "uid": "11"},
            "pod": {"name": "checkout-1", "uid": "22"}, "node": {"name": "node-1", "uid": "33"},
        },
    }))
}

#[tokio::test]
async fn pods_are_known_by_what_their_token_is_bound_to() {
    let provider = Provider::start().await;
    let source = provider.source(TokenKind::Kubernetes, &[("namespace", "shop"), ("pod_uid", "22")]);
    let caller = verify(&sources(&[source]), &sign(&pod(&provider)), noon()).await.unwrap();
    assert_eq!(
        caller.attributes,
        attributes(&[
            ("namespace", "shop"),
            ("service_account", "checkout"),
            ("service_account_uid", "11"),
            ("pod", "checkout-1"),
            ("pod_uid", "22"),
            ("node", "node-1"),
        ])
    );
    assert_eq!((caller.subject.as_str(), caller.issuer), ("system:serviceaccount:shop:checkout", provider.issuer));
}

#[tokio::test]
async fn pod_tokens_that_are_not_good_are_refused() {
    let provider = Provider::start().await;
    Kind {
        source: provider.source(TokenKind::Kubernetes, &[("namespace", "shop")]),
        claims: pod(&provider),
        needed: &["/kubernetes.io", "/kubernetes.io/namespace", "/kubernetes.io/serviceaccount"],
        texts: &["/kubernetes.io/namespace", "/kubernetes.io/pod", "/kubernetes.io/serviceaccount/uid"],
        provider: &provider,
    }
    .refuses_what_all_refuse()
    .await;
}
