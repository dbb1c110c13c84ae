//! Targets and grants, as they are in force: found by who asks, so that a decision looks at the grants of a caller alone,
//! however many there are.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::{Caller, Grant, GroupName, Permit, RoleName, SourceName, Target, TargetName, Who};

/// Targets and grants, as the operator wrote them.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    targets: HashMap<TargetName, Granted>,
}

/// A target, and all grants to it.
#[derive(Debug, Clone)]
pub(crate) struct Granted {
    pub(crate) target: Arc<Target>,
    /// In the order in which they were written.
    grants: Vec<Arc<Grant>>,
    by_who: Index,
    /// Those of them that deny something.
    denying: Index,
}

/// Positions of grants, by whom they are for; each list ascends.
#[derive(Debug, Clone, Default)]
struct Index {
    sources: HashMap<SourceName, Vec<usize>>,
    groups: HashMap<GroupName, Vec<usize>>,
    roles: HashMap<RoleName, Vec<usize>>,
}

impl Rules {
    /// Takes targets and grants. A grant to a target that is not there grants nothing.
    pub fn new(targets: impl IntoIterator<Item = Target>, grants: impl IntoIterator<Item = Grant>) -> Self {
        let mut rules: HashMap<_, _> =
            targets.into_iter().map(|target| (target.name.clone(), Granted::none_to(target))).collect();
        for grant in grants {
            if let Some(granted) = rules.get_mut(&grant.to) {
                granted.add(grant);
            }
        }
        Self { targets: rules }
    }

    /// The target with that name.
    pub fn target(&self, name: &TargetName) -> Option<&Arc<Target>> {
        self.targets.get(name).map(|granted| &granted.target)
    }

    /// All targets, in no order.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.targets.values().map(|granted| &granted.target)
    }

    /// The grants to a target, in the order in which they were written.
    pub fn grants(&self, to: &TargetName) -> &[Arc<Grant>] {
        self.targets.get(to).map_or(&[], |granted| &granted.grants)
    }

    /// Whether a permit that other rules gave stands under these: its grant, its target and all that is denied its caller
    /// there are the same word for word. What is denied anew is not in the credential that was lent.
    pub fn uphold(&self, permit: &Permit) -> bool {
        let Some(granted) = self.granted(&permit.target().name) else { return false };
        *granted.target == *permit.target()
            && granted.for_caller(permit.caller()).any(|grant| **grant == *permit.grant())
            && granted.denying(permit.caller()).iter().flat_map(|grant| &grant.deny).eq(permit.denials())
    }

    pub(crate) fn granted(&self, to: &TargetName) -> Option<&Granted> {
        self.targets.get(to)
    }
}

impl Granted {
    fn none_to(target: Target) -> Self {
        Self { target: Arc::new(target), grants: Vec::new(), by_who: Index::default(), denying: Index::default() }
    }

    fn add(&mut self, grant: Grant) {
        let position = self.grants.len();
        self.by_who.add(&grant.from, position);
        if !grant.deny.is_empty() {
            self.denying.add(&grant.from, position);
        }
        self.grants.push(Arc::new(grant));
    }

    /// The grants that are for a caller, in the order in which they were written.
    pub(crate) fn for_caller(&self, caller: &Caller) -> impl Iterator<Item = &Arc<Grant>> {
        self.at(self.by_who.positions(caller))
    }

    /// Those of them that deny something. Most configs have none, and then nothing is allocated.
    pub(crate) fn denying(&self, caller: &Caller) -> Vec<Arc<Grant>> {
        self.at(self.denying.positions(caller)).cloned().collect()
    }

    fn at<'s>(&'s self, positions: Cow<'s, [usize]>) -> impl Iterator<Item = &'s Arc<Grant>> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let position = *positions.get(next)?;
            next += 1;
            self.grants.get(position)
        })
    }
}

impl Index {
    fn add(&mut self, from: &[Who], position: usize) {
        for who in from {
            match who {
                Who::Source(name) => add(&mut self.sources, name, position),
                Who::Group(name) => add(&mut self.groups, name, position),
                Who::Role(name) => add(&mut self.roles, name, position),
            }
        }
    }

    /// Where the grants for a caller stand, in order. Most callers are named in one way, whose list is at hand.
    fn positions(&self, caller: &Caller) -> Cow<'_, [usize]> {
        let sources = caller.sources.iter().filter_map(|name| self.sources.get(name));
        let groups = caller.groups.iter().filter_map(|name| self.groups.get(name));
        let roles = caller.roles.iter().filter_map(|name| self.roles.get(name));
        let mut lists = sources.chain(groups).chain(roles);
        let Some(first) = lists.next() else { return Cow::Borrowed(&[]) };
        let Some(second) = lists.next() else { return Cow::Borrowed(first) };
        let mut all = [first, second].into_iter().chain(lists).flatten().copied().collect::<Vec<_>>();
        all.sort_unstable();
        all.dedup();
        Cow::Owned(all)
    }
}

fn add<N: Clone + Eq + Hash>(lists: &mut HashMap<N, Vec<usize>>, name: &N, position: usize) {
    let list = lists.entry(name.clone()).or_default();
    // A grant may name the same one twice.
    if list.last() != Some(&position) {
        list.push(position);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Pattern;
    use crate::decide::tests::{checkout, grant, receipts};

    /// The definition, which looks at every grant.
    pub(crate) fn is_for(grant: &Grant, caller: &Caller) -> bool {
        grant.from.iter().any(|who| match who {
            Who::Source(name) => caller.sources.contains(name),
            Who::Group(name) => caller.groups.contains(name),
            Who::Role(name) => caller.roles.contains(name),
        })
    }

    fn who() -> impl Strategy<Value = Who> {
        (0..3, "[abc]").prop_map(|(kind, name)| match kind {
            0 => Who::Source(SourceName::new(&name).unwrap()),
            1 => Who::Group(GroupName::new(&name).unwrap()),
            _ => Who::Role(RoleName::new(&name).unwrap()),
        })
    }

    fn grants() -> impl Strategy<Value = Grant> {
        (prop::collection::vec(who(), 0..4), any::<bool>(), who()).prop_map(|(from, denies, anyone)| {
            let deny = denies.then(|| Pattern::new("*").unwrap().into()).into_iter().collect();
            Grant { from, deny, ..grant(anyone, &[]) }
        })
    }

    fn callers() -> impl Strategy<Value = Caller> {
        let names = || prop::collection::btree_set("[abcd]", 0..4);
        (names(), names(), names()).prop_map(|(sources, groups, roles)| Caller {
            sources: sources.iter().map(|name| SourceName::new(name).unwrap()).collect(),
            groups: groups.iter().map(|name| GroupName::new(name).unwrap()).collect(),
            roles: roles.iter().map(|name| RoleName::new(name).unwrap()).collect(),
            ..checkout()
        })
    }

    proptest! {
        #[test]
        fn grants_of_a_caller_are_those_that_are_for_it_in_their_order(
            grants in prop::collection::vec(grants(), 0..12), caller in callers(),
        ) {
            let to = receipts().name;
            let rules = Rules::new([receipts()], grants);
            let all = rules.grants(&to).iter().filter(|grant| is_for(grant, &caller));
            let granted = rules.granted(&to).unwrap();
            // Names and rules of many are alike: they are told apart by where they are.
            let places = |grant: &Arc<Grant>| Arc::as_ptr(grant);
            let denying = all.clone().filter(|grant| !grant.deny.is_empty()).map(places);
            prop_assert!(granted.denying(&caller).iter().map(places).eq(denying));
            prop_assert!(granted.for_caller(&caller).map(places).eq(all.map(places)));
        }
    }
}
