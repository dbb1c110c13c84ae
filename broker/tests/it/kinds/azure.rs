//! Managed identities and applications of an Entra tenant.

use access::RefusalCode;
use config::{Source, SourceKind, TokenKind};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Kind, Provider, attributes, sign, sources, verify};
use crate::stage::noon;

const TENANT: &str = "00000000-1111-2222-3333-444444444444";

fn source(provider: &Provider) -> Source {
    let kind = TokenKind::Azure { tenant: TENANT.to_owned() };
    let mut source = provider.source(kind, &[("object_id", "55555555-6666-7777-8888-999999999999")]);
    if let SourceKind::Token(tokens) = &mut source.kind {
        tokens.max_lifetime = SignedDuration::from_hours(25);
    }
    source
}

/// Version 2, of a managed identity.
fn identity(provider: &Provider) -> Value {
    provider.claims(json!({
        "tid": TENANT, "oid": "55555555-6666-7777-8888-999999999999", "sub": "55555555-6666-7777-8888-999999999999",
        "azp": "aaaaaaaa-0000-0000-0000-000000000000", "azpacr": "2", "idtyp": "app", "ver": "2.0", "uti": "x", "rh": "y",
        "xms_mirid": "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/checkout",
        "exp": noon().as_second() + 86_700,
    }))
}

#[tokio::test]
async fn an_identity_is_known_by_its_object_in_both_versions_of_tokens() {
    let provider = Provider::start().await;
    let sources = sources(&[source(&provider)]);
    let told = [
        ("object_id", "55555555-6666-7777-8888-999999999999"),
        ("client_id", "aaaaaaaa-0000-0000-0000-000000000000"),
        (
            "resource_id",
            "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/checkout",
        ),
        ("subject", "55555555-6666-7777-8888-999999999999"),
    ];
    let second = identity(&provider);
    assert_eq!(verify(&sources, &sign(&second), noon()).await.unwrap().attributes, attributes(&told));
    let mut first = second;
    let client = first.as_object_mut().unwrap().remove("azp").unwrap();
    (first["appid"], first["ver"]) = (client, json!("1.0"));
    assert_eq!(verify(&sources, &sign(&first), noon()).await.unwrap().attributes, attributes(&told));
}

#[tokio::test]
async fn both_spellings_of_the_tenants_issuer_are_taken_each_with_its_own_keys() {
    let (second, first, other) = (Provider::start().await, Provider::start().await, Provider::start().await);
    let mut source = source(&second);
    if let SourceKind::Token(tokens) = &mut source.kind {
        tokens.issuers.push(first.issuer.clone());
    }
    let sources = sources(&[source]);
    for provider in [&second, &first] {
        verify(&sources, &sign(&identity(provider)), noon()).await.unwrap();
        assert_eq!(provider.asked(), 1);
    }
    let refusal = verify(&sources, &sign(&identity(&other)), noon()).await.unwrap_err();
    assert_eq!((refusal.code, other.asked()), (RefusalCode::EvidenceInvalid, 0));
}

#[tokio::test]
async fn other_tenants_and_people_are_refused() {
    let provider = Provider::start().await;
    let sources = sources(&[source(&provider)]);
    for (claim, value, words) in [
        ("tid", json!("99999999-1111-2222-3333-444444444444"), "is of tenant"),
        ("idtyp", json!("user"), "a person's"),
        ("scp", json!("user_impersonation"), "a person's"),
    ] {
        let mut claims = identity(&provider);
        claims[claim] = value;
        let refusal = verify(&sources, &sign(&claims), noon()).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::EvidenceInvalid);
        assert!(refusal.message.contains(words), "{refusal}");
    }
}

#[tokio::test]
async fn tokens_that_are_not_good_are_refused() {
    let provider = Provider::start().await;
    Kind {
        source: source(&provider),
        claims: identity(&provider),
        needed: &["/tid", "/oid"],
        texts: &["/tid", "/oid", "/azp", "/xms_mirid"],
        provider: &provider,
    }
    .refuses_what_all_refuse()
    .await;
}
