//! Asking an issuer for its keys (OpenID Connect Discovery 1.0 §4).

use std::path::{Path, PathBuf};

use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use url::Host;

use super::keyset::{KeySet, KeySetError, Usage};
use super::shown;
use crate::outbound::{self, AnswerError};

/// Longest discovery document; they have one or two kilobytes.
const MAX_DOCUMENT: usize = 64 * 1024;
/// Longest JWKS: a hundred RSA keys with certificate chains.
const MAX_JWKS: usize = 512 * 1024;

/// The keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiscoveryError {
    /// Keys that come over plain HTTP may be anybody's.
    #[error("{0} is neither https nor loopback")]
    Insecure(String),
    /// It does not answer, or not in time, or not whole.
    #[error("{url} does not answer")]
    Answer {
        /// What was asked.
        url: String,
        /// Why.
        #[source]
        cause: AnswerError,
    },
    /// It answers something else than 200.
    #[error("{url} answers {status}")]
    Status {
        /// What was asked.
        url: String,
        /// Its answer.
        status: StatusCode,
    },
    /// The document is not one.
    #[error("{url} is not a discovery document")]
    Document {
        /// What was asked.
        url: String,
        /// Why.
        #[source]
        cause: serde_json::Error,
    },
    /// The document is of another issuer.
    #[error("{url} is the document of another issuer: {found}")]
    OtherIssuer {
        /// What was asked.
        url: String,
        /// Whose it is.
        found: String,
    },
    /// The file cannot be read.
    #[error("{path} cannot be read")]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The JWKS is not one.
    #[error("{url} cannot be used")]
    Jwks {
        /// What was asked.
        url: String,
        /// Why.
        #[source]
        cause: KeySetError,
    },
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

/// Fetches the discovery document and the keys that it names.
pub(super) async fn keys(client: &Client, issuer: &str) -> Result<KeySet, DiscoveryError> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let body = get(client, &url, MAX_DOCUMENT).await?;
    let document: Document =
        serde_json::from_slice(&body).map_err(|cause| DiscoveryError::Document { url: url.clone(), cause })?;
    // OpenID Connect Discovery §4.3: identical, or somebody else's keys would be taken for this issuer's.
    if document.issuer != issuer {
        return Err(DiscoveryError::OtherIssuer { url, found: shown(&document.issuer) });
    }
    jwks(client, &document.jwks_uri, Usage::Signatures).await
}

/// Fetches keys from where they are known to be: a `jwks_uri`, or a bundle endpoint (SPIFFE Federation §5.1, `https_web`).
pub(super) async fn jwks(client: &Client, url: &str, usage: Usage) -> Result<KeySet, DiscoveryError> {
    let jwks = get(client, url, MAX_JWKS).await?;
    KeySet::parse(&jwks, usage).map_err(|cause| DiscoveryError::Jwks { url: url.to_owned(), cause })
}

/// Reads keys that somebody else keeps current in a file.
pub(super) async fn file(path: &Path, usage: Usage) -> Result<KeySet, DiscoveryError> {
    let unread = |cause| DiscoveryError::Unread { path: path.to_owned(), cause };
    let mut text = Vec::new();
    let file = tokio::fs::File::open(path).await.map_err(unread)?;
    file.take(MAX_JWKS as u64 + 1).read_to_end(&mut text).await.map_err(unread)?;
    let url = path.display().to_string();
    if text.len() > MAX_JWKS {
        return Err(DiscoveryError::Answer { url, cause: AnswerError::TooLong(MAX_JWKS) });
    }
    KeySet::parse(&text, usage).map_err(|cause| DiscoveryError::Jwks { url, cause })
}

async fn get(client: &Client, url: &str, limit: usize) -> Result<Vec<u8>, DiscoveryError> {
    let secure = Url::parse(url).ok().filter(|url| url.scheme() == "https" || is_loopback(url));
    let Some(secure) = secure else { return Err(DiscoveryError::Insecure(shown(url))) };
    let failed = |cause| DiscoveryError::Answer { url: url.to_owned(), cause };
    let answer = client.get(secure).send().await.map_err(|error| failed(error.into()))?;
    if answer.status() != StatusCode::OK {
        return Err(DiscoveryError::Status { url: url.to_owned(), status: answer.status() });
    }
    outbound::body(answer, limit).await.map_err(failed)
}

/// Plain HTTP that does not leave the machine.
fn is_loopback(url: &Url) -> bool {
    url.scheme() == "http"
        && url.host().is_some_and(|host| match host {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            Host::Domain(name) => name == "localhost",
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        let loopback = |url| is_loopback(&Url::parse(url).unwrap());
        assert!(loopback("http://127.0.0.1:8080/x") && loopback("http://[::1]/") && loopback("http://localhost:1/"));
        assert!(
            !loopback("http://localhost.example/") && !loopback("http://10.0.0.1/") && !loopback("ftp://127.0.0.1/")
        );
    }
}
