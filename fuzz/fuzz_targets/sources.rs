//! Claims of tokens of every kind, signed by the right issuer: any claims end in an answer, and whoever gets in is who
//! the issuer says, with the attributes of its kind and no group that is not listed. The first byte chooses the kind.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use access::{Evidence, GroupName, Pattern, SourceName};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use broker::Sources;
use config::{ClaimPath, Endpoints, GroupsClaim, Keys, MfaClaims, OidcClaims, Source, SourceKind, TokenKind, TokenSource};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use libfuzzer_sys::fuzz_target;

const NOW: i64 = 1_800_000_000;
const TENANT: &str = "00000000-1111-2222-3333-444444444444";

struct World {
    sources: Sources,
    all: Vec<Source>,
    key: EncodingKey,
    runtime: tokio::runtime::Runtime,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: Pkcs8V1Der<'_> = pair.as_der().expect("a key");
    let pem = STANDARD.encode(der.as_ref());
    let lines: Vec<_> = pem.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let key = EncodingKey::from_rsa_pem(pem.as_bytes()).expect("a key");
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::RS256).expect("a key");
    jwk.common.key_id = Some("k".to_owned());
    let mut jwk = serde_json::to_value(jwk).expect("JSON");
    let all = kinds().into_iter().enumerate().map(|(number, kind)| {
        let spiffe = kind == TokenKind::Spiffe;
        jwk["use"] = if spiffe { "jwt-svid" } else { "sig" }.into();
        let issuer = if spiffe { "spiffe://acme.dev".to_owned() } else { format!("https://{number}.example") };
        source(number, (kind, issuer), serde_json::json!({ "keys": [jwk] }).to_string())
    });
    let all: Vec<_> = all.collect();
    let now = Timestamp::from_second(NOW).expect("a time");
    let sources = Sources::new(&all, &Endpoints::default(), now).expect("sources");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    World { sources, all, key, runtime }
});

fn kinds() -> [TokenKind; 8] {
    let path = |parts: &[&str]| ClaimPath(parts.iter().map(|part| (*part).to_owned()).collect());
    let group = GroupName::new("ours").expect("a name");
    let claims = OidcClaims {
        attributes: BTreeMap::from([("team".to_owned(), path(&["a", "b"])), ("level".to_owned(), path(&["c"]))]),
        groups: Some(GroupsClaim { claim: path(&["groups"]), names: BTreeMap::from([("theirs".to_owned(), group)]) }),
        mfa: Some(MfaClaims { amr: vec!["mfa".to_owned()], acr: vec!["1".to_owned()] }),
    };
    [
        TokenKind::Kubernetes,
        TokenKind::Spiffe,
        TokenKind::GitHub,
        TokenKind::GitLab,
        TokenKind::Oidc(claims),
        TokenKind::Gcp,
        TokenKind::Azure { tenant: TENANT.to_owned() },
        TokenKind::AwsWebIdentity,
    ]
}

fn source(number: usize, (kind, issuer): (TokenKind, String), jwks: String) -> Source {
    let tokens = TokenSource {
        kind,
        issuers: vec![issuer],
        audience: "us".to_owned(),
        keys: Keys::Pinned { jwks },
        max_lifetime: SignedDuration::from_hours(1),
    };
    let kind = SourceKind::Token(Box::new(tokens));
    let any = Pattern::new("*").expect("a pattern");
    // One that is always told.
    let first = kind.attributes().first().copied().expect("every kind has attributes").to_owned();
    let matches = BTreeMap::from([(first, any)]);
    let name = SourceName::new(&format!("s{number}")).expect("a name");
    Source { name, kind, matches, groups: Vec::new(), roles: Vec::new() }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let Ok(more) = std::str::from_utf8(rest) else { return };
    let World { sources, all, key, runtime } = &*WORLD;
    let source = &all[usize::from(*first) % all.len()];
    // What all tokens must have stands there already, so that what a kind has of its own is reached; what is more may still
    // spoil it. Without a subject of its own it has one that the kind takes.
    let subject = match source.kind.name() {
        "kubernetes/service-account" => "system:serviceaccount:a:b",
        "spiffe/jwt" => "spiffe://acme.dev/a",
        "aws/web-identity" => "arn:aws:iam::111122223333:role/R",
        _ => "somebody",
    };
    let claims = format!(
        r#"{{"iss":"{}","sub":"{subject}","aud":"us","iat":{NOW},"exp":{},{more}}}"#,
        source.kind.issuer(),
        NOW + 60
    );
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"k"}"#), URL_SAFE_NO_PAD.encode(&claims));
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), key, Algorithm::RS256).expect("a signature");
    let evidence = Evidence::token(format!("{signed}.{signature}").into());
    let now = Timestamp::from_second(NOW).expect("a time");
    let Ok(verified) = runtime.block_on(sources.verify(&evidence, now)) else { return };
    let caller = verified.caller;
    assert_eq!((caller.subject.as_str(), caller.issuer.as_str()), (subject, source.kind.issuer()));
    assert_eq!((caller.until.as_second(), verified.once), (NOW + 60, None));
    let known = source.kind.attributes();
    assert!(caller.attributes.keys().all(|name| known.contains(&name.as_str())), "{caller:?}");
    assert!(caller.groups.iter().all(|group| group.as_str() == "ours"), "{caller:?}");
    assert!(caller.assurance.mfa.is_none() || caller.assurance.mfa == caller.assurance.signed_in, "{caller:?}");
    assert!(serde_json::from_str::<serde_json::Value>(&claims).is_ok(), "what is no JSON gets nobody in");
});
