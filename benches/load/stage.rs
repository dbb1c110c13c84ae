//! What the bench plays with: certificates, a pod token, a config for the real binary.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ca::{Host, Leaves, Mint, Root, Scope, ServerTls};
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The host that programs call.
pub(crate) const HOST: &str = "bench.s3.us-east-1.amazonaws.com";

/// Where the endpoint map finds the origin: a name, because certificates are for names.
const ORIGIN: &str = "localhost";

const ISSUER: &str = "https://cluster.bench";
const AUDIENCE: &str = "countersign";
const KEY_ID: &str = "bench";

/// What the token service answers: a session of the usual size, good until the bench is long over.
pub(crate) const SESSION: &str = concat!(
    r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">"#,
    "<AssumeRoleWithWebIdentityResult><SubjectFromWebIdentityToken>system:serviceaccount:bench:load</SubjectFromWebIdentityToken>",
    "<Audience>sts.amazonaws.com</Audience><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/bench/load</Arn>",
    "<AssumedRoleId>AROAEXAMPLEEXAMPLEEX:load</AssumedRoleId></AssumedRoleUser><Credentials>",
    "<AccessKeyId>ASIAEXAMPLEEXAMPLEEX</AccessKeyId><SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY</SecretAccessKey>",
    "<SessionToken>IQoJb3JpZ2luX2VjEExampleSessionTokenOfTheUsualSizeIQoJb3JpZ2luX2VjEExampleSessionTokenOfTheUsualSize",
    "IQoJb3JpZ2luX2VjEExampleSessionTokenOfTheUsualSizeIQoJb3JpZ2luX2VjEExampleSessionTokenOfTheUsualSizeIQoJb3JpZ2luX2Vj",
    "IQoJb3JpZ2luX2VjEExampleSessionTokenOfTheUsualSizeIQoJb3JpZ2luX2VjEExampleSessionTokenOfTheUsualSizeIQoJb3JpZ2luX2Vj",
    "IQoJb3JpZ2luX2VjEExampleSessionTokenOfTheUsualSizeIQoJb3JpZ2luX2VjEExampleSessionTokenOfTheUsualSizeIQoJb3JpZ2luX2Vj",
    "</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials><Provider>bench</Provider>",
    "</AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId>",
    "</ResponseMetadata></AssumeRoleWithWebIdentityResponse>"
);

#[expect(clippy::disallowed_methods, reason = "a bench is composition: it reads the machine's clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// Where this role leaves its root for those who shall trust it.
pub(crate) fn own_root() -> anyhow::Result<PathBuf> {
    std::env::var_os("LOAD_ROOT").map(PathBuf::from).context("LOAD_ROOT is not set; the bench starts its roles itself")
}

/// TLS for a server of the bench, by a root of its own whose certificate is left in `root`.
pub(crate) fn server_tls(root: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let hosts = [HOST, ORIGIN].into_iter().map(Host::parse).collect::<Result<Vec<_>, _>>()?;
    let authority = Root::generate(&Scope::of(hosts)?, now(), SignedDuration::from_hours(24))?;
    std::fs::write(root, authority.pem()).with_context(|| format!("cannot write {}", root.display()))?;
    let leaves = Leaves::new(Mint::new(authority)?, Arc::new(now));
    Ok(ServerTls::new(Arc::new(leaves), &[b"http/1.1"])?.by_name().clone())
}

/// TLS for a client that trusts the root in `root` alone.
pub(crate) fn client_tls(root: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(root)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// A key as a cluster's API server has one, its JWKS written to `jwks`, and a pod's token signed with it to `token`.
pub(crate) fn pod_token(jwks: &Path, token: &Path) -> anyhow::Result<()> {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref())?;
    let point = key.public_key().as_ref();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
    let set = serde_json::json!({ "keys": [
        { "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY_ID, "x": x, "y": y }
    ]});
    std::fs::write(jwks, set.to_string())?;
    let (header, issued) = (serde_json::json!({ "alg": "ES256", "kid": KEY_ID }), now().as_second());
    let claims = serde_json::json!({
        "iss": ISSUER, "aud": [AUDIENCE], "iat": issued, "nbf": issued, "exp": issued + 3600, "jti": "bench",
        "sub": "system:serviceaccount:bench:load",
        "kubernetes.io": {
            "namespace": "bench", "serviceaccount": { "name": "load", "uid": "load-uid" },
            "pod": { "name": "load-0", "uid": "load-0-uid" },
        },
    });
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = URL_SAFE_NO_PAD.encode(key.sign(&random, signed.as_bytes())?);
    std::fs::write(token, format!("{signed}.{signature}"))?;
    Ok(())
}

/// A config for the real binary: every AWS host is the origin, but for the token service, which it answers in clear.
pub(crate) fn config(folder: &Path, origin: u16, clear: u16, origin_root: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("countersign.yaml");
    let text = format!(
        "version: 1\nrealm: bench\n\
         sources:\n  load:\n    kind: kubernetes/service-account\n    issuer: {ISSUER}\n    audience: {AUDIENCE}\n    jwks_file: jwks.json\n    match: {{namespace: bench}}\n\
         targets:\n  bench:\n    kind: aws\n    role: arn:aws:iam::123456789012:role/bench\n    region: us-east-1\n    default: true\n\
         grants:\n  - name: load\n    from: load\n    to: bench\n    allow: [\"*\"]\n\
         endpoints:\n  sts.us-east-1.amazonaws.com: http://127.0.0.1:{clear}\n  \"*.amazonaws.com\": https://{ORIGIN}:{origin}\n\
         proxy:\n  listen: 127.0.0.1:0\n  directory: proxy\n  token_file: token\n  upstream:\n    ca_file: {}\n\
         broker:\n  store: broker.db\n  issuer: http://127.0.0.1:1\n  listen: 127.0.0.1:0\n",
        origin_root.display()
    );
    std::fs::write(&path, text)?;
    Ok(path)
}

/// A request head as it is written; `extra` are further header lines.
pub(crate) fn request(method: &str, length: Option<u64>, extra: &str) -> Vec<u8> {
    let length = length.map(|length| format!("Content-Length: {length}\r\n")).unwrap_or_default();
    format!("{method} /object HTTP/1.1\r\nHost: {HOST}\r\n{length}{extra}\r\n").into_bytes()
}

/// The same, signed with a placeholder, the payload unsigned, as SDKs send streams over TLS. Written out here for the
/// one request that the bench sends, so that what is measured does not depend on what measures.
pub(crate) fn signed_request(method: &str, length: Option<u64>, (id, secret): (&str, &str)) -> Vec<u8> {
    let date = now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let (day, payload, names) = (&date[..8], "UNSIGNED-PAYLOAD", "host;x-amz-content-sha256;x-amz-date");
    let scope = format!("{day}/us-east-1/s3/aws4_request");
    let headers = format!("host:{HOST}\nx-amz-content-sha256:{payload}\nx-amz-date:{date}\n");
    let canonical = format!("{method}\n/object\n\n{headers}\n{names}\n{payload}");
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref())
    );
    let mac = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let mut key = mac(format!("AWS4{secret}").as_bytes(), day);
    for part in ["us-east-1", "s3", "aws4_request"] {
        key = mac(key.as_ref(), part);
    }
    let signature = hex(mac(key.as_ref(), &to_sign).as_ref());
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}");
    let extra = format!("x-amz-content-sha256: {payload}\r\nx-amz-date: {date}\r\nauthorization: {authorization}\r\n");
    request(method, length, &extra)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
