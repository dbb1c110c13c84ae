//! Who asks: what a caller shows, and what is known of it once that is verified.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Actor, GroupName, Principal, RoleName, Secret, SourceName};

/// What a caller shows before anything about it is believed, as it was read.
///
/// The `billing` pod shows its projected service-account token; alice shows the session that she got at sign-in; a virtual
/// machine at AWS shows a call to AWS that it has signed.
#[derive(Debug, Clone)]
pub struct Evidence {
    kind: EvidenceKind,
    text: Secret<String>,
}

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EvidenceKind {
    /// A compact JWS (RFC 7515 §7.1).
    Token,
    /// A signed `sts:GetCallerIdentity`. It counts once.
    AwsCaller,
}

impl Evidence {
    /// Takes a compact JWS (RFC 7515 §7.1), unverified.
    pub const fn token(token: Secret<String>) -> Self {
        Self { kind: EvidenceKind::Token, text: token }
    }

    /// Takes a signed `sts:GetCallerIdentity` in any of its forms, unverified.
    pub const fn aws_caller(proof: Secret<String>) -> Self {
        Self { kind: EvidenceKind::AwsCaller, text: proof }
    }

    /// What it is.
    pub const fn kind(&self) -> EvidenceKind {
        self.kind
    }

    /// The token or proof, to verify it.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }
}

/// The same evidence is the same text, so that what was lent on it can be found again.
impl PartialEq for Evidence {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || (self.kind == other.kind && self.expose() == other.expose())
    }
}

impl Eq for Evidence {}

/// Hashes a token's end alone: a JWS ends in its signature, which differs wherever two tokens do. Other evidence may end
/// in what all of its kind have, and is hashed whole.
impl Hash for Evidence {
    fn hash<H: Hasher>(&self, state: &mut H) {
        const TAIL: usize = 32;
        let text = self.expose().as_bytes();
        match self.kind {
            EvidenceKind::Token => state.write(&text[text.len().saturating_sub(TAIL)..]),
            EvidenceKind::AwsCaller => state.write(text),
        }
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

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    #[test]
    fn evidence_of_another_kind_is_other_evidence_and_proofs_with_one_end_differ() {
        let text = |text: &str| Secret::new(text.to_owned());
        assert_eq!(Evidence::token(text("a")), Evidence::token(text("a")));
        assert_ne!(Evidence::token(text("a")), Evidence::aws_caller(text("a")));
        let end = "x".repeat(64);
        let proof = |start: &str| Evidence::aws_caller(text(&format!("{start}{end}")));
        let hasher = RandomState::new();
        assert_ne!(hasher.hash_one(proof("a")), hasher.hash_one(proof("b")));
        assert_eq!(hasher.hash_one(proof("a")), hasher.hash_one(proof("a")));
    }
}
