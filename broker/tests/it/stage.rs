//! The world around the broker, in one call.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use access::{Call, Clock, Cloud, Evidence, Lease, Refusal, RequestId, TargetName};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use broker::Broker;
use config::{Settings, Store};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use lease::{Ask, Lessor};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::stage::settings::settings;
pub(crate) use crate::stage::settings::tokens;

mod client;
mod postgres;
mod settings;
mod sql;

pub(crate) use client::{Reply, Served};
pub(crate) use sql::{fill, make_room, number, run, texts};

pub(crate) const AUDIENCE: &str = "countersign";
pub(crate) const ROLE: &str = "arn:aws:iam::111122223333:role/Receipts";

/// 2026-11-23 is a Monday; the world starts there at noon, UTC.
pub(crate) fn noon() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// Which database a test runs on. What is true of one is true of the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

/// A clock that stands still until somebody turns it.
#[derive(Clone)]
pub(crate) struct Hands(Arc<Mutex<Timestamp>>);

impl Hands {
    pub(crate) fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    pub(crate) fn turn(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(by).unwrap();
    }

    pub(crate) fn clock(&self) -> Clock {
        let hands = self.clone();
        Clock::new(move || hands.now())
    }
}

/// A key of the cluster.
pub(crate) struct ClusterKey {
    kid: String,
    key: EncodingKey,
}

impl ClusterKey {
    pub(crate) fn new(kid: &str) -> Self {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
        let random = aws_lc_rs::rand::SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self { kid: kid.to_owned(), key: EncodingKey::from_ec_der(pkcs8.as_ref()) }
    }

    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(self.kid.clone());
        serde_json::to_value(jwk).unwrap()
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

/// What a fake server does, and what it saw.
#[derive(Default)]
pub(crate) struct Script {
    /// For the issuer: the discovery document and the JWKS. `None`: 503.
    pub(crate) documents: Option<(Value, Value)>,
    /// For STS: answers to give before the good ones.
    pub(crate) answers: Vec<(u16, String)>,
    /// For STS: an answer costs a permit.
    pub(crate) gate: Option<Arc<Semaphore>>,
    /// Requests for the JWKS, or bodies and hosts of requests to STS.
    pub(crate) seen: Vec<(String, String)>,
}

pub(crate) type Shared = Arc<Mutex<Script>>;

pub(crate) struct Stage {
    pub(crate) hands: Hands,
    pub(crate) issuer: String,
    pub(crate) cluster: Shared,
    pub(crate) key: ClusterKey,
    pub(crate) sts: Shared,
    pub(crate) settings: Settings,
    _home: TempDir,
}

impl Stage {
    /// With the store in an SQLite file.
    pub(crate) async fn new() -> Self {
        Self::on(On::Sqlite).await
    }

    pub(crate) async fn on(on: On) -> Self {
        let (cluster, sts) = (Shared::default(), Shared::default());
        let hands = Hands(Arc::new(Mutex::new(noon())));
        let issuer = format!("http://{}", serve(issuer_routes(cluster.clone())).await);
        let sts_at = serve(sts_routes((sts.clone(), hands.clone()))).await;
        let home = tempfile::tempdir().unwrap();
        let store = match on {
            On::Sqlite => Store::File(home.path().join("state/store.db")),
            On::Postgres => Store::Server(postgres::database().await),
        };
        let settings = settings(&issuer, sts_at, (home.path(), store));
        let stage = Self { hands, issuer, cluster, key: ClusterKey::new("first"), sts, settings, _home: home };
        stage.publish(&[&stage.key]);
        stage
    }

    /// The file of the store.
    pub(crate) fn file(&self) -> &Path {
        let Store::File(path) = &self.settings.broker.store else { panic!("the store is no file") };
        path
    }

    /// The store as it stands, copied: what a thief, a forger or a backup would take. Nobody may have it open.
    pub(crate) async fn copy(&self) -> (TempDir, Store) {
        let home = tempfile::tempdir().unwrap();
        let copy = match &self.settings.broker.store {
            Store::File(path) => {
                for file in std::fs::read_dir(path.parent().unwrap()).unwrap() {
                    let file = file.unwrap();
                    std::fs::copy(file.path(), home.path().join(file.file_name())).unwrap();
                }
                Store::File(home.path().join(path.file_name().unwrap()))
            }
            Store::Server(database) => Store::Server(postgres::copy(database).await),
        };
        (home, copy)
    }

    pub(crate) fn clock(&self) -> Clock {
        self.hands.clock()
    }

    /// Opens the broker; a second time is a restart, or another process.
    pub(crate) async fn broker(&self) -> Broker {
        Broker::open(&self.settings, self.hands.clock()).await.unwrap()
    }

    /// The store.
    pub(crate) const fn store(&self) -> &Store {
        &self.settings.broker.store
    }

    /// Whether a text stands anywhere in the store.
    pub(crate) async fn on_disk(&self, text: &str) -> bool {
        if let Store::Server(database) = &self.settings.broker.store {
            return sql::in_tables(database, text).await;
        }
        let directory = self.file().parent().unwrap();
        let files = std::fs::read_dir(directory).unwrap();
        let mut bytes = files.flat_map(|file| [std::fs::read(file.unwrap().path()).unwrap()]);
        bytes.any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    }

    /// What the cluster's issuer tells from now on.
    pub(crate) fn publish(&self, keys: &[&ClusterKey]) {
        let discovery = json!({"issuer": self.issuer, "jwks_uri": format!("{}/openid/v1/jwks", self.issuer)});
        let jwks = json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()});
        self.cluster.lock().unwrap().documents = Some((discovery, jwks));
    }

    /// How often the issuer was asked for its keys.
    pub(crate) fn asked(&self) -> usize {
        self.cluster.lock().unwrap().seen.len()
    }

    /// What stands in the token of the checkout pod, mounted now.
    pub(crate) fn claims(&self) -> Value {
        let now = self.hands.now().as_second();
        json!({
            "iss": self.issuer, "aud": [AUDIENCE], "sub": "system:serviceaccount:shop:checkout",
            "iat": now, "nbf": now, "exp": now + 3600, "jti": "6c1e",
            "kubernetes.io": {
                "namespace": "shop",
                "serviceaccount": {"name": "checkout", "uid": "11-aa"},
                "pod": {"name": "checkout-7d9f", "uid": "22-bb"},
                "node": {"name": "node-1", "uid": "33-cc"},
            },
        })
    }

    /// The token of the checkout pod.
    pub(crate) fn token(&self) -> String {
        self.key.sign(&self.claims())
    }

    /// The token of the checkout pod, but for what `change` does to it.
    pub(crate) fn token_with(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        self.key.sign(&claims)
    }

    /// Bodies of the requests that STS saw.
    pub(crate) fn exchanges(&self) -> Vec<String> {
        self.sts.lock().unwrap().seen.iter().map(|(_, body)| body.clone()).collect()
    }

    /// What STS answers next, before it is itself again.
    pub(crate) fn sts_answers(&self, answers: &[(u16, &str)]) {
        self.sts.lock().unwrap().answers = answers.iter().map(|&(status, body)| (status, body.to_owned())).collect();
    }
}

/// A question for a lease at the target that everything is granted at.
pub(crate) fn ask(token: &str) -> Ask {
    Ask {
        evidence: Arc::new(Evidence::token(token.to_owned().into())),
        target: TargetName::new("receipts").unwrap(),
        call: call("s3:GetObject"),
        from: Some("10.1.2.3".parse().unwrap()),
        request: RequestId::new(Uuid::from_u128(7)),
    }
}

pub(crate) fn ask_at(token: &str, target: &str) -> Ask {
    Ask { target: TargetName::new(target).unwrap(), ..ask(token) }
}

pub(crate) fn call(action: &str) -> Call {
    Call {
        cloud: Cloud::Aws,
        service: "s3".to_owned(),
        prefix: "s3".into(),
        region: Some("eu-central-1".to_owned()),
        action: Some(action.to_owned()),
        resource: Some("arn:aws:s3:::acme-receipts/2026/07.pdf".to_owned()),
        also: Vec::new(),
        method: "GET".to_owned(),
        host: "acme-receipts.s3.eu-central-1.amazonaws.com".to_owned(),
        path: "/2026/07.pdf".to_owned(),
        spelling: access::Spelling::Plain,
    }
}

pub(crate) async fn lease(broker: &Broker, ask: Ask) -> Result<Lease, Refusal> {
    Lessor::lease(broker, ask).await
}

pub(crate) async fn serve(routes: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

pub(crate) fn issuer_routes(script: Shared) -> Router {
    let document = |pick: fn(&(Value, Value)) -> &Value| {
        move |State(script): State<Shared>| async move {
            let script = script.lock().unwrap();
            script.documents.as_ref().map(|both| pick(both).to_string()).ok_or(StatusCode::SERVICE_UNAVAILABLE)
        }
    };
    let counted = |State(script): State<Shared>, request: axum::extract::Request, next: axum::middleware::Next| async move {
        if request.uri().path().ends_with("openid-configuration") {
            script.lock().unwrap().seen.push((request.uri().to_string(), String::new()));
        }
        next.run(request).await
    };
    Router::new()
        .route("/.well-known/openid-configuration", get(document(|both| &both.0)))
        .route("/openid/v1/jwks", get(document(|both| &both.1)))
        .layer(axum::middleware::from_fn_with_state(script.clone(), counted))
        .with_state(script)
}

fn sts_routes(state: (Shared, Hands)) -> Router {
    Router::new().route("/", post(sts)).with_state(state)
}

async fn sts(State((script, hands)): State<(Shared, Hands)>, headers: HeaderMap, body: String) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let gate = {
        let mut script = script.lock().unwrap();
        script.seen.push((host.to_owned(), body));
        script.gate.clone()
    };
    if let Some(gate) = gate {
        gate.acquire().await.unwrap().forget();
    }
    let mut script = script.lock().unwrap();
    if !script.answers.is_empty() {
        let (status, body) = script.answers.remove(0);
        // Back here, where the next answer is a good one: whoever follows is found out.
        let headers = [(header::LOCATION, "/".to_owned()), (header::DATE, date(hands.now()))];
        return (StatusCode::from_u16(status).unwrap(), headers, body).into_response();
    }
    let body = granted(hands.now() + SignedDuration::from_hours(1));
    ([(header::DATE, date(hands.now()))], body).into_response()
}

/// The world's time as HTTP has it. The server library would write the machine's, and STS would be believed to be a
/// world away whenever the two come within a day of each other.
fn date(now: Timestamp) -> String {
    now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn granted(expires: Timestamp) -> String {
    format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>\
         <AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/Receipts/x</Arn><AssumedRoleId>A:x</AssumedRoleId>\
         </AssumedRoleUser><Credentials><SessionToken>session-token-secret</SessionToken>\
         <SecretAccessKey>access-key-secret</SecretAccessKey><Expiration>{expires:.0}</Expiration>\
         <AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId></Credentials>\
         </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    )
}

/// An error as STS words it.
pub(crate) fn sts_error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>4a3f</RequestId></ErrorResponse>"
    )
}

/// An RSA key of a cluster, and its JWK.
pub(crate) fn rsa(kid: &str) -> (EncodingKey, Value) {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use base64::Engine;
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let base64 = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let key = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap();
    jwk.common.key_id = Some(kid.to_owned());
    (key, serde_json::to_value(jwk).unwrap())
}

/// Compares a text with a file that is checked in; `UPDATE_GOLDEN=1` writes it.
pub(crate) fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == found, "{} is not what comes out; look at the difference with UPDATE_GOLDEN=1", path.display());
}
