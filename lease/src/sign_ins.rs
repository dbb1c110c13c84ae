//! Tokens with which AWS's sign-in opens the console: kept here, and spent under the grants of the target that they were asked
//! for with.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::{Lease, Secret, TargetName};
use jiff::Timestamp;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::derived::{AnothersCredential, Owner};

/// Tokens kept at once. Each has cost its caller a call of its own, and takes some 2 KiB.
const MAX_TOKENS: u64 = 10_000;

/// Tokens kept for one caller: one that asks without end must not displace those of others. Past this many the oldest goes.
const MAX_PER_CALLER: usize = 1_000;

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
pub struct SignInTokens {
    kept: Cache<String, Arc<SignInToken>>,
    /// What each caller has, oldest first. Tokens are obtained seldom, so this lock is no hot one.
    by_caller: Mutex<HashMap<Owner, VecDeque<String>>>,
}

impl SignInTokens {
    /// None yet; each is given up after `longest`.
    pub fn new(longest: Duration) -> Self {
        // The default policy would rather not take a newcomer in than let an older one go.
        let policy = EvictionPolicy::lru();
        let kept = Cache::builder().max_capacity(MAX_TOKENS).eviction_policy(policy).time_to_live(longest).build();
        Self { kept, by_caller: Mutex::default() }
    }

    /// The live token that a placeholder stands for. Reading takes no lock.
    pub fn find(&self, id: &str, now: Timestamp) -> Option<Arc<SignInToken>> {
        self.kept.get(id).filter(|token| now < token.until)
    }

    /// Keeps a token for a placeholder that stands for nothing yet.
    pub fn keep(&self, id: String, token: SignInToken) {
        let mut by_caller = self.by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        by_caller.retain(|_, ids| {
            while ids.front().is_some_and(|id| !self.kept.contains_key(id)) {
                ids.pop_front();
            }
            !ids.is_empty()
        });
        let of_caller = by_caller.entry(token.owner.clone()).or_default();
        if of_caller.len() >= MAX_PER_CALLER
            && let Some(oldest) = of_caller.pop_front()
        {
            self.kept.invalidate(&oldest);
        }
        of_caller.push_back(id.clone());
        self.kept.insert(id, Arc::new(token));
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

    #[test]
    fn a_caller_that_asks_without_end_displaces_its_own_and_nobody_elses() {
        let all = SignInTokens::new(Duration::from_secs(900));
        let until = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(15);
        let keep = |id: String, lease| all.keep(id, SignInToken::new(Secret::new("token".into()), lease, until));
        let (greedy, modest) = (lease("greedy", "receipts"), lease("modest", "receipts"));
        keep("M".into(), &modest);
        for n in 0..=MAX_PER_CALLER {
            keep(format!("G{n}"), &greedy);
        }
        let found = |id: &str| all.find(id, Timestamp::UNIX_EPOCH).is_some();
        assert!(!found("G0") && found("G1") && found(&format!("G{MAX_PER_CALLER}")) && found("M"));
    }
}
