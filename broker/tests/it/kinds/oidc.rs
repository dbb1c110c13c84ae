//! Whoever an OpenID provider knows.

use std::collections::BTreeMap;

use access::{GroupName, RefusalCode};
use config::{ClaimPath, GroupsClaim, MfaClaims, OidcClaims, TokenKind};
use serde_json::{Value, json};

use super::{Kind, Provider, attributes, sign, sources, verify};
use crate::stage::noon;

fn path(parts: &[&str]) -> ClaimPath {
    ClaimPath(parts.iter().map(|part| (*part).to_owned()).collect())
}

fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

fn meaning() -> OidcClaims {
    OidcClaims {
        attributes: BTreeMap::from([
            ("team".to_owned(), path(&["extra", "team"])),
            ("level".to_owned(), path(&["level"])),
            ("staff".to_owned(), path(&["staff"])),
        ]),
        groups: Some(GroupsClaim {
            claim: path(&["realm_access", "roles"]),
            names: BTreeMap::from([("Platform Eng".to_owned(), group("engineering"))]),
        }),
        mfa: Some(MfaClaims { amr: vec!["hwk".to_owned()], acr: vec!["phr".to_owned()] }),
    }
}

fn alice(provider: &Provider) -> Value {
    provider.claims(json!({
        "sub": "alice-1", "extra": {"team": "payments"}, "level": 3, "staff": true, "email": "alice@acme.dev",
        "realm_access": {"roles": ["Platform Eng", "cloud-admins", "Platform Eng"]},
        "auth_time": noon().as_second() - 60, "amr": ["pwd", "hwk"],
    }))
}

#[tokio::test]
async fn claims_mean_what_the_config_says_and_nothing_else() {
    let provider = Provider::start().await;
    let source = provider.source(TokenKind::Oidc(meaning()), &[("subject", "*"), ("team", "payments")]);
    let caller = verify(&sources(&[source]), &sign(&alice(&provider)), noon()).await.unwrap();
    let told = [("subject", "alice-1"), ("team", "payments"), ("level", "3"), ("staff", "true")];
    assert_eq!(caller.attributes, attributes(&told), "the address is not asked for");
    assert_eq!(caller.groups, [group("engineering")], "a group that is not listed confers nothing, whatever its name");
    let at = "2026-11-23T11:59:00Z".parse().ok();
    assert_eq!((caller.assurance.signed_in, caller.assurance.mfa), (at, at));
}

#[tokio::test]
async fn a_second_factor_counts_if_it_is_listed_and_its_time_is_told() {
    let provider = Provider::start().await;
    let sources = sources(&[provider.source(TokenKind::Oidc(meaning()), &[("subject", "*")])]);
    let mfa = async |change: fn(&mut Value)| {
        let mut claims = alice(&provider);
        change(&mut claims);
        verify(&sources, &sign(&claims), noon()).await.map(|caller| caller.assurance.mfa.is_some())
    };
    assert_eq!(mfa(|_| {}).await, Ok(true));
    assert_eq!(mfa(|claims| claims["amr"] = json!(["pwd", "otp"])).await, Ok(false), "not listed");
    assert_eq!(mfa(|claims| claims["amr"] = json!([])).await, Ok(false));
    assert_eq!(mfa(|claims| (claims["amr"], claims["acr"]) = (json!([]), json!("phr"))).await, Ok(true));
    assert_eq!(mfa(|claims| claims["acr"] = json!("0")).await, Ok(true), "by its method still");
    assert_eq!(mfa(|claims| drop(claims.as_object_mut().unwrap().remove("auth_time"))).await, Ok(false), "when?");
    let refused = mfa(|claims| claims["amr"] = json!("hwk")).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::EvidenceInvalid, "{refused}");
}

#[tokio::test]
async fn groups_and_attributes_of_another_shape_are_refused_rather_than_guessed_at() {
    let provider = Provider::start().await;
    let sources = sources(&[provider.source(TokenKind::Oidc(meaning()), &[("subject", "*")])]);
    for (claim, value) in [
        ("extra", json!({"team": ["a", "b"]})),
        ("level", json!({"of": 1})),
        ("realm_access", json!({"roles": {"Platform Eng": true}})),
        ("realm_access", json!({"roles": ["Platform Eng", 1]})),
        ("auth_time", json!("yesterday")),
    ] {
        let mut claims = alice(&provider);
        claims[claim] = value;
        let refusal = verify(&sources, &sign(&claims), noon()).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::EvidenceInvalid, "{claim}: {refusal}");
    }
    let mut one = alice(&provider);
    one["realm_access"] = json!({"roles": "Platform Eng"});
    assert_eq!(verify(&sources, &sign(&one), noon()).await.unwrap().groups, [group("engineering")], "one group");
    let mut none = alice(&provider);
    none.as_object_mut().unwrap().remove("realm_access");
    assert_eq!(verify(&sources, &sign(&none), noon()).await.unwrap().groups, [], "none");
}

#[tokio::test]
async fn tokens_that_are_not_good_are_refused() {
    let provider = Provider::start().await;
    Kind {
        source: provider.source(TokenKind::Oidc(meaning()), &[("subject", "alice-*")]),
        claims: alice(&provider),
        needed: &[],
        texts: &["/acr"],
        provider: &provider,
    }
    .refuses_what_all_refuse()
    .await;
}
