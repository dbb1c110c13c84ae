//! Workloads of a SPIFFE trust domain.

use std::path::Path;

use access::RefusalCode;
use axum::Router;
use axum::routing::get;
use config::{Keys, Source, SourceKind, TokenKind, TokenSource};
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{AUDIENCE, Provider, attributes, source, sources, verify};
use crate::stage::{noon, rsa, serve};

/// A key of the trust domain's server, and how the bundle has it.
struct Authority {
    key: EncodingKey,
    jwk: Value,
}

impl Authority {
    fn new(kid: &str) -> Self {
        let (key, mut jwk) = rsa(kid);
        jwk["use"] = json!("jwt-svid");
        // SPIRE writes none.
        jwk.as_object_mut().unwrap().remove("alg");
        Self { key, jwk }
    }

    fn sign(&self, algorithm: Algorithm, kid: Option<&str>, claims: &Value) -> String {
        let mut header = Header::new(algorithm);
        header.kid = kid.map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

fn bundle(keys: &[&Value]) -> String {
    json!({"keys": keys, "spiffe_sequence": 7, "spiffe_refresh_hint": 300}).to_string()
}

fn trust_domain(keys: Keys) -> Source {
    let tokens = TokenSource {
        kind: TokenKind::Spiffe,
        issuers: vec!["spiffe://acme.dev".to_owned()],
        audience: AUDIENCE.to_owned(),
        keys,
        max_lifetime: SignedDuration::from_hours(1),
    };
    source(SourceKind::Token(Box::new(tokens)), &[("path", "/ns/shop/*")])
}

fn from_file(path: &Path) -> Source {
    trust_domain(Keys::BundleFile(path.to_owned()))
}

/// As little as a JWT-SVID must have: no `iss`, no `iat`.
fn svid(id: &str) -> Value {
    json!({"sub": id, "aud": [AUDIENCE], "exp": noon().as_second() + 300})
}

const CHECKOUT: &str = "spiffe://acme.dev/ns/shop/sa/checkout";

#[tokio::test]
async fn a_workload_is_known_by_its_id_with_any_algorithm_and_without_a_key_id() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bundle.json");
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    std::fs::write(&path, bundle(&[&one.jwk, &two.jwk])).unwrap();
    let sources = sources(&[from_file(&path)]);
    for (authority, algorithm, kid) in [
        (&one, Algorithm::RS256, Some("one")),
        (&two, Algorithm::PS384, Some("two")),
        (&one, Algorithm::PS256, None),
        (&two, Algorithm::RS512, None),
    ] {
        let caller = verify(&sources, &authority.sign(algorithm, kid, &svid(CHECKOUT)), noon()).await.unwrap();
        assert_eq!((&*caller.subject, &*caller.issuer), (CHECKOUT, "spiffe://acme.dev"));
        assert_eq!(caller.attributes, attributes(&[("spiffe_id", CHECKOUT), ("path", "/ns/shop/sa/checkout")]));
    }
    let mut jose = Header::new(Algorithm::RS256);
    jose.typ = Some("JOSE".to_owned());
    let token = jsonwebtoken::encode(&jose, &svid(CHECKOUT), &one.key).unwrap();
    verify(&sources, &token, noon()).await.expect("of type JOSE");
}

#[tokio::test]
async fn only_keys_for_jwt_svids_count() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bundle.json");
    let (good, mut other, mut untold) = (Authority::new("good"), Authority::new("other"), Authority::new("untold"));
    other.jwk["use"] = json!("x509-svid");
    untold.jwk.as_object_mut().unwrap().remove("use");
    std::fs::write(&path, bundle(&[&good.jwk, &other.jwk, &untold.jwk])).unwrap();
    let sources = sources(&[from_file(&path)]);
    for (authority, kid) in [(&other, Some("other")), (&untold, Some("untold")), (&other, None), (&untold, None)] {
        let token = authority.sign(Algorithm::RS256, kid, &svid(CHECKOUT));
        let refusal = verify(&sources, &token, noon()).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::EvidenceInvalid, "{refusal}");
    }
}

#[tokio::test]
async fn svids_that_are_not_good_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bundle.json");
    let authority = Authority::new("one");
    std::fs::write(&path, bundle(&[&authority.jwk])).unwrap();
    let sources = sources(&[from_file(&path)]);
    let with = |name: &str, value: Value| {
        let mut claims = svid(CHECKOUT);
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = svid(CHECKOUT);
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let now = noon().as_second();
    use RefusalCode::{EvidenceExpired, EvidenceInvalid, SourceUnmatched};
    for (claims, code, words) in [
        (svid("spiffe://other.dev/ns/shop/sa/checkout"), EvidenceInvalid, "no source has"),
        (svid("spiffe://acme.dev"), EvidenceInvalid, "no source has"),
        (svid("spiffe://acme.dev/ns/shop/../admin"), EvidenceInvalid, "no source has"),
        (svid("spiffe://acme.dev/ns/billing/sa/x"), SourceUnmatched, "path"),
        (with("sub", json!(7)), RefusalCode::EvidenceMissing, "names no issuer"),
        (without("sub"), EvidenceInvalid, "no source has"),
        (without("aud"), EvidenceInvalid, "missing field `aud`"),
        (without("exp"), EvidenceInvalid, "missing field `exp`"),
        (with("aud", json!(["spiffe://acme.dev/other"])), EvidenceInvalid, "audience"),
        (with("exp", json!(now)), EvidenceExpired, "expired"),
        (with("nbf", json!(now + 60)), EvidenceExpired, "valid only"),
        (with("exp", json!(now + 3601)), EvidenceInvalid, "lives for"),
        (with("iat", json!(now - 3400)), EvidenceInvalid, "lives for"),
    ] {
        let refusal = verify(&sources, &authority.sign(Algorithm::RS256, None, &claims), noon()).await.unwrap_err();
        assert_eq!(refusal.code, code, "{claims}: {refusal}");
        assert!(refusal.message.contains(words), "{claims}: {refusal}");
    }
    let strange = Authority::new("one").sign(Algorithm::RS256, None, &svid(CHECKOUT));
    let refusal = verify(&sources, &strange, noon()).await.unwrap_err();
    assert!(refusal.message.contains("signature is wrong"), "{refusal}");
}

#[tokio::test]
async fn a_bundle_in_a_file_is_read_again_as_it_changes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bundle.json");
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let sources = sources(&[from_file(&path)]);
    let token = |authority: &Authority, kid| authority.sign(Algorithm::RS256, Some(kid), &svid(CHECKOUT));
    let refusal = verify(&sources, &token(&one, "one"), noon()).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::BrokerUnavailable, "{refusal}");
    assert!(refusal.message.contains("cannot be read"), "{refusal}");
    std::fs::write(&path, bundle(&[&one.jwk])).unwrap();
    let later = noon() + SignedDuration::from_secs(10);
    verify(&sources, &token(&one, "one"), later).await.unwrap();
    std::fs::write(&path, bundle(&[&two.jwk])).unwrap();
    let later = later + SignedDuration::from_secs(10);
    verify(&sources, &token(&two, "two"), later).await.expect("an unknown key has the file read");
    assert!(verify(&sources, &token(&one, "one"), later).await.is_err(), "the old key is gone");
}

#[tokio::test]
async fn a_bundle_endpoint_is_asked_and_an_issuer_of_its_own_goes_first() {
    let authority = Authority::new("one");
    let text = bundle(&[&authority.jwk]);
    let address = serve(Router::new().route("/bundle", get(async move || text))).await;
    let url = format!("http://{address}/bundle").parse().unwrap();
    let spiffe = trust_domain(Keys::BundleEndpoint { url, ca: None });
    let provider = Provider::start().await;
    let mut oidc = provider.source(TokenKind::Oidc(config::OidcClaims::default()), &[("subject", "*")]);
    oidc.name = access::SourceName::new("by-issuer").unwrap();
    let sources = sources(&[spiffe, oidc]);
    let token = authority.sign(Algorithm::RS256, Some("one"), &svid(CHECKOUT));
    let caller = verify(&sources, &token, noon()).await.unwrap();
    assert_eq!(caller.sources[0].as_str(), "them");

    // SPIRE's OIDC discovery publishes the same ids under an issuer: then the issuer's keys count, not the bundle's.
    let mut named = svid(CHECKOUT);
    named["iss"] = json!(provider.issuer);
    let refusal = verify(&sources, &authority.sign(Algorithm::RS256, Some("one"), &named), noon()).await.unwrap_err();
    assert!(refusal.message.contains("has no key \"one\""), "{refusal}");
}
