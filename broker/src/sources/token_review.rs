//! Asking a Kubernetes API server whether a token is good (`authentication.k8s.io/v1`, `TokenReview`): it knows at once
//! which pods and service accounts are gone, which no signature tells.

use std::path::{Path, PathBuf};
use std::time::Duration;

use access::{Caller, Refusal, RefusalCode, Secret};
use aws_lc_rs::digest::{SHA256, digest};
use config::TokenReview;
use jiff::{SignedDuration, Timestamp};
use moka::sync::Cache;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;

use super::shown;
use super::state::{Health, State};
use crate::outbound::{self, AnswerError, OutboundError, Roots, in_words};

/// How long a yes counts: the time for which a deleted pod may still get in.
const CONFIRMED: SignedDuration = SignedDuration::from_secs(10);
/// Most tokens that are remembered. One whose yes was forgotten is asked about again.
const MOST: u64 = 10_000;
/// Most questions at once; others wait their turn. API servers have work to do, and made-up tokens cost a question each.
const AT_ONCE: usize = 32;
/// For a turn, and then for an answer. API servers give their own authenticators less.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer; they have a kilobyte beside the token itself.
const MAX_ANSWER: usize = 64 * 1024;
/// Longest token of our own.
const MAX_TOKEN: u64 = 16 * 1024;

/// What asks one API server.
#[derive(Debug)]
pub(super) struct Reviewer {
    client: Client,
    url: Url,
    token_file: PathBuf,
    confirmed: Cache<[u8; 32], Timestamp>,
    asking: Semaphore,
    health: Health,
}

/// The API server gives no answer that counts.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    /// We have no token to show.
    #[error("our own token in {path} cannot be read")]
    OwnToken {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// What is in the file is no token.
    #[error("our own token in {0} is none")]
    NoToken(PathBuf),
    /// It cannot be reached, or its answer does not arrive.
    #[error("the API server does not answer")]
    Lost(#[source] AnswerError),
    /// It does not take our token.
    #[error("the API server does not take our own token")]
    Unauthorized,
    /// It takes it, but not for this.
    #[error("the API server does not let us review tokens; bind `system:auth-delegator` to our service account")]
    Forbidden,
    /// Something else.
    #[error("the API server answers {0}")]
    Status(StatusCode),
    /// Not a TokenReview.
    #[error("what the API server answers is no TokenReview")]
    Unreadable(#[source] serde_json::Error),
    /// Too many are being asked about.
    #[error("{AT_ONCE} tokens are being asked about, and others wait")]
    Busy,
}

#[derive(Debug, Deserialize)]
struct Review {
    kind: Kind,
    status: Status,
}

#[derive(Debug, Deserialize)]
enum Kind {
    TokenReview,
}

#[derive(Debug, Deserialize)]
struct Status {
    #[serde(default)]
    authenticated: bool,
    user: Option<User>,
    #[serde(default)]
    audiences: Vec<String>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct User {
    // A no comes with an empty user.
    #[serde(default)]
    username: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    extra: Extra,
}

#[derive(Debug, Default, Deserialize)]
struct Extra {
    #[serde(rename = "authentication.kubernetes.io/pod-uid", default)]
    pod_uid: Vec<String>,
}

impl Reviewer {
    /// Trusts the cluster's own CA and nobody else: what we show there is a credential.
    pub(super) fn new(review: &TokenReview) -> Result<Self, OutboundError> {
        let mut url = review.api_server.clone();
        url.set_path("/apis/authentication.k8s.io/v1/tokenreviews");
        Ok(Self {
            client: Roots::none().client(Some(&review.ca))?,
            url,
            token_file: review.token_file.clone(),
            confirmed: Cache::new(MOST),
            asking: Semaphore::new(AT_ONCE),
            health: Health::default(),
        })
    }

    pub(super) fn state(&self) -> State {
        self.health.state()
    }

    /// Refuses the token unless the API server says that it is this caller's, for these audiences.
    pub(super) async fn confirm(
        &self,
        token: &str,
        (caller, audiences): (&Caller, &[String]),
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let known_by = known_by(token, audiences);
        // Its end was judged already, by the same clock: nothing is remembered beyond that.
        let fresh = |at: &Timestamp| now.duration_since(*at).abs() < CONFIRMED;
        if self.confirmed.get(&known_by).is_some_and(|at| fresh(&at)) {
            return Ok(());
        }
        let status = match self.ask(token, audiences).await {
            Ok(status) => status,
            Err(error) => {
                let why = in_words(&error);
                if !matches!(error, NoAnswer::Busy) {
                    self.health.ill(&why, now);
                }
                return Err(Refusal::new(
                    RefusalCode::BrokerUnavailable,
                    format!("the pod token cannot be reviewed: {why}"),
                ));
            }
        };
        self.health.well();
        judged(&status, caller, audiences)?;
        self.confirmed.insert(known_by, now);
        Ok(())
    }

    async fn ask(&self, token: &str, audiences: &[String]) -> Result<Status, NoAnswer> {
        let turn = tokio::time::timeout(PATIENCE, self.asking.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(NoAnswer::Busy) };
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": { "token": token, "audiences": audiences },
        });
        let request = self.client.post(self.url.clone()).timeout(PATIENCE).body(review.to_string());
        let json = HeaderValue::from_static("application/json");
        let request = request.header(CONTENT_TYPE, &json).header(ACCEPT, &json);
        let lost = |error: AnswerError| NoAnswer::Lost(error);
        let request = request.header(AUTHORIZATION, self.bearer().await?);
        let answer = request.send().await.map_err(|error| lost(error.into()))?;
        match answer.status() {
            StatusCode::CREATED | StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => return Err(NoAnswer::Unauthorized),
            StatusCode::FORBIDDEN => return Err(NoAnswer::Forbidden),
            other => return Err(NoAnswer::Status(other)),
        }
        let body = outbound::body(answer, MAX_ANSWER).await.map_err(lost)?;
        let Review { kind: Kind::TokenReview, status } = serde_json::from_slice(&body).map_err(NoAnswer::Unreadable)?;
        Ok(status)
    }

    /// Our own token, as it stands in the file now: kubelet renews it there.
    async fn bearer(&self) -> Result<HeaderValue, NoAnswer> {
        let path = &self.token_file;
        let token = read(path).await.map_err(|cause| NoAnswer::OwnToken { path: path.clone(), cause })?;
        let none = || NoAnswer::NoToken(path.clone());
        if token.expose().trim().is_empty() {
            return Err(none());
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {}", token.expose().trim())).map_err(|_| none())?;
        header.set_sensitive(true);
        Ok(header)
    }
}

async fn read(path: &Path) -> std::io::Result<Secret<String>> {
    let mut text = String::new();
    tokio::fs::File::open(path).await?.take(MAX_TOKEN).read_to_string(&mut text).await?;
    Ok(Secret::new(text))
}

/// A token and the audiences that it was confirmed for. Not the token: what is remembered is no credential.
fn known_by(token: &str, audiences: &[String]) -> [u8; 32] {
    // No audience holds a line feed, and no token does.
    let whole = Secret::new(format!("{token}\n{}", audiences.join("\n")));
    let mut known_by = [0; 32];
    known_by.copy_from_slice(digest(&SHA256, whole.expose().as_bytes()).as_ref());
    known_by
}

fn judged(status: &Status, caller: &Caller, audiences: &[String]) -> Result<(), Refusal> {
    let invalid = |message: String| Refusal::new(RefusalCode::EvidenceInvalid, message);
    let Some(user) = status.user.as_ref().filter(|_| status.authenticated) else {
        let why = status.error.as_deref().map_or_else(|| "it does not say why".to_owned(), shown);
        return Err(invalid(format!("the API server does not take the pod token: {why}"))
            .help("was the pod or its service account deleted? is the token of this cluster?"));
    };
    // An API server that knows nothing of audiences answers with none (Kubernetes API, `TokenReviewStatus.audiences`).
    if !audiences.iter().all(|audience| status.audiences.contains(audience)) {
        let found = shown(&status.audiences.join(", "));
        let wanted = shown(&audiences.join(", "));
        return Err(invalid(format!("the API server takes the pod token for audience {found}, not for {wanted}")));
    }
    let attribute = |name: &str| caller.attributes.get(name).map_or("", String::as_str);
    let same = user.username == caller.subject
        && user.uid == attribute("service_account_uid")
        && user.extra.pod_uid.iter().all(|uid| uid == attribute("pod_uid"));
    if !same {
        return Err(invalid(format!("the API server says that the pod token is {}'s", shown(&user.username))));
    }
    Ok(())
}
