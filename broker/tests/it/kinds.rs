//! Every kind of source: whom it lets in, and what it refuses. A real issuer on loopback, real keys.

mod aws_caller;
mod azure;
mod failing;
mod gcp;
mod github;
mod gitlab;
mod kubernetes;
mod oidc;
mod spiffe;
mod sts;
mod token_review;
mod web_identity;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use access::{Caller, Evidence, Refusal, RefusalCode, SourceName};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker::Sources;
use config::{Endpoints, Keys, Source, SourceKind, TokenKind, TokenSource};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::stage::{Shared, issuer_routes, noon, rsa, serve};

pub(crate) const AUDIENCE: &str = "https://countersign.acme.dev";

/// One key pair for all: they take a while to make.
static KEY: LazyLock<(EncodingKey, Value)> = LazyLock::new(|| rsa("first"));

/// An issuer that anybody can ask.
pub(crate) struct Provider {
    pub(crate) issuer: String,
    script: Shared,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let script = Shared::default();
        let issuer = format!("http://{}", serve(issuer_routes(script.clone())).await);
        let discovery = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/openid/v1/jwks")});
        script.lock().unwrap().documents = Some((discovery, json!({"keys": [KEY.1]})));
        Self { issuer, script }
    }

    /// How often it was asked for its keys.
    pub(crate) fn asked(&self) -> usize {
        self.script.lock().unwrap().seen.len()
    }

    /// What it publishes besides.
    pub(crate) fn publish(&self, key: Value) {
        let mut script = self.script.lock().unwrap();
        let (_, jwks) = script.documents.as_mut().unwrap();
        jwks["keys"].as_array_mut().unwrap().push(key);
    }

    pub(crate) fn stop(&self) -> (Value, Value) {
        self.script.lock().unwrap().documents.take().unwrap()
    }

    pub(crate) fn go_on(&self, documents: (Value, Value)) {
        self.script.lock().unwrap().documents = Some(documents);
    }

    pub(crate) fn source(&self, kind: TokenKind, matches: &[(&str, &str)]) -> Source {
        let tokens = TokenSource {
            kind,
            issuers: vec![self.issuer.clone()],
            audience: AUDIENCE.to_owned(),
            keys: Keys::Discovery { ca: None },
            max_lifetime: SignedDuration::from_hours(24),
        };
        source(SourceKind::Token(Box::new(tokens)), matches)
    }

    /// What stands in every token.
    pub(crate) fn claims(&self, mut own: Value) -> Value {
        let now = noon().as_second();
        let mut claims = json!({
            "iss": self.issuer, "aud": AUDIENCE, "sub": "somebody", "iat": now, "nbf": now, "exp": now + 300, "jti": "1",
        });
        claims.as_object_mut().unwrap().append(own.as_object_mut().unwrap());
        claims
    }
}

pub(crate) fn source(kind: SourceKind, matches: &[(&str, &str)]) -> Source {
    let pattern = |(name, text): &(&str, &str)| ((*name).to_owned(), access::Pattern::new(text).unwrap());
    Source {
        name: SourceName::new("them").unwrap(),
        kind,
        matches: matches.iter().map(pattern).collect(),
        groups: Vec::new(),
        roles: Vec::new(),
    }
}

pub(crate) fn sources(sources: &[Source]) -> Sources {
    Sources::new(sources, &Endpoints::default(), noon()).unwrap()
}

pub(crate) fn token(text: impl Into<String>) -> Evidence {
    Evidence::token(text.into().into())
}

pub(crate) async fn verify(sources: &Sources, text: &str, now: Timestamp) -> Result<Caller, Refusal> {
    sources.verify(&token(text), now).await.map(|verified| verified.caller)
}

fn header() -> Header {
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some("first".to_owned());
    header
}

pub(crate) fn sign(claims: &Value) -> String {
    jsonwebtoken::encode(&header(), claims, &KEY.0).unwrap()
}

fn sign_text(claims: &str) -> String {
    jsonwebtoken::encode(&header(), &RawValue::from_string(claims.to_owned()).unwrap(), &KEY.0).unwrap()
}

/// With another signature.
fn changed(token: &str) -> String {
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{rest}.{first}{}", &signature[1..])
}

pub(crate) fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A kind, and what its tokens cannot do without.
pub(crate) struct Kind<'a> {
    pub(crate) provider: &'a Provider,
    pub(crate) source: Source,
    pub(crate) claims: Value,
    /// Claims that must be there, as JSON pointers.
    pub(crate) needed: &'a [&'a str],
    /// Claims that must be texts.
    pub(crate) texts: &'a [&'a str],
}

impl Kind<'_> {
    fn with(&self, pointer: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        claims.pointer_mut(parent).unwrap()[name.replace("~1", "/")] = value;
        sign(&claims)
    }

    fn without(&self, pointer: &str) -> String {
        let mut claims = self.claims.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = claims.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        assert!(parent.remove(&name.replace("~1", "/")).is_some(), "{pointer} is not there to begin with");
        sign(&claims)
    }

    /// What every kind refuses, whatever it says of its own.
    pub(crate) async fn refuses_what_all_refuse(&self) {
        use RefusalCode::{EvidenceExpired, EvidenceInvalid, EvidenceMissing, SourceUnmatched};
        let sources = sources(std::slice::from_ref(&self.source));
        let now = noon().as_second();
        let good = sign(&self.claims);
        verify(&sources, &good, noon()).await.expect("the token is good to begin with");
        let asked = self.provider.asked();
        let text = self.claims.to_string();
        let rest = text.strip_prefix('{').unwrap();
        let mut cases = vec![
            ("audience", self.with("/aud", json!("https://other.example")), EvidenceInvalid),
            ("audiences", self.with("/aud", json!(["a", "b"])), EvidenceInvalid),
            ("audience that is a number", self.with("/aud", json!(1)), EvidenceInvalid),
            ("issuer", self.with("/iss", json!("https://other.example")), EvidenceInvalid),
            (
                "issuer with a slash more",
                self.with("/iss", json!(format!("{}/", self.provider.issuer))),
                EvidenceInvalid,
            ),
            ("ended", self.with("/exp", json!(now)), EvidenceExpired),
            ("not yet", self.with("/nbf", json!(now + 31)), EvidenceExpired),
            ("from the future", self.with("/iat", json!(now + 31)), EvidenceExpired),
            ("too long", self.with("/exp", json!(now + 25 * 3600 + 1)), EvidenceInvalid),
            ("an end that is a text", self.with("/exp", json!("2030")), EvidenceInvalid),
            ("an end in halves", self.with("/exp", json!(now as f64 + 100.5)), EvidenceInvalid),
            ("no end", self.without("/exp"), EvidenceInvalid),
            ("no audience", self.without("/aud"), EvidenceInvalid),
            ("no subject", self.without("/sub"), EvidenceInvalid),
            ("no beginning", self.without("/iat"), EvidenceInvalid),
            ("a claim twice", sign_text(&format!(r#"{{"aud":"x",{rest}"#)), EvidenceInvalid),
            ("two issuers", sign_text(&format!(r#"{{"iss":"x",{rest}"#)), EvidenceMissing),
            ("an unknown claim twice", sign_text(&format!(r#"{{"x":1,"x":2,{rest}"#)), EvidenceInvalid),
            (
                "nested",
                self.with("/x", serde_json::from_str(&format!("{}1{}", "[".repeat(40), "]".repeat(40))).unwrap()),
                EvidenceInvalid,
            ),
            ("oversized", self.with("/x", json!("x".repeat(16 * 1024))), EvidenceMissing),
            ("changed", changed(&good), EvidenceInvalid),
            ("no signature", good[..=good.rfind('.').unwrap()].to_owned(), EvidenceInvalid),
        ];
        cases.extend(self.headers(&good));
        cases.extend(self.needed.iter().map(|pointer| (*pointer, self.without(pointer), EvidenceInvalid)));
        cases.extend(self.texts.iter().map(|pointer| (*pointer, self.with(pointer, json!(["a"])), EvidenceInvalid)));
        for (case, token, code) in cases {
            let refusal = verify(&sources, &token, noon()).await.expect_err(case);
            assert_eq!(refusal.code, code, "{case}: {refusal}");
        }
        assert_eq!(self.provider.asked(), asked, "nothing of this needed another key");

        let others = Source {
            matches: BTreeMap::from([("nothing".to_owned(), access::Pattern::new("*").unwrap())]),
            ..self.source.clone()
        };
        let refusal = verify(&self::sources(&[others]), &good, noon()).await.unwrap_err();
        assert_eq!((refusal.code, refusal.subject.is_some()), (SourceUnmatched, true), "{refusal}");

        self.asks_again_for_unknown_keys(&sources).await;
    }

    /// Tokens with the right claims and a wrong head.
    fn headers(&self, good: &str) -> Vec<(&'static str, String, RefusalCode)> {
        use RefusalCode::{EvidenceInvalid, EvidenceMissing};
        let (_, rest) = good.split_once('.').unwrap();
        let with = |header: Value| format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()));
        // Signed with what everybody knows of the key.
        let public = KEY.1["n"].as_str().unwrap();
        let mut symmetric = Header::new(Algorithm::HS256);
        symmetric.kid = Some("first".to_owned());
        let symmetric =
            jsonwebtoken::encode(&symmetric, &self.claims, &EncodingKey::from_secret(public.as_bytes())).unwrap();
        vec![
            ("alg none", with(json!({"alg": "none", "kid": "first"})), EvidenceMissing),
            ("HS256 with the public key", symmetric, EvidenceInvalid),
            ("no kid", with(json!({"alg": "RS256"})), EvidenceInvalid),
            ("critical", with(json!({"alg": "RS256", "kid": "first", "crit": ["exp"], "exp": 1})), EvidenceInvalid),
            ("an access token", with(json!({"alg": "RS256", "kid": "first", "typ": "at+jwt"})), EvidenceInvalid),
            ("a logout token", with(json!({"alg": "RS256", "kid": "first", "typ": "logout+jwt"})), EvidenceInvalid),
        ]
    }

    async fn asks_again_for_unknown_keys(&self, sources: &Sources) {
        let before = self.provider.asked();
        let mut unknown = header();
        unknown.kid = Some("second".to_owned());
        let token = jsonwebtoken::encode(&unknown, &self.claims, &KEY.0).unwrap();
        let later = noon() + SignedDuration::from_secs(10);
        for _ in 0..5 {
            let refusal = verify(sources, &token, later).await.unwrap_err();
            assert!(refusal.message.contains("has no key \"second\""), "{refusal}");
        }
        assert_eq!(self.provider.asked(), before + 1, "once in ten seconds");
        let mut second = KEY.1.clone();
        second["kid"] = json!("second");
        self.provider.publish(second);
        let refusal = verify(sources, &token, later).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::EvidenceInvalid, "not asked again yet");
        verify(sources, &token, later + SignedDuration::from_secs(10)).await.expect("the new key was found");
    }
}
