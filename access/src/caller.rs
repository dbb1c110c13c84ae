//! Who asks: what a caller shows, and what is known of it once that is verified.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Actor, GroupName, Principal, RoleName, Secret, SourceName};

/// What a caller shows before anything about it is believed: a token, as it was read.
///
/// The `billing` pod shows its projected service-account token; alice shows the session that she got at sign-in.
#[derive(Debug, Clone)]
pub struct Evidence {
    token: Secret<String>,
}

impl Evidence {
    /// Takes a compact JWS (RFC 7515 §7.1), unverified.
    pub const fn token(token: Secret<String>) -> Self {
        Self { token }
    }

    /// The token, to verify it.
    pub fn expose(&self) -> &str {
        self.token.expose()
    }
}

/// The same evidence is the same token, so that what was lent on it can be found again.
impl PartialEq for Evidence {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.expose() == other.expose()
    }
}

impl Eq for Evidence {}

/// Hashes the token's end alone: a JWS ends in its signature, which differs wherever two tokens do.
impl Hash for Evidence {
    fn hash<H: Hasher>(&self, state: &mut H) {
        const TAIL: usize = 32;
        let token = self.expose().as_bytes();
        state.write(&token[token.len().saturating_sub(TAIL)..]);
    }
}

/// A caller whose evidence was verified, with everything that grants may ask about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// The issuer's name for it: `system:serviceaccount:shop:checkout`.
    pub subject: String,
    /// Who vouches for it: the issuer URL.
    pub issuer: String,
    /// The sources whose `match` this caller fulfils, in the order of the config.
    pub sources: Vec<SourceName>,
    /// Groups that its sources put it into. Those of the directory are its principal's.
    pub groups: Vec<GroupName>,
    /// Roles that its sources give it. Those of the directory are its principal's.
    pub roles: Vec<RoleName>,
    /// What the source says about it: `namespace`, `service_account`, `pod`, …
    pub attributes: BTreeMap<String, String>,
    /// How strongly, and when, it proved itself.
    pub assurance: Assurance,
    /// Who it is in the directory, if it is there.
    pub principal: Option<Arc<Principal>>,
    /// Who acts for it, if not it itself.
    pub actor: Option<Box<Actor>>,
    /// When its evidence ends; nothing lent on it lasts longer.
    pub until: Timestamp,
}

/// How strongly a caller proved itself. A workload has neither a sign-in nor a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assurance {
    /// When a person signed in (OpenID Connect Core §2, `auth_time`).
    pub signed_in: Option<Timestamp>,
    /// When a second factor was last shown.
    pub mfa: Option<Timestamp>,
}
