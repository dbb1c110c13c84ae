//! Tokens with which AWS's sign-in opens the console: kept here, and spent under the grants of the target that they were asked
//! for with.

use std::sync::Arc;
use std::time::Duration;

use access::{Lease, Secret, TargetName};
use jiff::Timestamp;
use moka::sync::Cache;

use crate::derived::{AnothersCredential, Owner};

/// Tokens kept at once. Each has cost its caller a call of its own, and takes some 2 KiB; past this many the oldest go.
const MAX_TOKENS: u64 = 10_000;

/// A token for the console.
#[derive(Debug)]
pub struct SignInToken {
    token: Secret<String>,
    target: TargetName,
    owner: Owner,
    until: Timestamp,
}

impl SignInToken {
    /// What a call under `lease` was given, good until `until`.
    pub fn new(token: Secret<String>, lease: &Lease, until: Timestamp) -> Self {
        let target = lease.permit().target().name.clone();
        Self { token, target, owner: Owner::of(lease), until }
    }

    /// The target whose grants must cover the login.
    pub const fn target(&self) -> &TargetName {
        &self.target
    }

    /// The token, for a login that `lease` covers, by the caller that asked for it.
    pub fn token(&self, lease: &Lease) -> Result<&Secret<String>, AnothersCredential> {
        let is_owners = self.owner == Owner::of(lease) && lease.permit().target().name == self.target;
        if is_owners { Ok(&self.token) } else { Err(AnothersCredential) }
    }
}

/// All of them, under the access key ids that their placeholders begin with.
#[derive(Debug)]
pub struct SignInTokens(Cache<String, Arc<SignInToken>>);

impl SignInTokens {
    /// None yet; each is given up after `longest`.
    pub fn new(longest: Duration) -> Self {
        Self(Cache::builder().max_capacity(MAX_TOKENS).time_to_live(longest).build())
    }

    /// The live token that a placeholder stands for. Reading takes no lock.
    pub fn find(&self, id: &str, now: Timestamp) -> Option<Arc<SignInToken>> {
        self.0.get(id).filter(|token| now < token.until)
    }

    /// Keeps a token for a placeholder that stands for nothing yet.
    pub fn keep(&self, id: String, token: SignInToken) {
        self.0.insert(id, Arc::new(token));
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::derived::tests::lease;

    #[test]
    fn token_is_spent_by_the_caller_that_asked_for_it_for_its_own_target_while_it_is_good() {
        let (all, checkout) = (SignInTokens::new(Duration::from_secs(900)), lease("checkout", "receipts"));
        let until = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(15);
        all.keep("ASIA1".into(), SignInToken::new(Secret::new("token".into()), &checkout, until));
        let found = all.find("ASIA1", Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(found.token(&checkout).unwrap().expose(), "token");
        assert_eq!(found.token(&lease("intruder", "receipts")).unwrap_err(), AnothersCredential);
        assert_eq!(found.token(&lease("checkout", "billing")).unwrap_err(), AnothersCredential);
        assert!(all.find("ASIA1", until).is_none() && all.find("ASIA2", Timestamp::UNIX_EPOCH).is_none());
    }
}
