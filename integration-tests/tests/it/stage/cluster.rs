//! A cluster, as far as it issues tokens: discovery, JWKS, and projected service-account tokens as kube-apiserver and
//! kubelet make them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::clock::Clock;
use super::faults::{Fault, Faults, Station};
use super::jwt::SigningKey;
use super::served::{Answer, Served, Wire, serve};
use super::wire::read_head;

/// What our sources ask for.
pub(crate) const AUDIENCE: &str = "countersign";

/// The cluster's issuer.
#[derive(Debug)]
pub(crate) struct Cluster {
    served: Served,
    state: Arc<State>,
    clock: Clock,
}

#[derive(Debug)]
struct State {
    faults: Arc<Faults>,
    /// The one that signs first; all of them are published.
    keys: Mutex<Vec<SigningKey>>,
    jwks_fetches: AtomicUsize,
    issued: Mutex<Vec<String>>,
}

/// A pod, as a token tells of it.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    pub(crate) namespace: &'static str,
    pub(crate) service_account: &'static str,
    pub(crate) name: &'static str,
}

/// The pod that everything is granted to, if a test says nothing else.
pub(crate) const CHECKOUT: Pod = Pod { namespace: "shop", service_account: "checkout", name: "checkout-7d9f-x2v" };

/// A pod that nothing is granted to.
pub(crate) const STRANGER: Pod = Pod { namespace: "attic", service_account: "default", name: "stranger-1" };

/// A token to be; what is not said is as the API server does it.
#[derive(Debug)]
pub(crate) struct Token {
    key: SigningKey,
    claims: Value,
    state: Arc<State>,
}

impl Cluster {
    /// Starts one with an RSA key.
    pub(crate) async fn start(clock: &Clock, faults: &Arc<Faults>) -> Self {
        let keys = Mutex::new(vec![SigningKey::rs256("cluster-1", 0)]);
        let state = Arc::new(State {
            faults: faults.clone(),
            keys,
            jwks_fetches: AtomicUsize::new(0),
            issued: Mutex::default(),
        });
        let handler = state.clone();
        let served = serve(None, move |wire, _| connection(handler.clone(), wire)).await;
        Self { served, state, clock: clock.clone() }
    }

    /// The `iss` of its tokens.
    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.served.address)
    }

    /// How often its keys were fetched.
    pub(crate) fn jwks_fetches(&self) -> usize {
        self.state.jwks_fetches.load(Ordering::SeqCst)
    }

    /// Every token that it has made.
    pub(crate) fn issued(&self) -> Vec<String> {
        self.state.issued.lock().expect("no test panics with the list in hand").clone()
    }

    /// From now on another key signs, and only that one is published.
    pub(crate) fn rotate_to(&self, key: SigningKey) {
        *self.state.keys.lock().expect("no test panics with the keys in hand") = vec![key];
    }

    /// A token for `pod`, good for an hour.
    pub(crate) fn token(&self, pod: &Pod) -> Token {
        let key = self.state.keys.lock().expect("no test panics with the keys in hand")[0].clone();
        let now = self.clock.now().as_second();
        let Pod { namespace, service_account, name } = pod;
        let uid = |n: u32| format!("{n:08x}-0000-4000-8000-000000000000");
        let claims = json!({
            "aud": [AUDIENCE], "exp": now + 3600, "iat": now, "nbf": now, "iss": self.issuer(), "jti": uid(4),
            "kubernetes.io": {
                "namespace": namespace,
                "node": {"name": "node-1", "uid": uid(1)},
                "pod": {"name": name, "uid": uid(2)},
                "serviceaccount": {"name": service_account, "uid": uid(3)},
            },
            "sub": format!("system:serviceaccount:{namespace}:{service_account}"),
        });
        Token { key, claims, state: self.state.clone() }
    }
}

impl Token {
    pub(crate) fn audience(self, audience: &str) -> Self {
        self.claim("aud", json!([audience]))
    }

    pub(crate) fn issuer(self, issuer: &str) -> Self {
        self.claim("iss", json!(issuer))
    }

    /// As if it had been issued so long ago.
    pub(crate) fn aged(mut self, by: SignedDuration) -> Self {
        for name in ["exp", "iat", "nbf"] {
            let time = self.claims[name].as_i64().expect("a time in seconds");
            self.claims[name] = json!(time - by.as_secs());
        }
        self
    }

    pub(crate) fn lifetime(self, lifetime: SignedDuration) -> Self {
        let issued = self.claims["iat"].as_i64().expect("a time in seconds");
        self.claim("exp", json!(issued + lifetime.as_secs()))
    }

    pub(crate) fn signed_by(mut self, key: SigningKey) -> Self {
        self.key = key;
        self
    }

    pub(crate) fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims[name] = value;
        self
    }

    /// The compact JWS, as it stands in the projected file.
    pub(crate) fn text(&self) -> String {
        let token = self.key.sign(&self.claims);
        self.state.issued.lock().expect("no test panics with the list in hand").push(token.clone());
        token
    }
}

async fn connection(state: Arc<State>, mut wire: Wire) -> std::io::Result<()> {
    while let Some(head) = read_head(&mut wire).await? {
        let fault = state.faults.meets(Station::Cluster);
        if matches!(fault, Some(Fault::CloseAtHead | Fault::CloseInBody)) {
            return Ok(());
        }
        let answer = match fault {
            Some(Fault::ServerError) => Answer::new(500, "text/plain", "etcd is away"),
            Some(Fault::Throttle) => Answer::new(429, "text/plain", "too many requests"),
            Some(Fault::Forbidden) => Answer::new(403, "text/plain", "anonymous may not"),
            _ => state.answer(head.word(1), head.get("host").unwrap_or_default()),
        };
        if !answer.send(&mut wire, head.word(0), (&state.faults, fault)).await? {
            return Ok(());
        }
    }
    Ok(())
}

impl State {
    fn answer(&self, path: &str, host: &str) -> Answer {
        let document = match path {
            "/.well-known/openid-configuration" => json!({
                "issuer": format!("http://{host}"),
                "jwks_uri": format!("http://{host}/openid/v1/jwks"),
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }),
            "/openid/v1/jwks" => {
                self.jwks_fetches.fetch_add(1, Ordering::SeqCst);
                let keys = self.keys.lock().expect("no test panics with the keys in hand");
                json!({"keys": keys.iter().map(SigningKey::jwk).collect::<Vec<_>>()})
            }
            _ => return Answer::new(404, "text/plain", "404 page not found"),
        };
        Answer::new(200, "application/json", document.to_string())
    }
}
