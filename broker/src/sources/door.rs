//! A way in for the tokens of one issuer: what judges them, and the sources that they may fit.

use access::{Caller, Refusal, RefusalCode};
use config::{Keys, Source, SourceKind, TokenKind, TokenSource};
use jiff::Timestamp;

use super::SourcesError;
use super::fit;
use super::jws::Unverified;
use super::keys::{IssuerKeys, KeyError, Origin};
use super::keyset::KeySet;
use super::state::{Made, State};
use super::token_review::Reviewer;
use crate::outbound::{Roots, in_words};

/// A way in.
#[derive(Debug)]
pub(super) struct Door {
    issuer: String,
    kind: TokenKind,
    keys: Keys,
    sources: Vec<Source>,
    roots: Roots,
    judge: Made<Judge>,
}

/// What says whether a token is the issuer's.
#[derive(Debug)]
enum Judge {
    /// Its keys.
    Keys(IssuerKeys),
    /// The cluster's API server.
    ApiServer(Reviewer),
}

impl Door {
    pub(super) fn new(source: &Source, (issuer, tokens): (&str, &TokenSource), roots: &Roots, now: Timestamp) -> Self {
        Self {
            issuer: issuer.to_owned(),
            kind: tokens.kind.clone(),
            keys: tokens.keys.clone(),
            sources: vec![source.clone()],
            roots: roots.clone(),
            judge: Made::new(judge(issuer, (&tokens.kind, &tokens.keys), roots), now),
        }
    }

    /// Takes another door's sources in, if it is the same way; gives it back if both may stand beside one another.
    pub(super) fn take_in(&mut self, new: Self) -> Result<Option<Self>, SourcesError> {
        if self.kind == new.kind && self.keys == new.keys {
            self.sources.extend(new.sources);
            return Ok(None);
        }
        // Some pods by keys, others only if the API server still knows them: a cluster may have both.
        let is_review = |door: &Self| matches!(door.keys, Keys::Review(_));
        if self.kind == new.kind && is_review(self) != is_review(&new) {
            return Ok(Some(new));
        }
        let name = |door: &Self| door.sources.first().map(|source| source.name.clone());
        match (name(self), name(&new)) {
            (Some(first), Some(second)) => Err(SourcesError::Conflict { first, second }),
            _ => Ok(Some(new)),
        }
    }

    pub(super) fn sources(&self) -> &[Source] {
        &self.sources
    }

    pub(super) fn state(&self) -> State {
        self.judge.state(|judge| match judge {
            Judge::Keys(keys) => keys.state(),
            Judge::ApiServer(reviewer) => reviewer.state(),
        })
    }

    /// Tries what does not work, or was never tried.
    pub(super) async fn look(&self, now: Timestamp) {
        let judge = self.judge.get(|| judge(&self.issuer, (&self.kind, &self.keys), &self.roots), now);
        match judge.as_deref() {
            Ok(Judge::Keys(keys)) => keys.look(now).await,
            // It is asked with a token or not at all.
            Ok(Judge::ApiServer(_)) | Err(_) => {}
        }
    }

    /// The caller that a token makes here.
    pub(super) async fn caller(&self, token: &Unverified<'_>, now: Timestamp) -> Result<Caller, Refusal> {
        let rules = fit::rules(&self.kind);
        token.conforms(rules)?;
        let judge = self.judge.get(|| judge(&self.issuer, (&self.kind, &self.keys), &self.roots), now);
        let judge = judge.map_err(|why| self.failed(&why))?;
        let who = (&*self.issuer, &self.kind);
        match &*judge {
            Judge::Keys(keys) => {
                let keys = keys.find(token.kid(), now).await.map_err(|error| no_key(&error))?;
                fit::caller(&token.verify(&keys, rules)?, who, &self.sources, now)
            }
            Judge::ApiServer(reviewer) => {
                // Judged first as if it were true, so that the API server is asked about nothing that is of no use; a
                // refusal names nobody then.
                let claims = token.unverified_claims(rules)?;
                let caller = fit::caller(&claims, who, &self.sources, now);
                let caller = caller.map_err(|refusal| Refusal { subject: None, ..refusal })?;
                reviewer.confirm(token.text(), (&caller, &self.audiences(&caller)), now).await?;
                Ok(caller)
            }
        }
    }

    /// The audiences that the caller's sources take.
    fn audiences(&self, caller: &Caller) -> Vec<String> {
        let of = |source: &Source| match &source.kind {
            SourceKind::Token(tokens) => Some(tokens.audience.clone()),
            SourceKind::AwsCaller(_) => None,
        };
        let fitting = self.sources.iter().filter(|source| caller.sources.contains(&source.name));
        let audiences: Vec<String> = fitting.filter_map(of).collect();
        fit::union(audiences.iter())
    }

    fn failed(&self, why: &str) -> Refusal {
        let names: Vec<_> = self.sources.iter().map(|source| source.name.as_str()).collect();
        let message = format!("source {} cannot be used: {why}", names.join(", "));
        Refusal::new(RefusalCode::BrokerUnavailable, message)
            .help("it is tried again every ten seconds while somebody asks; nothing needs to be restarted")
    }
}

fn judge(issuer: &str, (kind, keys): (&TokenKind, &Keys), roots: &Roots) -> Result<Judge, String> {
    let client = |ca: Option<&std::path::Path>| roots.client(ca).map_err(|error| in_words(&error));
    let origin = match keys {
        Keys::Pinned { jwks } => {
            let keys = KeySet::parse(jwks.as_bytes(), fit::rules(kind).keys);
            Origin::Pinned(keys.map_err(|error| format!("the pinned JWKS cannot be used: {}", in_words(&error)))?)
        }
        Keys::Discovery { ca } => Origin::Discovered(client(ca.as_deref())?),
        Keys::BundleFile(path) => Origin::BundleFile(path.clone()),
        Keys::BundleEndpoint { url, ca } => Origin::Bundle(client(ca.as_deref())?, url.clone()),
        Keys::Review(review) => {
            return Reviewer::new(review).map(Judge::ApiServer).map_err(|error| in_words(&error));
        }
    };
    Ok(Judge::Keys(IssuerKeys::new(issuer, origin)))
}

fn no_key(error: &KeyError) -> Refusal {
    match error {
        KeyError::Unknown { .. } => Refusal::new(RefusalCode::EvidenceInvalid, error.to_string())
            .help("is the token from this issuer, and are pinned keys up to date?"),
        KeyError::Unavailable { .. } => Refusal::new(RefusalCode::BrokerUnavailable, error.to_string()).help(
            "can this machine reach the issuer? If it does not answer without a credential (401, 403), let it \
             (Kubernetes: bind `system:service-account-issuer-discovery` to `system:unauthenticated`), or pin `jwks`",
        ),
    }
}
