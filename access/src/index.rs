//! Positions of grants by whom they are for, so that those of one caller are found without a look at the others.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::Hash;

use crate::who::user_of;
use crate::{
    ByIdOrName, Caller, DisplayName, GroupId, GroupName, Named, Principal, PrincipalId, RoleId, RoleName, SourceName,
    Who, Workload,
};

/// Positions of grants, by whom they are for; each list ascends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    sources: HashMap<SourceName, Vec<usize>>,
    groups: HashMap<GroupName, Vec<usize>>,
    roles: HashMap<RoleName, Vec<usize>>,
    users: Known<PrincipalId>,
    directory_groups: Known<GroupId>,
    directory_roles: Known<RoleId>,
    workloads: HashMap<SourceName, Workloads>,
}

/// The same for what a directory knows.
#[derive(Debug, Clone)]
struct Known<Id> {
    by_id: HashMap<Id, Vec<usize>>,
    by_name: HashMap<DisplayName, Vec<usize>>,
}

/// Workloads of one source. Grants of one kind name the same attributes, so there are few shapes, and each is asked once.
#[derive(Debug, Clone, Default)]
struct Workloads(Vec<Shape>);

/// Those whose value the same attributes say in full.
#[derive(Debug, Clone)]
struct Shape {
    names: Vec<String>,
    by_values: HashMap<String, Vec<(usize, Workload)>>,
}

impl Index {
    pub(crate) fn add(&mut self, from: &[Who], position: usize) {
        for who in from {
            match who {
                Who::Source(name) => add(&mut self.sources, name, position),
                Who::Group(name) => add(&mut self.groups, name, position),
                Who::Role(name) => add(&mut self.roles, name, position),
                Who::User(user) => self.users.add(user, position),
                Who::DirectoryGroup(group) => self.directory_groups.add(group, position),
                Who::DirectoryRole(role) => self.directory_roles.add(role, position),
                Who::Workload(workload) => {
                    self.workloads.entry(workload.source().clone()).or_default().add(workload, position);
                }
            }
        }
    }

    /// Where the grants for a caller stand, in order. Most callers are named in one way, whose list is at hand.
    pub(crate) fn positions(&self, caller: &Caller) -> Cow<'_, [usize]> {
        let sources = caller.sources.iter().filter_map(|name| self.sources.get(name));
        let groups = caller.groups.iter().filter_map(|name| self.groups.get(name));
        let roles = caller.roles.iter().filter_map(|name| self.roles.get(name));
        let principal = caller.principal.as_deref().into_iter().flat_map(|principal| self.known(principal));
        let workloads = self.workloads(caller);
        let named = merged(sources.chain(groups).chain(roles).chain(principal).map(Vec::as_slice));
        if workloads.is_empty() {
            return named;
        }
        Cow::Owned(merged([&*named, &*workloads].into_iter()).into_owned())
    }

    /// The lists for somebody in the directory.
    fn known<'s, 'p>(&'s self, principal: &'p Principal) -> impl Iterator<Item = &'s Vec<usize>> + use<'s, 'p> {
        let user = user_of(principal).into_iter().flat_map(|user| self.users.of(&user.id, &user.name));
        let groups = self.directory_groups.of_all(&principal.groups);
        user.chain(groups).chain(self.directory_roles.of_all(&principal.roles))
    }

    /// The grants for the workload that a caller is, in order.
    fn workloads(&self, caller: &Caller) -> Vec<usize> {
        let of_source = caller.sources.iter().filter_map(|name| self.workloads.get(name));
        let mut found: Vec<usize> = of_source.flat_map(|workloads| workloads.of(caller)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl<Id: Copy + Eq + Hash> Known<Id> {
    fn add(&mut self, one: &ByIdOrName<Id>, position: usize) {
        match one {
            ByIdOrName::Id(id) => add(&mut self.by_id, id, position),
            ByIdOrName::Name(name) => add(&mut self.by_name, name, position),
        }
    }

    fn of<'s>(&'s self, id: &Id, name: &DisplayName) -> impl Iterator<Item = &'s Vec<usize>> + use<'s, Id> {
        self.by_id.get(id).into_iter().chain(self.by_name.get(name))
    }

    fn of_all<'s, 'p>(&'s self, all: &'p [Named<Id>]) -> impl Iterator<Item = &'s Vec<usize>> + use<'s, 'p, Id> {
        all.iter().flat_map(|one| self.of(&one.id, &one.name))
    }
}

impl<Id> Default for Known<Id> {
    fn default() -> Self {
        Self { by_id: HashMap::new(), by_name: HashMap::new() }
    }
}

impl Workloads {
    fn add(&mut self, workload: &Workload, position: usize) {
        let said = workload.attributes().iter().filter(|(_, pattern)| pattern.is_literal());
        let (names, values): (Vec<String>, Vec<&str>) =
            said.map(|(name, pattern)| (name.clone(), pattern.as_str())).unzip();
        let shape = self.0.iter().position(|shape| shape.names == names).unwrap_or_else(|| {
            self.0.push(Shape { names, by_values: HashMap::new() });
            self.0.len() - 1
        });
        let of_values = self.0[shape].by_values.entry(key(values.into_iter())).or_default();
        of_values.push((position, workload.clone()));
    }

    /// What the values do not say in full is held against each that is left.
    fn of(&self, caller: &Caller) -> impl Iterator<Item = usize> {
        let found = self.0.iter().filter_map(|Shape { names, by_values }| {
            let values = names.iter().map(|name| caller.attributes.get(name).map(String::as_str));
            by_values.get(&key(values.collect::<Option<Vec<_>>>()?.into_iter()))
        });
        found.flatten().filter(|(_, workload)| workload.is(caller)).map(|(position, _)| *position)
    }
}

/// All that stands in lists, in order and once. A list that is alone is at hand.
fn merged<'s>(mut lists: impl Iterator<Item = &'s [usize]>) -> Cow<'s, [usize]> {
    let Some(first) = lists.next() else { return Cow::Borrowed(&[]) };
    let Some(second) = lists.next() else { return Cow::Borrowed(first) };
    let mut all = [first, second].into_iter().chain(lists).flatten().copied().collect::<Vec<_>>();
    all.sort_unstable();
    all.dedup();
    Cow::Owned(all)
}

/// Values in a row. No pattern has a control character; a caller's value that has one fits no pattern when it is asked.
fn key<'v>(values: impl Iterator<Item = &'v str>) -> String {
    values.flat_map(|value| [value, "\0"]).collect()
}

fn add<N: Clone + Eq + Hash>(lists: &mut HashMap<N, Vec<usize>>, name: &N, position: usize) {
    let list = lists.entry(name.clone()).or_default();
    // A grant may name the same one twice.
    if list.last() != Some(&position) {
        list.push(position);
    }
}
