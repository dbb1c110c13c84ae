//! The decision: does a grant cover this call by this caller, now and from there?

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::denial::{Denial, Near, Reason};
use crate::rule::Fit;
use crate::when::Asking;
use crate::{Call, Caller, Condition, Deed, Grant, NamedCondition, Permit, Rules, Target, TargetName};

/// Where and when a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The time, UTC.
    pub now: Timestamp,
    /// Where it comes from, if that is known.
    pub from: Option<IpAddr>,
}

/// Decides whether `caller` may make `call` at the target named `to`: the first grant that covers it does, unless any
/// grant that is for the caller denies it.
///
/// Removing what a grant allows never adds a permit, and what it denies never takes one away; order decides nothing but
/// which of several grants the permit names. Both hold as long as the expressions of the caller's grants are not more than
/// one decision asks; those beyond, in the order in which they were written, do not hold.
pub fn decide(
    caller: &Arc<Caller>,
    (to, call): (&TargetName, &Call),
    rules: &Rules,
    context: &Context,
) -> Result<Permit, Denial> {
    let Some(granted) = rules.granted(to) else {
        return Err(Denial { reason: Reason::NoTarget(to.clone()), near: Vec::new() });
    };
    let (target, denying) = (&granted.target, granted.denying(caller));
    let candidates = || granted.for_caller(caller);
    let asking = Asking::new();
    let asked =
        |grant: &Grant| Asked { caller, target, grant, denying: &denying, asking: &asking }.covers(call, context);
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

/// A grant and everything that bears on whether it covers a call. The permit asks the same again at every later call.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) target: &'a Target,
    pub(crate) grant: &'a Grant,
    pub(crate) denying: &'a [Arc<Grant>],
    pub(crate) asking: &'a Asking,
}

impl Asked<'_> {
    /// The rule that allows the call, or why none does.
    pub(crate) fn covers(self, call: &Call, context: &Context) -> Result<usize, Reason> {
        let Self { caller, target, grant, denying, asking } = self;
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
        // Expressions cost the most, and are asked last, of what fits otherwise.
        let is_when = |named: &&NamedCondition| matches!(named.condition, Condition::When(_));
        let (whens, others) =
            (grant.conditions.iter().filter(is_when), grant.conditions.iter().filter(|n| !is_when(n)));
        for named in others.chain(whens) {
            let held = match &named.condition {
                Condition::When(when) => asking.check(when, caller, (call, target), context),
                condition => condition.check(caller, (call, target), context),
            };
            let condition = || named.to_string();
            held.map_err(|unmet| Reason::Condition { grant: grant.name.clone(), condition: condition(), unmet })?;
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
pub(crate) mod tests;
