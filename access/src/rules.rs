//! Targets and grants, as they are in force: found by who asks, so that a decision looks at the grants of a caller alone,
//! however many there are.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::index::Index;
use crate::{Caller, Grant, Permit, Target, TargetName};

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

#[cfg(test)]
#[path = "rules_tests.rs"]
pub(crate) mod tests;
