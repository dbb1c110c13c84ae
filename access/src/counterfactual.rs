//! What would have to be otherwise for a refused call to be allowed: for whoever writes grants, and asks why one does not do.
//!
//! Each change is tried by deciding again, so that what is told is true. The answer names grants and whom they are for: it is
//! told to who may read the rules, and not to the caller.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    ByIdOrName, Call, Caller, Condition, Context, DisplayName, Grant, GrantName, GroupId, Named, NamedCondition,
    Networks, PrincipalId, PrincipalKind, RoleId, Rules, Target, TargetName, Who, decide,
};

/// How many changes are tried. Who reads more than these reads none.
const MAX_TRIES: usize = 16;

/// One thing that is otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A second factor was just shown.
    SecondFactor,
    /// The person has just signed in.
    SignedIn,
    /// The call comes from here.
    From(IpAddr),
    /// The call is made at this time.
    At(Timestamp),
    /// The caller is whom another grant is for.
    Being(Who),
    /// A grant lacks a condition.
    Without {
        /// The grant.
        grant: GrantName,
        /// The condition.
        condition: NamedCondition,
    },
}

/// A change, and the grant by which the call would be allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Otherwise {
    /// What is otherwise.
    pub change: Change,
    /// What would allow the call then.
    pub allowed_by: GrantName,
}

impl fmt::Display for Otherwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { change, allowed_by } = self;
        match change {
            Change::SecondFactor => f.write_str("a second factor was just shown")?,
            Change::SignedIn => f.write_str("the person has just signed in")?,
            Change::From(address) => write!(f, "it comes from {address}")?,
            Change::At(time) => write!(f, "it is made at {time}")?,
            Change::Being(who) => write!(f, "the caller is {who}")?,
            Change::Without { grant, condition } => write!(f, "grant {grant:?} has no {condition}")?,
        }
        write!(f, ": grant {allowed_by:?} allows it then")
    }
}

/// Changes each of which, by itself, would let a call be allowed; none where it is.
pub fn otherwise(
    caller: &Arc<Caller>,
    (to, call): (&TargetName, &Call),
    rules: &Rules,
    context: &Context,
) -> Vec<Otherwise> {
    let Some(target) = rules.target(to).filter(|_| decide(caller, (to, call), rules, context).is_err()) else {
        return Vec::new();
    };
    let near = rules.grants(to).iter().filter(|grant| grant.allows(call, target).is_ok());
    let (its_own, others): (Vec<_>, Vec<_>) = near.partition(|grant| grant.from.iter().any(|who| who.is(caller)));
    let unmet = its_own.into_iter().flat_map(|grant| met(grant, caller, (call, target), context));
    let beings = others.into_iter().flat_map(|grant| &grant.from).map(|who| Change::Being(who.clone()));
    let mut tries = Vec::new();
    for change in unmet.chain(beings) {
        // Two grants often lack the same thing.
        if tries.len() < MAX_TRIES && !tries.contains(&change) {
            tries.push(change);
        }
    }
    let allowed = tries.into_iter().filter_map(|change| {
        let (caller, rules, context) = changed(&change, caller, (to, rules), context)?;
        let permit = decide(&caller, (to, call), &rules, &context).ok()?;
        Some(Otherwise { allowed_by: permit.grant().name.clone(), change })
    });
    allowed.collect()
}

/// What would meet the conditions of a grant that do not hold.
fn met(grant: &Grant, caller: &Caller, (call, target): (&Call, &Target), context: &Context) -> Vec<Change> {
    let unmet = grant.conditions.iter().filter(|named| named.condition.check(caller, (call, target), context).is_err());
    let changes = unmet.flat_map(|named| {
        let without = Change::Without { grant: grant.name.clone(), condition: named.clone() };
        let change = match &named.condition {
            Condition::Mfa { .. } => Some(Change::SecondFactor),
            Condition::From(networks) => inside(networks).map(Change::From),
            Condition::During(window) => window.opens(context.now).map(|opens| Change::At(opens.timestamp())),
            Condition::MaxSession(_) => Some(Change::SignedIn),
            Condition::When(_) => None,
        };
        change.into_iter().chain([without])
    });
    changes.collect()
}

fn inside(networks: &Networks) -> Option<IpAddr> {
    networks.iter().next().and_then(|network| network.hosts().next())
}

/// The world with a change in it; `None` where it makes no sense of this caller.
fn changed<'r>(
    change: &Change,
    caller: &Arc<Caller>,
    (to, rules): (&TargetName, &'r Rules),
    context: &Context,
) -> Option<(Arc<Caller>, Cow<'r, Rules>, Context)> {
    let (mut caller, mut rules, mut context) = (Caller::clone(caller), Cow::Borrowed(rules), *context);
    match change {
        Change::SecondFactor => caller.assurance.mfa = Some(context.now),
        Change::SignedIn => caller.assurance.signed_in = Some(context.now),
        Change::From(address) => context.from = Some(*address),
        Change::At(time) => {
            // Evidence is shown anew then.
            caller.until = caller.until.max(time.checked_add(jiff::SignedDuration::from_hours(1)).ok()?);
            context.now = *time;
        }
        Change::Being(who) => be(&mut caller, who)?,
        Change::Without { grant, condition } => rules = Cow::Owned(without(&rules, to, (grant, condition))),
    }
    Some((Arc::new(caller), rules, context))
}

/// The rules of a target, one of whose grants lacks a condition.
fn without(rules: &Rules, to: &TargetName, (grant, condition): (&GrantName, &NamedCondition)) -> Rules {
    let grants = rules.grants(to).iter().map(|one| {
        let mut one = Grant::clone(one);
        if one.name == *grant {
            one.conditions.retain(|named| named != condition);
        }
        one
    });
    Rules::new(rules.target(to).map(|target| Target::clone(target)), grants.collect::<Vec<_>>())
}

/// Makes a caller one whom a grant is for. Who is not in the directory cannot be put into a group of it.
fn be(caller: &mut Caller, who: &Who) -> Option<()> {
    match who {
        Who::Source(name) => caller.sources.push(name.clone()),
        Who::Group(name) => caller.groups.push(name.clone()),
        Who::Role(name) => caller.roles.push(name.clone()),
        Who::User(user) => {
            let principal = Arc::make_mut(caller.principal.as_mut()?);
            let Named { id, name } = named(user, PrincipalId::new)?;
            (principal.kind, principal.id, principal.name) = (PrincipalKind::User, id, name);
        }
        Who::DirectoryGroup(group) => {
            Arc::make_mut(caller.principal.as_mut()?).groups.push(named(group, GroupId::new)?);
        }
        Who::DirectoryRole(role) => Arc::make_mut(caller.principal.as_mut()?).roles.push(named(role, RoleId::new)?),
        Who::Workload(workload) => {
            caller.sources.push(workload.source().clone());
            // A text that fits the pattern: nothing for each `*`, a letter for each `?`.
            let fits = |pattern: &crate::Pattern| pattern.as_str().replace('*', "").replace('?', "x");
            caller.attributes.extend(workload.attributes().iter().map(|(name, value)| (name.clone(), fits(value))));
        }
    }
    Some(())
}

/// Something in a directory of which only the id or the name is known.
fn named<Id: Copy>(one: &ByIdOrName<Id>, id: fn(Uuid) -> Id) -> Option<Named<Id>> {
    match one {
        ByIdOrName::Id(id) => Some(Named { id: *id, name: DisplayName::new("\u{fffd}").ok()? }),
        ByIdOrName::Name(name) => Some(Named { id: id(Uuid::nil()), name: name.clone() }),
    }
}

#[cfg(test)]
#[path = "counterfactual_tests.rs"]
mod tests;
