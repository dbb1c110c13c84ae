//! The tokens that clouds take from us: who signs them, with which key, and what stands in them.
//!
//! A key lives by the clock: it is made and published, signs `publish_ahead` later (clouds cache our JWKS), signs until
//! its successor does, stays published until nothing that it signed is valid, and is then destroyed.

mod claims;
mod key;
mod names;
mod ring;
mod rotation;
mod seal;

use access::{Caller, Clock, Permit, Secret};
use arc_swap::ArcSwap;
use config::BrokerSettings;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, Header};
use url::Url;
use uuid::Uuid;

use crate::audit::AuditError;
use crate::store::{Organisation, new_id};

use claims::Claims;
use claims::TOKEN_LIFETIME;
pub(crate) use key::PublicKey;
use ring::Ring;
use rotation::Plan;
pub use rotation::PlanError;
use seal::Seal;
pub use seal::SealError;

/// The signing keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The settings contradict themselves.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The key that encrypts them cannot be had, or is another one.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// They cannot be read or written.
    #[error("the signing keys cannot be read from or written to the store")]
    Store(#[from] sqlx::Error),
    /// Their events cannot be written.
    #[error("the events of the signing keys cannot be written")]
    Audit(#[from] AuditError),
    /// A key cannot be made or read.
    #[error("signing key {kid} cannot be used")]
    Key {
        /// Its id, or what it would have been.
        kid: String,
        /// Why.
        #[source]
        cause: jsonwebtoken::errors::Error,
    },
    /// The random generator or the key generator failed.
    #[error("a signing key cannot be made")]
    Generate(#[source] aws_lc_rs::error::Unspecified),
}

/// A token cannot be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MintError {
    /// There is no key.
    #[error("there is no signing key")]
    NoKey,
    /// Signing failed.
    #[error("the token cannot be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

/// A token, signed.
#[derive(Debug)]
pub(crate) struct Minted {
    /// Compact JWS.
    pub(crate) token: Secret<String>,
    /// Its `jti`.
    pub(crate) id: Uuid,
}

/// The issuer of our tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    organisation: Organisation,
    seal: Seal,
    plan: Plan,
    clock: Clock,
    ring: ArcSwap<Ring>,
    realm: String,
    issuer: String,
    aws_audience: String,
}

impl Tokens {
    /// Reads the keys, and makes the first at the first start: that one signs at once, for nobody has cached anything.
    pub(crate) async fn open(
        organisation: Organisation,
        (realm, settings): (&str, &BrokerSettings),
        clock: Clock,
    ) -> Result<Self, KeysError> {
        let plan = Plan::new(settings.key_lifetime, settings.key_publish_ahead)?;
        let has_keys = ring::count(&organisation).await? > 0;
        let seal = Seal::open(settings, has_keys)?;
        let tokens = Self {
            organisation,
            seal,
            plan,
            clock,
            ring: ArcSwap::default(),
            realm: realm.to_owned(),
            issuer: issuer_name(&settings.issuer),
            aws_audience: settings.aws_audience.clone(),
        };
        tokens.rotate().await?;
        Ok(tokens)
    }

    /// Does what the clock asks for: makes the next key, tells the audit which one signs, destroys the last one.
    /// Another process on the same store may have done it already; then its keys are taken over. Returns when there is
    /// something to do again.
    pub(crate) async fn rotate(&self) -> Result<Timestamp, KeysError> {
        let now = self.clock.now();
        let ring = ring::rotate(&self.organisation, (&self.seal, &self.plan), now).await?;
        let next = self.plan.next(&ring.times(), now);
        self.ring.store(ring.into());
        Ok(next)
    }

    /// The public keys that clouds may meet now.
    pub(crate) fn published(&self) -> Vec<PublicKey> {
        self.ring.load().published(&self.plan, self.clock.now())
    }

    /// Whether a key signs at `now`.
    pub(crate) fn signs(&self, now: Timestamp) -> bool {
        self.ring.load().signing(now).is_some()
    }

    /// The `iss` of our tokens.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What the cloud shows a caller's session as.
    pub(crate) fn session_name(&self, caller: &Caller) -> String {
        names::session_name(&self.realm, caller)
    }

    /// Signs a token for the target of a permit: that role, and no other, may be had for it. Its times are those of a
    /// cloud whose clock is `ahead` of ours.
    pub(crate) fn mint(&self, permit: &Permit, now: Timestamp, ahead: SignedDuration) -> Result<Minted, MintError> {
        let ring = self.ring.load();
        let key = ring.signing(now).ok_or(MintError::NoKey)?;
        let id = new_id(now);
        let claims = Claims::aws(
            permit,
            (&self.realm, &self.issuer, &self.aws_audience),
            (now.saturating_add(ahead).unwrap_or(now), id),
        );
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(key.kid().to_owned());
        let token = jsonwebtoken::encode(&header, &claims, key.private()).map_err(MintError::Sign)?;
        Ok(Minted { token: token.into(), id })
    }
}

/// The `iss` that an issuer URL stands for: without the slash that the URL standard adds to an empty path, because
/// clouds compare it byte by byte with what was registered.
pub(crate) fn issuer_name(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}
