//! How the broker calls out: to issuers for their keys, to token services for credentials.
//!
//! No redirects (an answer must not choose where the next request goes), no proxy from the environment (that may be
//! ourselves), no client without deadlines, no answer without a limit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::Endpoints;
use http::header::{HOST, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Request, Response};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject};

/// For TCP and TLS together. A healthy one takes some hundred milliseconds around the world.
const CONNECT: Duration = Duration::from_secs(3);
/// For the whole answer. Callers wait for it with a request of their own in hand.
const WHOLE: Duration = Duration::from_secs(10);

/// A client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// A file with roots cannot be read.
    #[error("{path} cannot be read as PEM certificates")]
    Roots {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: pem::Error,
    },
    /// A certificate in it cannot be a root.
    #[error("{path} has a certificate that cannot be a root")]
    Root {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: rustls::Error,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The client cannot be made.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
}

/// The system's roots, read once.
#[derive(Debug, Clone)]
pub(crate) struct Roots(Arc<RootCertStore>);

impl Roots {
    /// Reads them. A machine may have none (a scratch image); then only the files named in the config count.
    pub(crate) fn of_the_system() -> Self {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "some of the system's root certificates cannot be read");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        Self(roots.into())
    }

    /// None at all: only those in a file will count.
    pub(crate) fn none() -> Self {
        Self(RootCertStore::empty().into())
    }

    /// A client that trusts them, and those in a file.
    pub(crate) fn client(&self, more: Option<&Path>) -> Result<Client, OutboundError> {
        let mut roots = RootCertStore::clone(&self.0);
        if let Some(path) = more {
            add(&mut roots, path)?;
        }
        let tls = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(OutboundError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .no_proxy()
            // Retries are ours to count.
            .retry(reqwest::retry::never())
            .http1_only()
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(OutboundError::Client)
    }
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), OutboundError> {
    let unreadable = |cause| OutboundError::Roots { path: path.to_owned(), cause };
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots
            .add(certificate.map_err(unreadable)?)
            .map_err(|cause| OutboundError::Root { path: path.to_owned(), cause })?;
    }
    Ok(())
}

/// Sends a request to a cloud's host where `endpoints` says. It still names the host that it is meant for.
pub(crate) fn redirect(request: &mut Request, endpoints: &Endpoints) {
    let Some(host) = request.url().host_str().map(str::to_owned) else { return };
    let Some(elsewhere) = endpoints.of(&host) else { return };
    let mut url = elsewhere.clone();
    url.set_path(request.url().path());
    url.set_query(request.url().query());
    *request.url_mut() = url;
    if let Ok(host) = HeaderValue::from_str(&host) {
        request.headers_mut().insert(HOST, host);
    }
}

/// An answer that cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// It did not come, or not whole.
    #[error(transparent)]
    Lost(reqwest::Error),
    /// It is longer than anything that it should be.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl From<reqwest::Error> for AnswerError {
    /// Without the URL, which the reader knows.
    fn from(error: reqwest::Error) -> Self {
        Self::Lost(error.without_url())
    }
}

/// The body of an answer, within a limit.
pub(crate) async fn body(mut answer: Response, limit: usize) -> Result<Vec<u8>, AnswerError> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        if body.len() + piece.len() > limit {
            return Err(AnswerError::TooLong(limit));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// An error and its causes in one line, for a refusal: there nobody else will ask for the causes.
pub(crate) fn in_words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}
