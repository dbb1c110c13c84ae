//! The collector, spoken to by OTLP/HTTP with protobuf (opentelemetry-proto: docs/specification.md).
//!
//! No redirects, no proxy from the environment (that may be ourselves), no answer without a deadline and a limit.

use std::sync::Arc;
use std::time::Duration;

use access::Clock;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use prost::Message as _;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use rustls::ClientConfig;
use tokio::time::sleep;
use url::Url;

use crate::exporter::Settings;
use crate::message;
use crate::tally::{Loss, Signal, Tally};

/// For TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(3);
/// For the whole answer: what OpenTelemetry's SDKs take, too.
const WHOLE: Duration = Duration::from_secs(10);

/// How often a batch is sent in all. With the pauses between, half a minute; longer ones are the collector's own.
const TRIES: u32 = 6;
/// The pause after the first failure; each is twice the one before, and up to half of it is left out by chance.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest that a collector may ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// What is read of an answer: a sentence of an error.
const MAX_ANSWER: usize = 16 * 1024;
/// What of that sentence is logged.
const MAX_SENTENCE: usize = 200;

/// The collector cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// A header is none.
    #[error("`telemetry.otlp.headers` has a name or a value that no header may have")]
    Header,
    /// The client cannot be made.
    #[error("the HTTP client for the collector cannot be made")]
    Client(#[source] reqwest::Error),
}

/// One message for the collector.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) signal: Signal,
    /// How many spans or records it holds.
    pub(crate) count: u64,
    pub(crate) body: Bytes,
}

#[derive(Debug)]
pub(crate) struct Collector {
    client: Client,
    headers: HeaderMap,
    traces: Url,
    logs: Url,
    clock: Clock,
    tally: Arc<Tally>,
}

/// A message that did not arrive.
#[derive(Debug)]
enum Failure {
    /// It may arrive another time; so long is the collector's own pause.
    Passing(String, Option<Duration>),
    /// It never will.
    Final(String),
}

impl Collector {
    pub(crate) fn new(settings: &Settings, (clock, tally): (Clock, Arc<Tally>)) -> Result<Self, CollectorError> {
        Ok(Self {
            client: client(settings.tls.clone())?,
            headers: headers(settings)?,
            traces: below(&settings.endpoint, "traces"),
            logs: below(&settings.endpoint, "logs"),
            clock,
            tally,
        })
    }

    /// Sends it until it is taken, or lost; both are counted.
    pub(crate) async fn deliver(&self, parcel: Parcel) {
        let Parcel { signal, count, .. } = parcel;
        let (taken, loss) = match self.send(&parcel).await {
            Ok(message::PartialSuccess { rejected, error_message }) => {
                let rejected = u64::try_from(rejected).unwrap_or_default().min(count);
                if rejected > 0 || !error_message.is_empty() {
                    let says = sentence(&error_message);
                    tracing::warn!(?signal, rejected, says, "the collector did not take everything as it was");
                }
                (count - rejected, Loss::Refused)
            }
            Err((loss, why)) => {
                tracing::error!(?signal, lost = count, why, "the collector did not get what it was to be told");
                (0, loss)
            }
        };
        self.tally.exported(signal).add(taken);
        self.tally.lost(signal, loss).add(count - taken);
        self.tally.queued(signal).take_away(count);
    }

    async fn send(&self, parcel: &Parcel) -> Result<message::PartialSuccess, (Loss, String)> {
        let mut attempts = 1;
        loop {
            let (why, theirs) = match self.post(parcel).await {
                Ok(taken) => return Ok(taken),
                Err(Failure::Final(why)) => return Err((Loss::Refused, why)),
                Err(Failure::Passing(why, _)) if attempts == TRIES => return Err((Loss::Unreachable, why)),
                Err(Failure::Passing(why, theirs)) => (why, theirs),
            };
            let pause = theirs.map_or_else(|| ours(attempts), |theirs| theirs.min(LONGEST_PAUSE));
            tracing::debug!(why, ?pause, "the collector is asked again");
            sleep(pause).await;
            attempts += 1;
        }
    }

    async fn post(&self, parcel: &Parcel) -> Result<message::PartialSuccess, Failure> {
        let url = match parcel.signal {
            Signal::Spans => &self.traces,
            Signal::Records => &self.logs,
        };
        let request = self.client.post(url.clone()).headers(self.headers.clone()).body(parcel.body.clone());
        // The URL is the reader's own.
        let answer = request.send().await.map_err(|error| Failure::Passing(in_words(&error.without_url()), None))?;
        let status = answer.status();
        let why = || format!("it answered {status}");
        match status {
            status if status.is_success() => Ok(partial_success(answer).await),
            // These, and no others (OTLP/HTTP, "Retryable Response Codes").
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                Err(Failure::Passing(why(), retry_after(answer.headers(), self.clock.now())))
            }
            _ => Err(Failure::Final(why())),
        }
    }
}

fn client(tls: ClientConfig) -> Result<Client, CollectorError> {
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
        .map_err(CollectorError::Client)
}

fn headers(settings: &Settings) -> Result<HeaderMap, CollectorError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let name = HeaderName::try_from(name).map_err(|_| CollectorError::Header)?;
        let mut value = HeaderValue::try_from(value.expose()).map_err(|_| CollectorError::Header)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    Ok(headers)
}

/// `https://otel.acme.dev:4318/some/path` → `…/some/path/v1/traces`.
fn below(endpoint: &Url, signal: &str) -> Url {
    let mut url = endpoint.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(["v1", signal]);
    }
    url
}

/// An answer that cannot be read is a yes all the same: the status says so.
async fn partial_success(mut answer: Response) -> message::PartialSuccess {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        if body.len() + piece.len() > MAX_ANSWER {
            return message::PartialSuccess::default();
        }
        body.extend_from_slice(&piece);
    }
    message::Response::decode(&*body).ok().and_then(|response| response.partial_success).unwrap_or_default()
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

/// Our own pause after so many attempts. Sidecars that failed together do not come back together.
fn ours(attempts: u32) -> Duration {
    let whole = PAUSE * 2u32.saturating_pow(attempts.saturating_sub(1));
    let mut chance = [0];
    // Without chance the pause is a whole one.
    SystemRandom::new().fill(&mut chance).unwrap_or_default();
    whole.min(LONGEST_PAUSE) - whole.min(LONGEST_PAUSE) / 2 * u32::from(chance[0]) / u32::from(u8::MAX)
}

/// What a stranger says, fit for a log.
fn sentence(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(MAX_SENTENCE).collect()
}

/// An error and its causes in one line.
fn in_words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_their_paths_below_the_endpoint() {
        for (endpoint, traces) in [
            ("https://otel.acme.dev:4318", "https://otel.acme.dev:4318/v1/traces"),
            ("https://otel.acme.dev/", "https://otel.acme.dev/v1/traces"),
            ("https://acme.dev/otlp", "https://acme.dev/otlp/v1/traces"),
            ("https://acme.dev/otlp/", "https://acme.dev/otlp/v1/traces"),
        ] {
            assert_eq!(below(&endpoint.parse().unwrap(), "traces").as_str(), traces);
        }
    }

    #[test]
    fn pause_of_the_collector_is_seconds_or_a_date() {
        let now = "1994-11-06T08:49:00Z".parse().unwrap();
        let after = |text: &'static str| {
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]), now)
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(37)));
        assert_eq!(after("Sun, 06 Nov 1994 08:48:37 GMT"), Some(Duration::ZERO), "it is over");
        for other in ["", "-1", "soon", "1.5", "99999999999999999999"] {
            assert_eq!(after(other), None, "{other}");
        }
    }

    #[test]
    fn pauses_grow_and_differ_and_have_an_end() {
        for attempts in 1..40 {
            let longest = PAUSE * 2u32.saturating_pow(attempts - 1);
            let longest = longest.min(LONGEST_PAUSE);
            let pause = ours(attempts);
            assert!(pause <= longest && pause >= longest / 2, "{attempts}: {pause:?}");
        }
        assert!((0..50).any(|_| ours(5) != ours(5)));
    }

    #[test]
    fn what_a_collector_says_breaks_no_log() {
        assert_eq!(sentence("one\ntwo\u{1b}[31m"), "onetwo[31m");
        assert_eq!(sentence(&"ä".repeat(1000)).chars().count(), MAX_SENTENCE);
    }
}
