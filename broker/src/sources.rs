//! Who is asking: evidence in, a verified caller out.
//!
//! ```text
//! token → its issuer's doors → signature by keys, or the API server → claims → facts → sources that fit → caller
//! proof → its partition's door → STS → sources that fit → caller, once
//! ```
//!
//! Which source answers, the token's issuer says, never a try of all keys. One file for each kind: what its tokens are
//! like (`RULES`), and what they say (`facts`).

mod claims;
mod discovery;
mod jws;
mod keys;
mod keyset;
mod spent;
mod state;

mod aws_token;
mod azure;
mod fit;
mod gcp;
mod github;
mod gitlab;
mod kubernetes;
mod oidc;
mod spiffe;

mod aws_caller;
mod door;
mod token_review;

use std::collections::BTreeMap;
use std::sync::Arc;

use access::{Caller, Evidence, EvidenceKind, Refusal, RefusalCode, SourceName};
use config::{Endpoints, Source, SourceKind};
use jiff::Timestamp;

use crate::outbound::Roots;
use aws_caller::AwsDoor;
use door::Door;
use jws::Unverified;
use spent::Spent;

pub use spent::Once;
pub use state::{SourceState, State};

/// The sources cannot be used as they are configured.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// Two sources disagree about one issuer.
    #[error(
        "sources {first} and {second} have the same issuer, and another kind, other keys or other claims; give both the same"
    )]
    Conflict {
        /// One of them.
        first: SourceName,
        /// The other.
        second: SourceName,
    },
}

/// All sources, by whom they believe.
#[derive(Debug)]
pub struct Sources {
    issuers: Vec<Issuer>,
    aws: Vec<AwsDoor>,
    endpoints: Endpoints,
    spent: Arc<Spent>,
}

/// An issuer of tokens, and the ways in for them: by its keys, by an API server, or both.
#[derive(Debug)]
struct Issuer {
    name: String,
    doors: Vec<Door>,
}

/// A caller that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Who it is.
    pub caller: Caller,
    /// What counts once, if the evidence does. It is spent for this process; whoever honours the caller spends it where
    /// all processes see it.
    pub once: Option<Once>,
}

impl Sources {
    /// Takes the configured sources. Nothing is fetched before the first token comes; a source that cannot be made ready
    /// refuses with the reason, and is tried again.
    ///
    /// # Errors
    /// [`SourcesError`]: what no waiting mends.
    pub fn new(sources: &[Source], endpoints: &Endpoints, now: Timestamp) -> Result<Self, SourcesError> {
        Self::with(sources, (endpoints, &Roots::of_the_system()), None, now)
    }

    /// The same with roots that were read already, and with what counted `before`, which must not count again.
    pub(crate) fn with(
        sources: &[Source],
        (endpoints, roots): (&Endpoints, &Roots),
        before: Option<&Self>,
        now: Timestamp,
    ) -> Result<Self, SourcesError> {
        let spent = before.map_or_else(Arc::default, |before| before.spent.clone());
        let mut all = Self { issuers: Vec::new(), aws: Vec::new(), endpoints: endpoints.clone(), spent };
        for source in sources {
            match &source.kind {
                SourceKind::AwsCaller(aws) => match all.aws.iter_mut().find(|door| door.is_for(&aws.partition)) {
                    Some(door) => door.join(source)?,
                    None => all.aws.push(AwsDoor::new(source, aws, roots, now)),
                },
                SourceKind::Token(tokens) => {
                    for issuer in &tokens.issuers {
                        let new = Door::new(source, (issuer, tokens), roots, now);
                        match all.issuers.iter_mut().find(|known| known.name == *issuer) {
                            Some(known) => known.join(new)?,
                            None => all.issuers.push(Issuer { name: issuer.clone(), doors: vec![new] }),
                        }
                    }
                }
            }
        }
        Ok(all)
    }

    /// Where clouds are, for those who are asked.
    pub(crate) const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Verifies what a caller shows at `now`.
    pub async fn verify(&self, evidence: &Evidence, now: Timestamp) -> Result<Verified, Refusal> {
        match evidence.kind() {
            EvidenceKind::Token => {
                let token = jws::read(evidence.expose())?;
                let caller = self.issuer(&token)?.caller(&token, now).await?;
                Ok(Verified { caller, once: None })
            }
            EvidenceKind::AwsCaller => {
                aws_caller::verify(&self.aws, evidence.expose(), (&self.endpoints, &self.spent), now).await
            }
        }
    }

    /// How it stands with every source, in the order of their names.
    pub fn states(&self) -> Vec<SourceState> {
        let doors = self.issuers.iter().flat_map(|issuer| &issuer.doors);
        let of_tokens = doors.flat_map(|door| door.sources().iter().map(|source| (source, door.state())));
        let of_aws = self.aws.iter().flat_map(|door| door.sources().iter().map(|source| (source, door.state())));
        let mut states = BTreeMap::new();
        for (source, state) in of_tokens.chain(of_aws) {
            // A source with two issuers works as well as the worse of them.
            let told = states.entry(&source.name).or_insert_with(|| (source.kind.name(), state.clone()));
            if matches!(state, State::Failed { .. }) {
                told.1 = state;
            }
        }
        let state = |(name, (kind, state)): (&SourceName, _)| SourceState { name: name.clone(), kind, state };
        states.into_iter().map(state).collect()
    }

    /// Tries what does not work, or was never tried: so that it is known before somebody needs it.
    pub async fn look(&self, now: Timestamp) {
        for door in self.issuers.iter().flat_map(|issuer| &issuer.doors) {
            door.look(now).await;
        }
        for door in &self.aws {
            door.look(now);
        }
    }

    /// Whose token it is: by `iss`, or, since JWT-SVIDs need none, by the trust domain of a SPIFFE id.
    fn issuer(&self, token: &Unverified<'_>) -> Result<&Issuer, Refusal> {
        let named = |name: &str| self.issuers.iter().find(|issuer| issuer.name == name);
        let by_issuer = token.issuer().and_then(named);
        let found = by_issuer.or_else(|| token.subject().and_then(spiffe::trust_domain).and_then(named));
        found.ok_or_else(|| {
            let known: Vec<_> = self.issuers.iter().map(|issuer| &*issuer.name).collect();
            let name = token.issuer().or_else(|| token.subject()).unwrap_or_default();
            Refusal::new(RefusalCode::EvidenceInvalid, format!("no source has the token's issuer {}", shown(name)))
                .help(format!("`sources` has {}; the issuer must be the same, byte for byte", known.join(", ")))
        })
    }
}

impl Issuer {
    fn join(&mut self, new: Door) -> Result<(), SourcesError> {
        let mut left = Some(new);
        for door in &mut self.doors {
            let Some(new) = left else { break };
            left = door.take_in(new)?;
        }
        self.doors.extend(left);
        Ok(())
    }

    /// The caller, with what it is by every door that lets it in. If none does, the one that came furthest says why.
    async fn caller(&self, token: &Unverified<'_>, now: Timestamp) -> Result<Caller, Refusal> {
        let mut answers = Vec::with_capacity(self.doors.len());
        for door in &self.doors {
            answers.push(door.caller(token, now).await);
        }
        let both = answers.into_iter().reduce(|one, other| match (one, other) {
            (Ok(one), Ok(other)) => Ok(together(one, &other)),
            (Ok(caller), Err(_)) | (Err(_), Ok(caller)) => Ok(caller),
            (Err(one), Err(other)) => Err(if one.code == RefusalCode::SourceUnmatched { other } else { one }),
        });
        both.expect("an issuer has at least the door that it was made with")
    }
}

/// One caller that came in by two doors of an issuer.
fn together(one: Caller, other: &Caller) -> Caller {
    Caller {
        sources: fit::union(one.sources.iter().chain(&other.sources)),
        groups: fit::union(one.groups.iter().chain(&other.groups)),
        roles: fit::union(one.roles.iter().chain(&other.roles)),
        ..one
    }
}

/// Attributes that are told.
fn told<const N: usize>(all: [(&str, Option<String>); N]) -> BTreeMap<String, String> {
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// A text out of an unverified token, to be shown: escaped, and cut.
fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    let cut: String = text.chars().take(LONGEST).collect();
    format!("{cut:?}")
}
