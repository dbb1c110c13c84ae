//! Who is asking: evidence in, a verified caller out.

mod discovery;
mod jws;
mod keys;
mod keyset;
mod kubernetes;

use access::{Caller, Evidence, Refusal, RefusalCode, SourceName};
use config::{Keys, Source};
use jiff::Timestamp;

use crate::outbound::{OutboundError, Roots};
use keys::{IssuerKeys, KeyError};
use keyset::KeySet;
pub use keyset::KeySetError;

/// The sources cannot be used as they are configured.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// Two sources disagree about one issuer.
    #[error("sources {first} and {second} have the same issuer and different keys; give both the same")]
    Conflict {
        /// One of them.
        first: SourceName,
        /// The other.
        second: SourceName,
    },
    /// A pinned JWKS is not one.
    #[error("the pinned keys of source {source_name} cannot be used")]
    Pinned {
        /// The source.
        source_name: SourceName,
        /// Why.
        #[source]
        cause: KeySetError,
    },
    /// The issuer cannot be asked.
    #[error("the issuer of source {source_name} cannot be asked")]
    Client {
        /// The source.
        source_name: SourceName,
        /// Why.
        #[source]
        cause: OutboundError,
    },
}

/// All sources, by issuer.
#[derive(Debug)]
pub(crate) struct Sources(Vec<Issuer>);

/// An issuer, and the sources that take its tokens.
#[derive(Debug)]
struct Issuer {
    keys: IssuerKeys,
    sources: Vec<Source>,
}

impl Sources {
    /// Takes the configured sources. Nothing is fetched before the first token comes.
    pub(crate) fn new(sources: &[Source], roots: &Roots) -> Result<Self, SourcesError> {
        let mut issuers: Vec<Issuer> = Vec::new();
        for source in sources {
            match issuers.iter_mut().find(|issuer| issuer.keys.issuer() == source.issuer) {
                Some(issuer) => issuer.join(source)?,
                None => issuers.push(Issuer::new(source, roots)?),
            }
        }
        Ok(Self(issuers))
    }

    /// Verifies what a caller shows at `now`.
    pub(crate) async fn verify(&self, evidence: &Evidence, now: Timestamp) -> Result<Caller, Refusal> {
        let token = jws::read(evidence.expose())?;
        let issuer = self.issuer(token.issuer())?;
        let key = issuer.keys.key(token.kid(), now).await.map_err(|error| no_key(&error))?;
        let claims = token.verify(&key)?;
        kubernetes::caller(claims, &issuer.sources, now)
    }

    fn issuer(&self, name: &str) -> Result<&Issuer, Refusal> {
        self.0.iter().find(|issuer| issuer.keys.issuer() == name).ok_or_else(|| {
            let known: Vec<_> = self.0.iter().map(|issuer| issuer.keys.issuer()).collect();
            Refusal::new(RefusalCode::EvidenceInvalid, format!("no source has the token's issuer {}", shown(name)))
                .help(format!("`sources` has {}; the issuer must be the same, byte for byte", known.join(", ")))
        })
    }
}

impl Issuer {
    fn new(source: &Source, roots: &Roots) -> Result<Self, SourcesError> {
        let name = || source.name.clone();
        let keys = match &source.keys {
            Keys::Pinned { jwks } => {
                let keys = KeySet::parse(jwks.as_bytes());
                let keys = keys.map_err(|cause| SourcesError::Pinned { source_name: name(), cause })?;
                IssuerKeys::pinned(&source.issuer, keys)
            }
            Keys::Discovery { ca } => {
                let client = roots.client(ca.as_deref());
                let client = client.map_err(|cause| SourcesError::Client { source_name: name(), cause })?;
                IssuerKeys::discovered(&source.issuer, client)
            }
        };
        Ok(Self { keys, sources: vec![source.clone()] })
    }

    fn join(&mut self, source: &Source) -> Result<(), SourcesError> {
        let first = &self.sources[0];
        let same = match (&first.keys, &source.keys) {
            (Keys::Pinned { jwks: a }, Keys::Pinned { jwks: b }) => a == b,
            (Keys::Discovery { ca: a }, Keys::Discovery { ca: b }) => a == b,
            (Keys::Pinned { .. }, Keys::Discovery { .. }) | (Keys::Discovery { .. }, Keys::Pinned { .. }) => false,
        };
        if !same {
            return Err(SourcesError::Conflict { first: first.name.clone(), second: source.name.clone() });
        }
        self.sources.push(source.clone());
        Ok(())
    }
}

fn no_key(error: &KeyError) -> Refusal {
    match error {
        KeyError::Unknown { .. } => Refusal::new(RefusalCode::EvidenceInvalid, error.to_string())
            .help("is the token from this cluster, and are pinned keys up to date?"),
        KeyError::Unavailable { .. } => Refusal::new(RefusalCode::BrokerUnavailable, error.to_string()).help(
            "can this machine reach the issuer? If it does not answer without a credential (401, 403), let it \
             (Kubernetes: bind `system:service-account-issuer-discovery` to `system:unauthenticated`), or pin `jwks`",
        ),
    }
}

/// A text out of an unverified token, to be shown: escaped, and cut.
fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    let cut: String = text.chars().take(LONGEST).collect();
    format!("{cut:?}")
}
