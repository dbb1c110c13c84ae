//! Credentials that the cloud gave to a program's own calls (`AssumeRole` and its kin): kept here, lent call by call.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::{Credential, Lease, TargetName};
use jiff::Timestamp;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// Credentials kept at once. One takes about 3 KiB.
const MAX_DERIVED: u64 = 10_000;

/// Credentials kept for one caller. A program that becomes a role per tenant has hundreds; one that never uses what it
/// asks for must not displace those of others. Past this many the oldest goes, and what stood for it has expired.
const MAX_PER_CALLER: usize = 1_000;

/// The longest that AWS lets temporary credentials be (`GetSessionToken`): 36 hours. What ends sooner is given up at the
/// first look, or with the next that is kept for its caller.
const LONGEST: Duration = Duration::from_secs(36 * 3600);

/// A credential that was derived from another one.
#[derive(Debug)]
pub struct Derived {
    credential: Credential,
    target: TargetName,
    owner: Option<Owner>,
    principal: String,
}

/// Whose call obtained it: issuer and subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner(String, String);

/// The lease is another caller's than the one that the credential was obtained for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these temporary credentials were given to another caller")]
pub struct AnothersCredential;

/// The access key ids of placeholders that a caller has, and their ends.
type Kept = VecDeque<(String, Timestamp)>;

/// All of them, under the access key ids of the placeholders that stand for them.
#[derive(Debug)]
pub struct DerivedCredentials {
    kept: Cache<String, Arc<Derived>>,
    /// What each caller has, oldest first. Credentials are obtained seldom, so this lock is no hot one.
    by_caller: Mutex<HashMap<Option<Owner>, Kept>>,
}

impl Owner {
    /// The caller that a lease was lent to.
    pub fn of(lease: &Lease) -> Self {
        let caller = lease.permit().caller();
        Self(caller.issuer.clone(), caller.subject.clone())
    }

    fn is_of(&self, lease: &Lease) -> bool {
        let caller = lease.permit().caller();
        (&self.0, &self.1) == (&caller.issuer, &caller.subject)
    }
}

impl Derived {
    /// A credential to whose use the grants of `target` apply. `owner`: the only caller who may use it; without one,
    /// whoever has its placeholder. `principal`: who it is, in the words of the cloud.
    pub fn new(credential: Credential, target: TargetName, owner: Option<Owner>, principal: String) -> Self {
        Self { credential, target, owner, principal }
    }

    /// The target whose grants must cover every call that is made with it.
    pub const fn target(&self) -> &TargetName {
        &self.target
    }

    /// Who it is, in the words of the cloud: the ARN of an assumed role, or an access key id.
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// The account that calls are made in; `*`, which no pattern of one account covers, where the cloud did not say.
    pub fn account(&self) -> &str {
        let mut parts = self.principal.splitn(6, ':');
        let [arn, _, service, _, account] = std::array::from_fn(|_| parts.next().unwrap_or_default());
        // Other ARNs in an answer may be about anything.
        if (arn, service) == ("arn", "sts") && !account.is_empty() { account } else { "*" }
    }

    /// Whether it was obtained with another credential of the cloud's, which AWS calls role chaining.
    pub const fn is_chained(&self) -> bool {
        self.owner.is_some()
    }

    /// The credential, for a call that `lease` covers: no lease, no signature, whoever obtained what.
    pub fn credential(&self, lease: &Lease) -> Result<&Credential, AnothersCredential> {
        let is_owners = self.owner.as_ref().is_none_or(|owner| owner.is_of(lease));
        if is_owners && lease.permit().target().name == self.target {
            Ok(&self.credential)
        } else {
            Err(AnothersCredential)
        }
    }
}

impl DerivedCredentials {
    /// None yet.
    pub fn new() -> Self {
        // The default policy would rather not take a newcomer in than let an often used one go.
        let policy = EvictionPolicy::lru();
        let kept = Cache::builder().max_capacity(MAX_DERIVED).eviction_policy(policy).time_to_live(LONGEST).build();
        Self { kept, by_caller: Mutex::default() }
    }

    /// The live credential that the placeholder with this access key id stands for. Reading takes no lock.
    pub fn find(&self, access_key_id: &str, now: Timestamp) -> Option<Arc<Derived>> {
        let derived = self.kept.get(access_key_id)?;
        if now < derived.credential.expires() {
            return Some(derived);
        }
        self.kept.invalidate(access_key_id);
        None
    }

    /// Keeps a credential for the placeholder with this access key id; `false` if that stands for another one already.
    pub fn keep(&self, access_key_id: String, derived: Derived, now: Timestamp) -> bool {
        let mut by_caller = self.by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        if self.kept.contains_key(&access_key_id) {
            return false;
        }
        by_caller.retain(|_, ids| {
            // In the order in which they came, not in which they end: whoever waits behind one that lives ends by itself.
            while let Some((id, until)) = ids.front()
                && (now >= *until || !self.kept.contains_key(id))
            {
                self.kept.invalidate(id);
                ids.pop_front();
            }
            !ids.is_empty()
        });
        let of_caller = by_caller.entry(derived.owner.clone()).or_default();
        if of_caller.len() >= MAX_PER_CALLER
            && let Some((oldest, _)) = of_caller.pop_front()
        {
            self.kept.invalidate(&oldest);
        }
        of_caller.push_back((access_key_id.clone(), derived.credential.expires()));
        self.kept.insert(access_key_id, Arc::new(derived));
        true
    }
}

impl Default for DerivedCredentials {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use access::*;
    use jiff::SignedDuration;

    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn credential(expires: Timestamp) -> Credential {
        Credential::Aws(AwsCredential {
            access_key_id: "ASIAREAL".into(),
            secret_access_key: Secret::new("secret".into()),
            session_token: Secret::new("token".into()),
            expires,
        })
    }

    fn target(name: &str) -> TargetName {
        TargetName::new(name).unwrap()
    }

    pub(crate) fn lease(subject: &str, to: &str) -> Lease {
        let source = SourceName::new("pods").unwrap();
        let target = Target {
            name: target(to),
            cloud: Cloud::Aws,
            role: "arn:aws:iam::123456789012:role/receipts".into(),
            service: None,
            resources: Vec::new(),
            region: "us-east-1".into(),
            session: HOUR,
        };
        let grant = Grant {
            name: GrantName::new("all").unwrap(),
            from: vec![Who::Source(source.clone())],
            to: target.name.clone(),
            allow: vec![Pattern::new("*").unwrap().into()],
            deny: Vec::new(),
            conditions: Vec::new(),
            session: None,
            policies: Vec::new(),
        };
        let caller = Caller {
            subject: subject.into(),
            issuer: "https://issuer".into(),
            sources: vec![source],
            groups: Vec::new(),
            roles: Vec::new(),
            attributes: Default::default(),
            assurance: Assurance::default(),
            principal: None,
            actor: None,
            until: Timestamp::MAX,
        };
        let call = Call {
            cloud: Cloud::Aws,
            service: "s3".into(),
            prefix: "s3".into(),
            region: None,
            action: Some("s3:GetObject".into()),
            resource: None,
            also: Vec::new(),
            method: "GET".into(),
            host: "s3.amazonaws.com".into(),
            path: "/".into(),
            spelling: Spelling::Plain,
        };
        let context = Context { now: Timestamp::UNIX_EPOCH, from: None };
        let rules = Rules::new([target.clone()], [grant]);
        let permit = decide(&Arc::new(caller), (&target.name, &call), &rules, &context).unwrap();
        Lease::new(LeaseId::new(uuid::Uuid::nil()), permit, credential(Timestamp::MAX), Timestamp::UNIX_EPOCH)
    }

    fn derived(of: Option<Owner>, ends: SignedDuration) -> Derived {
        Derived::new(credential(Timestamp::UNIX_EPOCH + ends), target("receipts"), of, "arn".into())
    }

    #[test]
    fn a_derived_credential_is_lent_with_its_own_callers_lease_for_its_own_target_alone() {
        let checkout = lease("checkout", "receipts");
        let kept = derived(Some(Owner::of(&checkout)), HOUR);
        assert!(kept.credential(&checkout).is_ok());
        assert_eq!(kept.credential(&lease("intruder", "receipts")).unwrap_err(), AnothersCredential);
        assert!(kept.is_chained() && !derived(None, HOUR).is_chained());
        assert_eq!(kept.credential(&lease("checkout", "billing")).unwrap_err(), AnothersCredential);
        assert!(derived(None, HOUR).credential(&lease("anyone", "receipts")).is_ok());
    }

    #[test]
    fn the_account_is_the_principals_and_any_where_that_is_not_known() {
        let of = |principal: &str| {
            let credential = credential(Timestamp::UNIX_EPOCH + HOUR);
            Derived::new(credential, target("receipts"), None, principal.into()).account().to_owned()
        };
        assert_eq!(of("arn:aws:sts::999988887777:assumed-role/Reports/nightly"), "999988887777");
        for other in ["ASIAREAL", "arn:aws:sts:::x", "arn:aws:codepipeline:us-east-1:999988887777:p"] {
            assert_eq!(of(other), "*");
        }
    }

    #[test]
    fn what_has_ended_is_not_found_again() {
        let all = DerivedCredentials::new();
        assert!(all.keep("A".into(), derived(None, HOUR), Timestamp::UNIX_EPOCH));
        assert!(!all.keep("A".into(), derived(None, HOUR), Timestamp::UNIX_EPOCH), "an id stands for one");
        assert!(all.find("A", Timestamp::UNIX_EPOCH + HOUR - SignedDuration::from_secs(1)).is_some());
        assert!(all.find("A", Timestamp::UNIX_EPOCH + HOUR).is_none());
        assert!(all.find("A", Timestamp::UNIX_EPOCH).is_none(), "it was given up");
        assert!(all.find("B", Timestamp::UNIX_EPOCH).is_none());
    }

    #[test]
    fn a_caller_that_asks_without_end_displaces_its_own_and_nobody_elses() {
        let all = DerivedCredentials::new();
        let (greedy, modest) = (Owner::of(&lease("greedy", "receipts")), Owner::of(&lease("modest", "receipts")));
        all.keep("M".into(), derived(Some(modest), HOUR), Timestamp::UNIX_EPOCH);
        for n in 0..=MAX_PER_CALLER {
            assert!(all.keep(format!("G{n}"), derived(Some(greedy.clone()), HOUR), Timestamp::UNIX_EPOCH));
        }
        let found = |id: &str| all.find(id, Timestamp::UNIX_EPOCH).is_some();
        assert!(!found("G0") && found("G1") && found(&format!("G{MAX_PER_CALLER}")) && found("M"));
    }
}
