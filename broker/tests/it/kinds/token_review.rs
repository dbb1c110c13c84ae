//! Pods whose tokens an API server reviews: a strict one, over TLS, of our own making.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use access::{RefusalCode, Retry};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use config::{Keys, Source, SourceKind, TokenKind, TokenReview};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{AUDIENCE, Provider, kubernetes::pod, sign, sources, verify};
use crate::stage::noon;

/// What the API server knows, and how often it was asked.
#[derive(Default)]
struct Knowledge {
    /// Tokens of pods that are there, and who they are: username, uid, pod uid.
    pods: Vec<(String, [&'static str; 3])>,
    /// The audiences that it issues tokens for; empty: it knows nothing of audiences.
    audiences: Vec<String>,
    asked: usize,
    /// What it answers instead of the truth.
    instead: Option<(u16, String)>,
}

type Known = Arc<Mutex<Knowledge>>;

struct Tls(TcpListener, TlsAcceptor);

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = self.0.accept().await.unwrap();
            if let Ok(stream) = self.1.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Answers as kube-apiserver does: to the right bearer, on the right path, for a whole TokenReview.
async fn review(State(known): State<Known>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut known = known.lock().unwrap();
    known.asked += 1;
    if let Some((status, body)) = &known.instead {
        return (StatusCode::from_u16(*status).unwrap(), body.clone()).into_response();
    }
    match headers.get("authorization").and_then(|value| value.to_str().ok()) {
        Some("Bearer our-own-token" | "Bearer our-renewed-token") => {}
        Some("Bearer without-rights") => return StatusCode::FORBIDDEN.into_response(),
        _ => return StatusCode::UNAUTHORIZED.into_response(),
    }
    if uri.path() != "/apis/authentication.k8s.io/v1/tokenreviews" || uri.query().is_some() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let is_json = headers.get("content-type").is_some_and(|kind| kind == "application/json");
    let Some(review) = serde_json::from_slice::<Value>(&body).ok().filter(|_| is_json) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let names: Vec<_> = review.as_object().unwrap().keys().map(String::as_str).collect();
    let spec_names: Vec<_> = review["spec"].as_object().unwrap().keys().map(String::as_str).collect();
    if review["apiVersion"] != "authentication.k8s.io/v1"
        || review["kind"] != "TokenReview"
        || names != ["apiVersion", "kind", "spec"]
        || spec_names != ["token", "audiences"]
    {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    let status = known.status(&review["spec"]);
    let answer = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}, "spec": review["spec"], "status": status});
    (StatusCode::CREATED, axum::Json(answer)).into_response()
}

impl Knowledge {
    fn status(&self, spec: &Value) -> Value {
        let Some((_, [username, uid, pod_uid])) = self.pods.iter().find(|(token, _)| spec["token"] == **token) else {
            return json!({"user": {}, "error": "[invalid bearer token, service account token has been invalidated]"});
        };
        let asked = spec["audiences"].as_array().unwrap();
        let both: Vec<_> = asked.iter().filter(|one| self.audiences.iter().any(|other| *one == other)).collect();
        if both.is_empty() && !self.audiences.is_empty() {
            return json!({"user": {}, "error": format!("token audiences {:?} is invalid for the target audiences", self.audiences)});
        }
        json!({
            "authenticated": true, "audiences": both,
            "user": {"username": username, "uid": uid, "groups": ["system:serviceaccounts", "system:authenticated"],
                "extra": {"authentication.kubernetes.io/pod-name": ["checkout-1"], "authentication.kubernetes.io/pod-uid": [pod_uid]}},
        })
    }
}

struct ApiServer {
    known: Known,
    review: TokenReview,
    provider: Provider,
    _directory: TempDir,
}

const CHECKOUT: [&str; 3] = ["system:serviceaccount:shop:checkout", "11", "22"];

impl ApiServer {
    async fn start() -> Self {
        let now = Timestamp::from_second(jsonwebtoken::get_current_timestamp().cast_signed()).unwrap();
        let host = ca::Host::parse("127.0.0.1").unwrap();
        let root =
            ca::Root::generate(&ca::Scope::of([host.clone()]).unwrap(), now, SignedDuration::from_hours(24)).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (ca_file, token_file) = (directory.path().join("ca.crt"), directory.path().join("token"));
        std::fs::write(&ca_file, root.pem()).unwrap();
        std::fs::write(&token_file, "our-own-token\n").unwrap();
        let leaves = Arc::new(ca::Leaves::new(ca::Mint::new(root).unwrap(), Arc::new(move || now)));
        let tls = ca::ServerTls::new(leaves, &[b"http/1.1"]).unwrap().for_host(host).unwrap();
        let known = Known::default();
        known.lock().unwrap().audiences = vec![AUDIENCE.to_owned()];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api_server = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let routes = Router::new().fallback(review).with_state(known.clone());
        tokio::spawn(async move { axum::serve(Tls(listener, TlsAcceptor::from(tls)), routes).await });
        let review = TokenReview { api_server, token_file, ca: ca_file };
        Self { known, review, provider: Provider::start().await, _directory: directory }
    }

    fn source(&self) -> Source {
        let mut source = self.provider.source(TokenKind::Kubernetes, &[("namespace", "shop")]);
        if let SourceKind::Token(tokens) = &mut source.kind {
            tokens.keys = Keys::Review(self.review.clone());
        }
        source
    }

    fn asked(&self) -> usize {
        self.known.lock().unwrap().asked
    }

    fn answer_instead(&self, answer: Option<(u16, &str)>) {
        self.known.lock().unwrap().instead = answer.map(|(status, body)| (status, body.to_owned()));
    }

    /// A token that the API server issued, to a pod that is there.
    fn token(&self) -> String {
        let token = sign(&pod(&self.provider));
        self.known.lock().unwrap().pods = vec![(token.clone(), CHECKOUT)];
        token
    }
}

fn write(path: &Path, text: &str) -> PathBuf {
    std::fs::write(path, text).unwrap();
    path.to_owned()
}

#[tokio::test]
async fn a_pod_is_confirmed_and_asked_about_again_after_ten_seconds() {
    let server = ApiServer::start().await;
    let sources = sources(&[server.source()]);
    let token = server.token();
    for _ in 0..3 {
        let caller = verify(&sources, &token, noon()).await.unwrap();
        assert_eq!(caller.attributes["pod_uid"], "22");
    }
    assert_eq!((server.asked(), server.provider.asked()), (1, 0), "asked once, and for no key");
    assert_eq!(sources.states()[0].state, broker::State::Ready);

    server.known.lock().unwrap().pods.clear();
    verify(&sources, &token, noon() + SignedDuration::from_secs(9)).await.expect("remembered");
    let refusal = verify(&sources, &token, noon() + SignedDuration::from_secs(10)).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::EvidenceInvalid, "the pod was deleted");
    assert!(refusal.message.contains("has been invalidated"), "{refusal}");
    assert!(verify(&sources, &token, noon() + SignedDuration::from_secs(10)).await.is_err());
    assert_eq!(server.asked(), 3, "a no is not remembered");
}

#[tokio::test]
async fn what_was_confirmed_ends_with_the_token() {
    let server = ApiServer::start().await;
    let sources = sources(&[server.source()]);
    let mut claims = pod(&server.provider);
    claims["exp"] = json!(noon().as_second() + 5);
    let token = sign(&claims);
    server.known.lock().unwrap().pods = vec![(token.clone(), CHECKOUT)];
    verify(&sources, &token, noon()).await.unwrap();
    let refusal = verify(&sources, &token, noon() + SignedDuration::from_secs(5)).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::EvidenceExpired, "{refusal}");
}

#[tokio::test]
async fn what_is_of_no_use_is_not_asked_about_and_names_nobody() {
    let server = ApiServer::start().await;
    let sources = sources(&[server.source()]);
    for (name, value) in [
        ("exp", json!(noon().as_second())),
        ("aud", json!("https://kubernetes.default.svc")),
        ("sub", json!("system:serviceaccount:kube-system:admin")),
    ] {
        let mut claims = pod(&server.provider);
        claims[name] = value;
        let refusal = verify(&sources, &sign(&claims), noon()).await.unwrap_err();
        assert_eq!(refusal.subject, None, "nobody has verified it: {refusal}");
    }
    assert_eq!(server.asked(), 0);
}

#[tokio::test]
async fn an_answer_about_somebody_else_or_another_audience_does_not_count() {
    let server = ApiServer::start().await;
    let sources = sources(&[server.source()]);
    let token = server.token();
    for who in [
        ["system:serviceaccount:shop:other", "11", "22"],
        ["system:serviceaccount:shop:checkout", "12", "22"],
        ["system:serviceaccount:shop:checkout", "11", "23"],
    ] {
        server.known.lock().unwrap().pods[0].1 = who;
        let refusal = verify(&sources, &token, noon()).await.unwrap_err();
        assert!(refusal.message.contains("says that the pod token is"), "{refusal}");
    }
    server.token();
    server.known.lock().unwrap().audiences = vec!["https://kubernetes.default.svc".to_owned()];
    let refusal = verify(&sources, &token, noon()).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::EvidenceInvalid, "{refusal}");
    server.known.lock().unwrap().audiences.clear();
    let refusal = verify(&sources, &token, noon()).await.unwrap_err();
    assert!(refusal.message.contains("audience"), "an API server that knows no audiences: {refusal}");
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_well_is_told_and_lets_nobody_in() {
    let server = ApiServer::start().await;
    let sources = sources(&[server.source()]);
    let token = server.token();
    let yes = json!({"kind": "TokenReview", "status": {"authenticated": true}}).to_string();
    let other = yes.replace("TokenReview", "SubjectAccessReview");
    let long = format!("{{\"kind\":\"TokenReview\",\"x\":\"{}\"}}", "x".repeat(64 * 1024));
    for (status, body, words) in [
        (500, "", "answers 500"),
        (302, "", "answers 302"),
        (429, "", "answers 429"),
        (201, "<html>", "no TokenReview"),
        (201, "{}", "no TokenReview"),
        (201, &*other, "no TokenReview"),
        (201, r#"{"kind":"TokenReview","status":{"authenticated":"true"}}"#, "no TokenReview"),
        (201, &*long, "longer than"),
    ] {
        server.answer_instead(Some((status, body)));
        let refusal = verify(&sources, &token, noon()).await.unwrap_err();
        assert_eq!((refusal.code, refusal.code.retry()), (RefusalCode::BrokerUnavailable, Retry::Later), "{refusal}");
        assert!(refusal.message.contains(words), "{words}: {refusal}");
    }
    let broker::State::Failed { why, .. } = &sources.states()[0].state else { panic!("{:?}", sources.states()) };
    assert!(why.contains("longer than"), "{why}");
    server.answer_instead(Some((201, &yes)));
    let refusal = verify(&sources, &token, noon()).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::EvidenceInvalid, "a yes without a user: {refusal}");
}

#[tokio::test]
async fn our_own_token_is_read_again_and_shown_to_nobody_else() {
    let server = ApiServer::start().await;
    let sources = sources(&[server.source()]);
    let token = server.token();
    let file = &server.review.token_file;
    for (own, words) in [
        ("without-rights", "system:auth-delegator"),
        ("old", "does not take our own token"),
        ("\n", "is none"),
        ("a\nb", "is none"),
    ] {
        write(file, own);
        let refusal = verify(&sources, &token, noon()).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::BrokerUnavailable);
        assert!(refusal.message.contains(words), "{refusal}");
    }
    std::fs::remove_file(file).unwrap();
    let refusal = verify(&sources, &token, noon()).await.unwrap_err();
    assert!(refusal.message.contains("cannot be read"), "{refusal}");
    write(file, "our-renewed-token");
    verify(&sources, &token, noon()).await.expect("as kubelet has renewed it");

    // Another CA: what answers is not the cluster.
    let stranger = ApiServer::start().await;
    let mut source = server.source();
    if let SourceKind::Token(tokens) = &mut source.kind {
        tokens.keys = Keys::Review(TokenReview { ca: stranger.review.ca.clone(), ..server.review.clone() });
    }
    let asked = server.asked();
    let refusal = verify(&self::sources(&[source]), &token, noon()).await.unwrap_err();
    assert_eq!((refusal.code, server.asked()), (RefusalCode::BrokerUnavailable, asked), "{refusal}");
}

#[tokio::test]
async fn some_pods_by_keys_and_others_by_review() {
    let server = ApiServer::start().await;
    let mut by_keys = server.provider.source(TokenKind::Kubernetes, &[("namespace", "shop")]);
    by_keys.name = access::SourceName::new("by-keys").unwrap();
    let sources = sources(&[by_keys, server.source()]);
    let token = server.token();
    let names = async |now| {
        let caller = verify(&sources, &token, now).await.unwrap();
        caller.sources.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(names(noon()).await, ["by-keys", "them"]);
    server.known.lock().unwrap().pods.clear();
    assert_eq!(names(noon() + SignedDuration::from_secs(10)).await, ["by-keys"], "its signature is still good");
}

#[tokio::test]
async fn an_api_server_that_hangs_is_not_waited_for_without_end() {
    let server = ApiServer::start().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut source = server.source();
    if let SourceKind::Token(tokens) = &mut source.kind {
        let api_server = format!("https://{}", silent.local_addr().unwrap()).parse().unwrap();
        tokens.keys = Keys::Review(TokenReview { api_server, ..server.review.clone() });
    }
    let sources = Arc::new(sources(&[source]));
    let token = server.token();
    // Nothing else happens here, so the clock of time-outs jumps from one to the next.
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..33 {
        let (sources, token) = (sources.clone(), token.clone());
        all.spawn(async move { verify(&sources, &token, noon()).await.unwrap_err() });
    }
    let refusals = all.join_all().await;
    assert!(refusals.iter().all(|refusal| refusal.code == RefusalCode::BrokerUnavailable), "{refusals:?}");
    assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
}
