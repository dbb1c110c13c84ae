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

/// Where the origin answers with the `Authorization` that it was asked with.
pub(crate) const SHOWN: &str = "/authorization";

/// The key id that the token service gives away: what a real signature here is known by.
pub(crate) const SIGNER: &str = "ASIAEXAMPLEEXAMPLEEX";

/// Its secret, as long as AWS's.
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// A session token of the usual size.
pub(crate) const TOKEN: &str = include_str!("token.txt");

/// What the token service answers: a session of the usual size, good until the bench is long over.
pub(crate) const SESSION: &str = concat!(
    r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">"#,
    "<AssumeRoleWithWebIdentityResult><SubjectFromWebIdentityToken>system:serviceaccount:bench:load</SubjectFromWebIdentityToken>",
    "<Audience>sts.amazonaws.com</Audience><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/bench/load</Arn>",
    "<AssumedRoleId>AROAEXAMPLEEXAMPLEEX:load</AssumedRoleId></AssumedRoleUser><Credentials>",
    "<AccessKeyId>ASIAEXAMPLEEXAMPLEEX</AccessKeyId><SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY</SecretAccessKey>",
    "<SessionToken>",
    include_str!("token.txt"),
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

/// TLS for a server of the bench that speaks `protocols`, by a root of its own whose certificate is left in `root`.
pub(crate) fn server_tls(root: &Path, protocols: &[&[u8]]) -> anyhow::Result<Arc<ServerConfig>> {
    let hosts = ["amazonaws.com", ORIGIN].into_iter().map(Host::parse).collect::<Result<Vec<_>, _>>()?;
    let authority = Root::generate(&Scope::of(hosts)?, now(), SignedDuration::from_hours(24))?;
    std::fs::write(root, authority.pem()).with_context(|| format!("cannot write {}", root.display()))?;
    let leaves = Leaves::new(Mint::new(authority)?, Arc::new(now));
    Ok(ServerTls::new(Arc::new(leaves), protocols)?.by_name().clone())
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

/// A config for the real binary, which listens on `port`: every AWS host is the origin, but for the token service, which
/// it answers in clear.
pub(crate) fn config(
    folder: &Path,
    port: u16,
    (origin, clear): (u16, u16),
    origin_root: &Path,
) -> anyhow::Result<PathBuf> {
    let path = folder.join("countersign.yaml");
    let text = format!(
        "version: 1\nrealm: bench\n\
         sources:\n  load:\n    kind: kubernetes/service-account\n    issuer: {ISSUER}\n    audience: {AUDIENCE}\n    jwks_file: jwks.json\n    match: {{namespace: bench}}\n\
         targets:\n  bench:\n    kind: aws\n    role: arn:aws:iam::123456789012:role/bench\n    region: us-east-1\n    default: true\n\
         grants:\n  - name: load\n    from: load\n    to: bench\n    allow: [\"*\"]\n\
         endpoints:\n  sts.us-east-1.amazonaws.com: http://127.0.0.1:{clear}\n  \"*.amazonaws.com\": https://{ORIGIN}:{origin}\n\
         proxy:\n  listen: 127.0.0.1:{port}\n  directory: proxy\n  token_file: token\n  upstream:\n    ca_file: {}\n\
         broker:\n  store: broker.db\n  issuer: http://127.0.0.1:1\n  listen: 127.0.0.1:0\n",
        origin_root.display()
    );
    std::fs::write(&path, text)?;
    Ok(path)
}

/// What a request says of its body if its signature leaves it out, as SDKs do with streams over TLS.
pub(crate) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// The same, if every chunk of it is signed.
pub(crate) const CHUNKS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";

/// Bytes of the long bodies.
pub(crate) const STREAM: u64 = 256 << 20;

/// Bytes of the body that is sent in signed chunks, four times for one [`STREAM`].
pub(crate) const CHUNKED: usize = 64 << 20;

/// Where the bucket is.
pub(crate) const REGION: &str = "us-east-1";

/// The time as SigV4 has it.
pub(crate) fn date() -> String {
    now().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The signing key of a secret for S3, on the day of `date`.
pub(crate) fn signing_key(secret: &str, date: &str) -> hmac::Key {
    let mac = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let mut key = mac(format!("AWS4{secret}").as_bytes(), &date[..8]);
    for part in [REGION, "s3", "aws4_request"] {
        key = mac(key.as_ref(), part);
    }
    hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
}

/// A request before it is signed. Written out here for the few that the bench sends, so that what is measured does not
/// depend on what measures.
pub(crate) struct Unsigned<'a> {
    pub(crate) method: &'a str,
    /// With its query, if it has one, as it is canonical.
    pub(crate) path: &'a str,
    pub(crate) host: &'a str,
    pub(crate) date: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) payload: &'a str,
    /// How long a chunked body is without its chunks' frames.
    pub(crate) decoded: Option<usize>,
}

impl Unsigned<'_> {
    /// Writes the header lines that a signature adds, and gives the signature.
    pub(crate) fn sign(&self, (id, key): (&str, &hmac::Key), out: &mut Vec<u8>) -> String {
        let Self { method, path, host, date, token, payload, decoded } = self;
        let (token_line, token_name) = match token {
            Some(token) => (format!("x-amz-security-token:{token}\n"), ";x-amz-security-token"),
            None => (String::new(), ""),
        };
        let (decoded_line, decoded_name) = match decoded {
            Some(length) => (format!("x-amz-decoded-content-length:{length}\n"), ";x-amz-decoded-content-length"),
            None => (String::new(), ""),
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let names = format!("host;x-amz-content-sha256;x-amz-date{decoded_name}{token_name}");
        let canonical = format!(
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{payload}\nx-amz-date:{date}\n{decoded_line}{token_line}\n{names}\n{payload}"
        );
        let scope = scope(date);
        let hash = hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
        let signature = hex::encode(hmac::sign(key, to_sign.as_bytes()));
        if let Some(token) = token {
            out.extend_from_slice(b"x-amz-security-token: ");
            out.extend_from_slice(token.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        let authorization = format!(
            "x-amz-date: {date}\r\nauthorization: AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}\r\n"
        );
        out.extend_from_slice(authorization.as_bytes());
        signature
    }
}

fn scope(date: &str) -> String {
    format!("{}/{REGION}/s3/aws4_request", &date[..8])
}

/// A body in signed chunks, frame by frame, as the older SDKs of Java and Go send it: the chain begins at the head's
/// signature, and the last frame is empty.
pub(crate) struct SignedChunks {
    key: hmac::Key,
    date: String,
    /// The signature before.
    before: String,
    /// What every chunk but the last ones holds.
    content: Vec<u8>,
    /// Bytes to come; `None` behind the last frame.
    left: Option<usize>,
}

impl SignedChunks {
    /// `total` bytes in chunks of `chunk`.
    pub(crate) fn new((total, chunk): (usize, usize), (date, key, seed): (&str, &hmac::Key, &str)) -> Self {
        let content = vec![b'x'; chunk];
        Self { key: key.clone(), date: date.to_owned(), before: seed.to_owned(), content, left: Some(total) }
    }
}

impl Iterator for SignedChunks {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let left = self.left?;
        let piece = &self.content[..self.content.len().min(left)];
        self.left = (left > 0).then(|| left - piece.len());
        let [empty, hash] = [&[][..], piece].map(|bytes| hex::encode(digest::digest(&digest::SHA256, bytes)));
        let (date, scope, before) = (&self.date, scope(&self.date), &self.before);
        let to_sign = format!("AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{before}\n{empty}\n{hash}");
        self.before = hex::encode(hmac::sign(&self.key, to_sign.as_bytes()));
        let mut frame = format!("{:x};chunk-signature={}\r\n", piece.len(), self.before).into_bytes();
        frame.extend_from_slice(piece);
        frame.extend_from_slice(b"\r\n");
        Some(frame)
    }
}

/// How long such a body is, with all its frames.
pub(crate) fn framed_length(total: usize, chunk: usize) -> usize {
    let frame = |length: usize| format!("{length:x}").len() + ";chunk-signature=".len() + 64 + 2 + length + 2;
    let rest = if total.is_multiple_of(chunk) { 0 } else { frame(total % chunk) };
    total / chunk * frame(chunk) + rest + frame(0)
}
