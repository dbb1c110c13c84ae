//! The decision: does a grant cover this call by this caller, now and from there?

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::denial::{Denial, Near, Reason};
use crate::rule::Fit;
use crate::{Call, Caller, Deed, Grant, Permit, Target, TargetName};

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

    /// Whether a permit that other rules gave stands under these: its grant, its target and all that is denied its caller
    /// there are the same word for word. What is denied anew is not in the credential that was lent.
    pub fn uphold(&self, permit: &Permit) -> bool {
        let target = self.target(&permit.target().name).is_some_and(|target| **target == *permit.target());
        let grants = self.grants(&permit.target().name);
        target
            && grants.iter().any(|grant| **grant == *permit.grant())
            && denying(grants, permit.caller()).iter().flat_map(|grant| &grant.deny).eq(permit.denials())
    }

    /// The grants to a target, in the order in which they were written.
    pub fn grants(&self, to: &TargetName) -> &[Arc<Grant>] {
        self.targets.get(to).map_or(&[], |(_, grants)| grants)
    }
}

/// Decides whether `caller` may make `call` at the target named `to`: the first grant that covers it does, unless any
/// grant that is for the caller denies it.
///
/// Removing what a grant allows never adds a permit, and what it denies never takes one away; order decides nothing but
/// which of several grants the permit names.
pub fn decide(
    caller: &Arc<Caller>,
    (to, call): (&TargetName, &Call),
    rules: &Rules,
    context: &Context,
) -> Result<Permit, Denial> {
    let Some(target) = rules.target(to) else {
        return Err(Denial { reason: Reason::NoTarget(to.clone()), near: Vec::new() });
    };
    let denying = denying(rules.grants(to), caller);
    let candidates = || rules.grants(to).iter().filter(|grant| grant.is_for(caller));
    let asked = |grant: &Grant| Asked { caller, target, grant, denying: &denying }.covers(call, context);
    // Most grants are about other actions. Why they do not cover the call is put into words only where none does.
    let covering = candidates().find(|grant| grant.allows(call, target).is_ok() && asked(grant).is_ok());
    if let Some(grant) = covering {
        return Ok(Permit::new(caller.clone(), target.clone(), (grant.clone(), denying), context.now));
    }
    let near = |grant: &Arc<Grant>| Some(Near { grant: grant.name.clone(), reason: asked(grant).err()? });
    let mut near: Vec<Near> = candidates().filter_map(near).collect();
    near.sort_by_key(|near| std::cmp::Reverse(near.reason.nearness()));
    let reason = near.first().map_or_else(|| Reason::NoGrant(to.clone()), |nearest| nearest.reason.clone());
    Err(Denial { reason, near })
}

/// The grants whose denials are for the caller. Most configs have none, and then nothing is allocated.
fn denying(grants: &[Arc<Grant>], caller: &Caller) -> Vec<Arc<Grant>> {
    grants.iter().filter(|grant| !grant.deny.is_empty() && grant.is_for(caller)).cloned().collect()
}

/// A grant and everything that bears on whether it covers a call. The permit asks the same again at every later call.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) target: &'a Target,
    pub(crate) grant: &'a Grant,
    pub(crate) denying: &'a [Arc<Grant>],
}

impl Asked<'_> {
    /// The rule that allows the call, or why none does.
    pub(crate) fn covers(self, call: &Call, context: &Context) -> Result<usize, Reason> {
        let Self { caller, target, grant, denying } = self;
        if context.now >= caller.until {
            return Err(Reason::Expired);
        }
        let name = || target.name.clone();
        if !target.offers_service(call) {
            return Err(Reason::Service { target: name(), service: call.service.clone() });
        }
        for by in denying {
            if let Some(rule) = by.denies(call, target) {
                return Err(Reason::Denied { grant: by.name.clone(), rule, text: by.deny[rule].to_string() });
            }
        }
        let allowing = grant.allows(call, target).map_err(|(fit, deed)| unfit(self, call, (fit, deed)))?;
        if let Some(deed) = target.lacks(call) {
            return Err(Reason::Resource { target: name(), resource: named(target, deed.resource) });
        }
        for condition in &grant.conditions {
            condition.condition.check(caller, context).map_err(|unmet| Reason::Condition {
                grant: grant.name.clone(),
                condition: condition.to_string(),
                unmet,
            })?;
        }
        Ok(allowing)
    }
}

/// Why no rule of a grant allows a deed.
fn unfit(asked: Asked<'_>, call: &Call, (fit, deed): (Fit, Deed<&str>)) -> Reason {
    let grant = || asked.grant.name.clone();
    let unnamed = || format!("a call to {} that names no action", call.service);
    let action = deed.action.map_or_else(unnamed, str::to_owned);
    match fit {
        Fit::Action | Fit::Whole => Reason::Action { target: asked.target.name.clone(), action },
        Fit::Resource => Reason::OtherResource { grant: grant(), action, resource: named(asked.target, deed.resource) },
        Fit::Request => Reason::Request { grant: grant(), method: call.method.clone(), path: call.path.clone() },
    }
}

fn named(target: &Target, resource: Option<&str>) -> Option<String> {
    resource.map(|resource| target.settled(resource).into_owned())
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
