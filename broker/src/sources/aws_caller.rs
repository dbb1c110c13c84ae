//! Callers that show a `GetCallerIdentity` which they have signed: STS is asked with it, and says who they are.

use std::time::Duration;

use access::{Assurance, Caller, Refusal, RefusalCode};
use cloud::aws::caller::{BadProof, CallerIdentity, NoIdentity, Principal, Proof, answer};
use config::{AwsCaller, Endpoints, Source, SourceKind};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, Request};
use tokio::sync::Semaphore;

use super::fit::{self, Mismatch};
use super::spent::{NotSpent, Once, Spent};
use super::state::{Made, State};
use super::{SourcesError, Verified};
use crate::outbound::{self, AnswerError, Roots, in_words};

/// STS takes a signature for so long, and not from further in the future (SigV4; aws-iam-authenticator has the same).
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(15);
/// Most proofs that STS is asked about at once; others wait their turn. Whoever makes some up costs a question each.
const AT_ONCE: usize = 32;
/// For a turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// An answer has half a kilobyte.
const MAX_ANSWER: usize = 16 * 1024;

/// The way in for principals of one partition.
#[derive(Debug)]
pub(super) struct AwsDoor {
    aws: AwsCaller,
    sources: Vec<Source>,
    roots: Roots,
    client: Made<Client>,
    asking: Semaphore,
}

impl AwsDoor {
    pub(super) fn new(source: &Source, aws: &AwsCaller, roots: &Roots, now: Timestamp) -> Self {
        Self {
            aws: aws.clone(),
            sources: vec![source.clone()],
            roots: roots.clone(),
            client: Made::new(client(roots, aws), now),
            asking: Semaphore::new(AT_ONCE),
        }
    }

    pub(super) fn is_for(&self, partition: &str) -> bool {
        self.aws.partition == partition
    }

    /// Takes another source in. A presigned URL does not say for whom it is, so all must be bound to the same server.
    pub(super) fn join(&mut self, source: &Source) -> Result<(), SourcesError> {
        let first = &self.sources[0];
        if source.kind != SourceKind::AwsCaller(self.aws.clone()) {
            return Err(SourcesError::Conflict { first: first.name.clone(), second: source.name.clone() });
        }
        self.sources.push(source.clone());
        Ok(())
    }

    pub(super) fn sources(&self) -> &[Source] {
        &self.sources
    }

    pub(super) fn state(&self) -> State {
        self.client.state(|_| State::Ready)
    }

    /// Tries what does not work.
    pub(super) fn look(&self, now: Timestamp) {
        if let Err(why) = self.client.get(|| client(&self.roots, &self.aws), now) {
            tracing::debug!(why, "a source for AWS callers cannot be used yet");
        }
    }

    /// Whom STS knows behind a proof.
    async fn identity(&self, proof: &Proof, endpoints: &Endpoints, now: Timestamp) -> Result<CallerIdentity, Refusal> {
        let unavailable = |why: String| {
            Refusal::new(RefusalCode::BrokerUnavailable, format!("the proof cannot be shown to STS: {why}"))
        };
        let request = proof.request(&self.aws.server_id).map_err(|bad| self.refused(bad))?;
        let client = self.client.get(|| client(&self.roots, &self.aws), now).map_err(unavailable)?;
        let turn = tokio::time::timeout(PATIENCE, self.asking.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(unavailable(format!("{AT_ONCE} are being shown, and others wait")));
        };
        let mut request = Request::try_from(request).map_err(|error| unavailable(error.without_url().to_string()))?;
        outbound::redirect(&mut request, endpoints);
        let lost = |error: &AnswerError| unavailable(in_words(error));
        let response = client.execute(request).await.map_err(|error| lost(&error.into()))?;
        let status = response.status();
        let body = outbound::body(response, MAX_ANSWER).await.map_err(|error| lost(&error))?;
        answer(status, &body).map_err(|error| match error {
            NoIdentity::Refused(_) => {
                Refusal::new(RefusalCode::EvidenceInvalid, format!("the proof is not good: {error}")).help(format!(
                    "was it signed with credentials that are still good, and with `{}: {}`?",
                    cloud::aws::caller::SERVER_ID,
                    self.aws.server_id
                ))
            }
            NoIdentity::Unavailable(_) | NoIdentity::Unreadable(_) => unavailable(error.to_string()),
        })
    }

    /// The caller, if it fits any source.
    fn caller(&self, identity: CallerIdentity, (issuer, until): (String, Timestamp)) -> Result<Caller, Refusal> {
        let principal = Principal::parse(&identity.arn);
        let role = principal.as_ref().and_then(Principal::role);
        let subject = role.clone().unwrap_or_else(|| identity.arn.clone());
        let attributes = super::told([
            ("account", Some(identity.account)),
            ("session", principal.as_ref().and_then(Principal::session).map(str::to_owned)),
            ("role", role),
            ("user_id", Some(identity.user_id)),
            ("arn", Some(identity.arn.clone())),
        ]);
        let fits = |source: &&Source| fit::fulfils(source, &attributes).is_ok();
        let matched: Vec<_> = self.sources.iter().filter(fits).collect();
        if matched.is_empty() {
            let source = &self.sources[0];
            let refusal = match fit::fulfils(source, &attributes) {
                Err(Mismatch::Attribute { name, value }) => fit::unmatched(source, &name, value),
                Ok(()) | Err(Mismatch::Audience(_) | Mismatch::Lifetime(_)) => {
                    Refusal::new(RefusalCode::SourceUnmatched, "no source is for this caller")
                }
            };
            return Err(refusal.about(subject));
        }
        let said = Caller {
            subject,
            issuer,
            sources: Vec::new(),
            groups: Vec::new(),
            roles: Vec::new(),
            attributes,
            assurance: Assurance::default(),
            principal: None,
            actor: None,
            until,
        };
        Ok(fit::conferred(said, &matched))
    }

    fn refused(&self, bad: BadProof) -> Refusal {
        Refusal::new(RefusalCode::EvidenceInvalid, format!("the proof {bad}")).help(format!(
            "sign `{}: {}` along with it",
            cloud::aws::caller::SERVER_ID,
            self.aws.server_id
        ))
    }
}

/// Verifies a proof with the door of its partition. It counts once.
pub(super) async fn verify(
    doors: &[AwsDoor],
    text: &str,
    (endpoints, spent): (&Endpoints, &Spent),
    now: Timestamp,
) -> Result<Verified, Refusal> {
    let proof = Proof::read(text).map_err(unreadable)?;
    let partition = proof.partition();
    let door = doors.iter().find(|door| door.is_for(partition.id)).ok_or_else(|| {
        let message = format!("no source takes callers of AWS partition {}", partition.id);
        Refusal::new(RefusalCode::EvidenceInvalid, message).help("add a source of kind aws/caller-identity")
    })?;
    let until = end(proof.signed_at(), now)?;
    let once = Once { digest: proof.id(), until };
    if spent.has(&once.digest) {
        return Err(replayed());
    }
    let identity = door.identity(&proof, endpoints, now).await?;
    let caller = door.caller(identity, (format!("https://sts.{}", partition.dns_suffix), until))?;
    match spent.spend(once, now) {
        Ok(()) => Ok(Verified { caller, once: Some(once) }),
        Err(NotSpent::Before) => Err(replayed()),
        Err(NotSpent::Full) => {
            Err(Refusal::new(RefusalCode::BrokerUnavailable, "there is no room to remember one more proof"))
        }
    }
}

fn client(roots: &Roots, aws: &AwsCaller) -> Result<Client, String> {
    roots.client(aws.ca.as_deref()).map_err(|error| in_words(&error))
}

/// When a proof ends, unless it has, or has not begun.
fn end(signed_at: Timestamp, now: Timestamp) -> Result<Timestamp, Refusal> {
    let expired = |message: &str| {
        Refusal::new(RefusalCode::EvidenceExpired, message)
            .help("sign a new one when it is needed; do the clocks of both machines agree?")
    };
    let until = signed_at.checked_add(GOOD_FOR).map_err(|_| expired("the proof has a time that no calendar knows"))?;
    let age = now.duration_since(signed_at);
    if age >= GOOD_FOR {
        return Err(expired("the proof was signed more than 15 minutes ago"));
    }
    if -age > GOOD_FOR {
        return Err(expired("the proof was signed more than 15 minutes in the future"));
    }
    Ok(until)
}

fn unreadable(bad: BadProof) -> Refusal {
    let code = match bad {
        BadProof::Form | BadProof::TooLong => RefusalCode::EvidenceMissing,
        _ => RefusalCode::EvidenceInvalid,
    };
    Refusal::new(code, format!("the proof {bad}"))
        .help("show a signed GetCallerIdentity: see docs/reference/sources.md")
}

fn replayed() -> Refusal {
    Refusal::new(RefusalCode::EvidenceInvalid, "the proof has been used already").help("sign a new one for every use")
}
