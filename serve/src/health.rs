//! Whether the process lives, whether it can do its work, and its numbers: for kubelets, load balancers and collectors.
//!
//! | path | answers |
//! |---|---|
//! | `/livez` | 200 as long as the process answers at all: nothing that a restart would not mend |
//! | `/readyz` | 200 if every check holds, else 503; a line per check, and notes |
//! | `/metrics` | the numbers, in Prometheus' text format |

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::routing::get;

use crate::metrics::{Counted, Page};

/// What a check found: nothing wrong, or what is, in words that hold no secret.
pub type Finding = Result<(), String>;

/// A check on its way.
pub type Checking = Pin<Box<dyn Future<Output = Finding> + Send>>;

type Check = Box<dyn Fn() -> Checking + Send + Sync>;
type Notes = Box<dyn Fn() -> Vec<String> + Send + Sync>;

/// A check that takes longer has failed: kubelets wait a second for the whole answer.
const CHECK_TIMEOUT: Duration = Duration::from_millis(800);

type Headers = [(HeaderName, &'static str); 2];

const TEXT: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is asked, and who counts.
#[derive(Default)]
pub struct Health {
    checks: Vec<(&'static str, Check)>,
    notes: Vec<Notes>,
    counted: Vec<Arc<dyn Counted>>,
}

impl Health {
    /// Adds a check that must hold for the process to be ready.
    #[must_use]
    pub fn check(mut self, name: &'static str, check: impl Fn() -> Checking + Send + Sync + 'static) -> Self {
        self.checks.push((name, Box::new(check)));
        self
    }

    /// Adds lines that tell what does not work although the process is ready: what a restart would not mend.
    #[must_use]
    pub fn notes(mut self, notes: impl Fn() -> Vec<String> + Send + Sync + 'static) -> Self {
        self.notes.push(Box::new(notes));
        self
    }

    /// Adds somebody who has numbers to tell.
    #[must_use]
    pub fn counted(mut self, counted: Arc<dyn Counted>) -> Self {
        self.counted.push(counted);
        self
    }

    /// The three routes.
    pub fn routes(self) -> Router {
        let (health, same) = (Arc::new(self), |kind| [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")]);
        let (ready, numbers) = (health.clone(), health);
        Router::new()
            .route("/livez", get(move || async move { (same(TEXT), "ok\n") }))
            .route("/readyz", get(move || async move { ready.readiness(same(TEXT)).await }))
            .route("/metrics", get(move || async move { (same(PROMETHEUS), numbers.page()) }))
    }

    async fn readiness(&self, headers: Headers) -> (StatusCode, Headers, String) {
        let (mut status, mut text) = (StatusCode::OK, String::new());
        for (name, check) in &self.checks {
            let found = tokio::time::timeout(CHECK_TIMEOUT, check()).await;
            let line = match found.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
                Ok(()) => format!("{name}: ok"),
                Err(why) => {
                    status = StatusCode::SERVICE_UNAVAILABLE;
                    format!("{name}: {why}")
                }
            };
            writeln!(text, "{}", line.replace(['\r', '\n'], " ")).expect("a string takes everything");
        }
        for note in self.notes.iter().flat_map(|notes| notes()) {
            writeln!(text, "{}", note.replace(['\r', '\n'], " ")).expect("a string takes everything");
        }
        (status, headers, text)
    }

    fn page(&self) -> String {
        let mut page = Page::default();
        self.counted.iter().for_each(|counted| counted.tell(&mut page));
        page.into_text()
    }
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.checks.iter().map(|(name, _)| name)).finish()
    }
}
