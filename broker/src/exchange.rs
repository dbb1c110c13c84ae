//! Our token for a cloud's credential: `AssumeRoleWithWebIdentity` at the region's own STS.

mod advice;
mod narrowing;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use access::{AwsCredential, Clock, Permit, Refusal, RefusalCode, Secret};
use cloud::aws::exchange::{self as sts, ExchangeError};
use cloud::aws::policy::PolicyError;
use cloud::aws::skew;
use cloud::aws::sts_answer::AnswerError as StsAnswerError;
use config::{Endpoints, Settings};
use jiff::SignedDuration;
use reqwest::{Client, Request};

use crate::outbound::{self, AnswerError, OutboundError, Roots, in_words};
use crate::tokens::issuer_name;

pub use narrowing::{Narrowed, narrowed};

/// What STS gives at the least and at the most (STS API reference, `DurationSeconds`). A permit may end sooner; then
/// the lease does, and the credential is forgotten with it.
const SHORTEST: SignedDuration = SignedDuration::from_mins(15);
const LONGEST: SignedDuration = SignedDuration::from_hours(12);
/// An answer has some kilobytes; session tokens have no stated bound.
const MAX_ANSWER: usize = 256 * 1024;
/// How often it is tried, if the error may pass by itself. The SDK behind the caller tries again too.
const ATTEMPTS: u32 = 3;
/// The longest wait before the second attempt; it doubles after that. The real wait is a random part of it, so that
/// callers which failed together do not come back together.
const BACKOFF: Duration = Duration::from_millis(200);
/// For all attempts together: the caller's own client waits, and most give up after a minute.
const DEADLINE: Duration = Duration::from_secs(20);

/// What asks token services.
#[derive(Debug)]
pub(crate) struct Exchange {
    client: Client,
    endpoints: Endpoints,
    issuer: String,
    audience: String,
    clock: Clock,
    /// Seconds that the clock of STS is ahead of ours.
    ahead: AtomicI64,
}

/// No credential.
#[derive(Debug, thiserror::Error)]
enum ExchangeFailed {
    /// The grant cannot be said as a session policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// STS would refuse the request, or the answer would be no use.
    #[error(transparent)]
    Request(#[from] ExchangeError),
    /// The request has no form that can be sent.
    #[error("the request to STS cannot be built")]
    Build(#[source] reqwest::Error),
    /// STS cannot be reached, or its answer does not arrive.
    #[error("STS does not answer")]
    Lost(#[source] AnswerError),
    /// All attempts together took too long.
    #[error("STS did not answer within {} s", DEADLINE.as_secs())]
    TimedOut,
    /// STS said no, or something that is no answer.
    #[error(transparent)]
    Answer(#[from] StsAnswerError),
}

impl Exchange {
    /// Gets ready to ask; STS may be elsewhere (`endpoints`), and other roots may count (`proxy.upstream.ca_file`).
    pub(crate) fn new(settings: &Settings, roots: &Roots, clock: Clock) -> Result<Self, OutboundError> {
        Ok(Self {
            client: roots.client(settings.proxy.upstream_roots.as_deref())?,
            endpoints: settings.endpoints.clone(),
            issuer: issuer_name(&settings.broker.issuer),
            audience: settings.broker.aws_audience.clone(),
            clock,
            ahead: AtomicI64::new(0),
        })
    }

    /// How far the clock of STS is ahead of ours, as its last answer had it; zero where that does no harm. STS reads
    /// tokens by its own clock.
    pub(crate) fn ahead(&self) -> SignedDuration {
        SignedDuration::from_secs(self.ahead.load(Ordering::Relaxed))
    }

    /// Exchanges a token for a credential of the permit's role, no wider than its grant and target.
    pub(crate) async fn credential(
        &self,
        permit: &Permit,
        session: &str,
        token: &Secret<String>,
    ) -> Result<AwsCredential, Refusal> {
        let asked = tokio::time::timeout(DEADLINE, self.ask(permit, session, token)).await;
        asked.unwrap_or(Err(ExchangeFailed::TimedOut)).map_err(|failed| self.refusal(permit, &failed))
    }

    async fn ask(
        &self,
        permit: &Permit,
        session: &str,
        token: &Secret<String>,
    ) -> Result<AwsCredential, ExchangeFailed> {
        let request = self.request(permit, session, token)?;
        let mut attempt = 1;
        loop {
            match self.send(&request).await {
                Err(failed) if attempt < ATTEMPTS && failed.may_pass() => {
                    tracing::debug!(attempt, why = in_words(&failed), "the exchange is tried again");
                    tokio::time::sleep(random_part(BACKOFF * 2_u32.pow(attempt - 1))).await;
                    attempt += 1;
                }
                answered => return answered,
            }
        }
    }

    fn request(&self, permit: &Permit, session: &str, token: &Secret<String>) -> Result<Request, ExchangeFailed> {
        let (target, grant) = (permit.target(), permit.grant());
        let denials: Vec<_> = permit.denials().collect();
        let policy = narrowing::policy(target, grant, &denials)?;
        let request = sts::Exchange {
            region: &target.region,
            role_arn: &target.role,
            session_name: session,
            token,
            duration: permit.session().clamp(SHORTEST, LONGEST),
            policy: policy.as_ref(),
            policy_arns: &grant.policies,
        }
        .request()?;
        let mut request = Request::try_from(request).map_err(ExchangeFailed::Build)?;
        outbound::redirect(&mut request, &self.endpoints);
        Ok(request)
    }

    async fn send(&self, request: &Request) -> Result<AwsCredential, ExchangeFailed> {
        let request = request.try_clone().expect("a body of bytes can be sent again");
        let lost = |error: reqwest::Error| ExchangeFailed::Lost(error.into());
        let answer = self.client.execute(request).await.map_err(lost)?;
        let status = answer.status();
        if let Some(ahead) = skew::learn(self.ahead(), answer.headers(), self.clock.now()) {
            self.ahead.store(ahead.as_secs(), Ordering::Relaxed);
        }
        let body = Secret::new(outbound::body(answer, MAX_ANSWER).await.map_err(ExchangeFailed::Lost)?);
        let mut credential = sts::answer(status, body.expose())?.credential;
        credential.expires = credential.expires.saturating_sub(self.ahead()).unwrap_or(credential.expires);
        Ok(credential)
    }

    fn refusal(&self, permit: &Permit, failed: &ExchangeFailed) -> Refusal {
        let code = if failed.may_pass() { RefusalCode::ExchangeUnavailable } else { RefusalCode::ExchangeRefused };
        let role = &permit.target().role;
        let refusal = Refusal::new(code, format!("no credential for {role}: {}", in_words(failed)));
        match failed {
            ExchangeFailed::Answer(StsAnswerError::Refused(error)) => {
                match advice::on(error, permit, (&self.issuer, &self.audience)) {
                    Some(help) => refusal.help(help),
                    None => refusal,
                }
            }
            ExchangeFailed::Lost(_) | ExchangeFailed::TimedOut => {
                refusal.help(format!("can this machine reach the STS of {}?", permit.target().region))
            }
            ExchangeFailed::Policy(_)
            | ExchangeFailed::Request(_)
            | ExchangeFailed::Build(_)
            | ExchangeFailed::Answer(StsAnswerError::Unreadable(_) | StsAnswerError::Incomplete(_)) => refusal,
        }
    }
}

impl ExchangeFailed {
    /// Whether the same exchange may succeed soon with nobody acting. Asking twice does no harm: it lends twice.
    fn may_pass(&self) -> bool {
        match self {
            Self::Policy(_) | Self::Request(_) | Self::Build(_) => false,
            Self::Lost(AnswerError::TooLong(_)) => false,
            Self::Lost(AnswerError::Lost(_)) | Self::TimedOut => true,
            Self::Answer(error) => error.is_retryable(),
        }
    }
}

/// Between half of `longest` and all of it.
fn random_part(longest: Duration) -> Duration {
    let mut byte = [0];
    aws_lc_rs::rand::fill(&mut byte).expect("the system's random generator does not fail once it has started");
    longest.mul_f64(0.5 + f64::from(byte[0]) / 512.0)
}
