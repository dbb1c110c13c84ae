//! The decision: does a grant cover this call by this caller, now and from there?

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::denial::{Denial, Near, Reason};
use crate::{Call, Caller, Grant, Permit, Target, TargetName};

/// Where and when a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The time, UTC.
    pub now: Timestamp,
    /// Where it comes from, if that is known.
    pub from: Option<IpAddr>,
}

/// Targets and grants, as the operator wrote them.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    targets: HashMap<TargetName, (Arc<Target>, Vec<Arc<Grant>>)>,
}

impl Rules {
    /// Takes targets and grants. A grant to a target that is not there grants nothing.
    pub fn new(targets: impl IntoIterator<Item = Target>, grants: impl IntoIterator<Item = Grant>) -> Self {
        let mut rules: HashMap<_, _> =
            targets.into_iter().map(|target| (target.name.clone(), (Arc::new(target), Vec::new()))).collect();
        for grant in grants {
            if let Some((_, to)) = rules.get_mut(&grant.to) {
                to.push(Arc::new(grant));
            }
        }
        Self { targets: rules }
    }

    /// The target with that name.
    pub fn target(&self, name: &TargetName) -> Option<&Arc<Target>> {
        self.targets.get(name).map(|(target, _)| target)
    }

    /// All targets, in no order.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.targets.values().map(|(target, _)| target)
    }

    /// Whether a permit that other rules gave stands under these: its grant and its target are the same word for word.
    pub fn uphold(&self, permit: &Permit) -> bool {
        let target = self.target(&permit.target().name).is_some_and(|target| **target == *permit.target());
        target && self.grants(&permit.target().name).iter().any(|grant| **grant == *permit.grant())
    }

    /// The grants to a target, in the order in which they were written.
    pub fn grants(&self, to: &TargetName) -> &[Arc<Grant>] {
        self.targets.get(to).map_or(&[], |(_, grants)| grants)
    }
}

/// Decides whether `caller` may make `call` at the target named `to`: the first grant that covers it does.
///
/// There are no denying grants: removing a grant never adds a permit, adding one never takes one away.
pub fn decide(
    caller: &Arc<Caller>,
    (to, call): (&TargetName, &Call),
    rules: &Rules,
    context: &Context,
) -> Result<Permit, Denial> {
    let Some(target) = rules.target(to) else {
        return Err(Denial { reason: Reason::NoTarget(to.clone()), near: Vec::new() });
    };
    let mut near = Vec::new();
    for grant in rules.grants(to).iter().filter(|grant| grant.is_for(caller)) {
        match covers((caller, target, grant), call, context) {
            Ok(()) => return Ok(Permit::new(caller.clone(), target.clone(), grant.clone(), context.now)),
            Err(reason) => near.push(Near { grant: grant.name.clone(), reason }),
        }
    }
    near.sort_by_key(|near| std::cmp::Reverse(near.reason.nearness()));
    let reason = near.first().map_or_else(|| Reason::NoGrant(to.clone()), |nearest| nearest.reason.clone());
    Err(Denial { reason, near })
}

/// Whether one grant covers the call. The permit asks the same again at every later call.
pub(crate) fn covers(
    (caller, target, grant): (&Caller, &Target, &Grant),
    call: &Call,
    context: &Context,
) -> Result<(), Reason> {
    if context.now >= caller.until {
        return Err(Reason::Expired);
    }
    let name = || target.name.clone();
    if !target.offers_service(call) {
        return Err(Reason::Service { target: name(), service: call.service.clone() });
    }
    if !grant.allows(call) {
        let action = call.action.clone().unwrap_or_else(|| format!("a call to {} that names no action", call.service));
        return Err(Reason::Action { target: name(), action });
    }
    if !target.offers_resource(call) {
        return Err(Reason::Resource { target: name(), resource: call.resource.clone() });
    }
    for condition in &grant.conditions {
        condition.condition.check(caller, context).map_err(|unmet| Reason::Condition {
            grant: grant.name.clone(),
            condition: condition.to_string(),
            unmet,
        })?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
