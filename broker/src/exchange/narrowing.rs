//! What a session at AWS is narrowed to: the grant, its target, and what is denied.

use access::{Grant, GrantName, Rule, Rules, Target};
use cloud::aws::policy::{LeftOut, Narrowing, PolicyError, SessionPolicy};

/// The session policy of a grant; `None` where there is nothing to narrow.
pub(super) fn policy(target: &Target, grant: &Grant, deny: &[&Rule]) -> Result<Option<SessionPolicy>, PolicyError> {
    SessionPolicy::compile(Narrowing {
        allow: &grant.allow,
        deny,
        service: target.service.as_deref(),
        resources: &target.resources,
        managed: &grant.policies,
    })
}

/// What becomes of a grant at the cloud.
#[derive(Debug)]
pub struct Narrowed {
    /// The grant.
    pub grant: GrantName,
    /// What of it the proxy enforces alone; or why no credential would ever be had for it.
    pub left_out: Result<Vec<LeftOut>, PolicyError>,
}

/// Every grant for which the cloud enforces less than the proxy, or for which no session can be had.
///
/// Which denials of other grants meet in one caller is not known before one comes; those are taken that are for the same
/// sources, groups or roles.
pub fn narrowed(rules: &Rules) -> Vec<Narrowed> {
    let mut found = Vec::new();
    for target in rules.targets() {
        let grants = rules.grants(&target.name);
        for grant in grants {
            let meets =
                |other: &Grant| other.name == grant.name || other.from.iter().any(|who| grant.from.contains(who));
            let deny: Vec<_> = grants.iter().filter(|other| meets(other)).flat_map(|other| &other.deny).collect();
            let left_out =
                policy(target, grant, &deny).map(|policy| policy.map_or(Vec::new(), |p| p.left_out().to_vec()));
            if !matches!(&left_out, Ok(left_out) if left_out.is_empty()) {
                found.push(Narrowed { grant: grant.name.clone(), left_out });
            }
        }
    }
    found.sort_by(|a, b| a.grant.as_str().cmp(b.grant.as_str()));
    found
}
