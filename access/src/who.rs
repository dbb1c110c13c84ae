//! Whom a grant is for.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Caller, DisplayName, GroupId, GroupName, Named, Pattern, Principal, PrincipalId, PrincipalKind, RoleId, RoleName,
    SourceName,
};

/// The most attributes that a grant may ask of a workload. No platform says more about one.
const MAX_ATTRIBUTES: usize = 32;

/// Longest name of an attribute.
const MAX_ATTRIBUTE: usize = 128;

/// Whom a grant is for.
///
/// What a source in the config confers (`Source`, `Group`, `Role`) and what the directory says (`User`, `DirectoryGroup`,
/// `DirectoryRole`) are asked apart: a group of the one is never taken for a group of the other, whatever it is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Callers that fulfil this source's `match`.
    Source(SourceName),
    /// Callers whom a source in the config puts into this group.
    Group(GroupName),
    /// Callers to whom a source in the config gives this role.
    Role(RoleName),
    /// This person of the directory.
    User(ByIdOrName<PrincipalId>),
    /// Whoever is in this group of the directory, also through other groups.
    DirectoryGroup(ByIdOrName<GroupId>),
    /// Whoever has this role in the directory, also through groups.
    DirectoryRole(ByIdOrName<RoleId>),
    /// Callers through a source that have certain attributes.
    Workload(Workload),
}

/// Something in a directory: by its id, which is for good, or by its name, which a config knows and people may change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ByIdOrName<Id> {
    /// By its id.
    Id(Id),
    /// By its name, compared folded.
    Name(DisplayName),
}

/// Callers through a source, all of whose attributes that are named here fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenWorkload")]
pub struct Workload {
    source: SourceName,
    attributes: BTreeMap<String, Pattern>,
}

/// Attributes that say nothing, or too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWorkload {
    /// None are named, or too many.
    #[error(
        "1 to {MAX_ATTRIBUTES} attributes say which workloads of a source are meant; for all of them name the source"
    )]
    Number,
    /// One has no name, or none that a source gives.
    #[error("the name of an attribute has 1 to {MAX_ATTRIBUTE} characters, and no control characters")]
    Name,
}

impl Workload {
    /// Takes a source and what the attributes of its callers must fit, at least one.
    pub fn new(source: SourceName, attributes: BTreeMap<String, Pattern>) -> Result<Self, InvalidWorkload> {
        if attributes.is_empty() || attributes.len() > MAX_ATTRIBUTES {
            return Err(InvalidWorkload::Number);
        }
        let is_name = |name: &String| (1..=MAX_ATTRIBUTE).contains(&name.len()) && !name.chars().any(char::is_control);
        if !attributes.keys().all(is_name) {
            return Err(InvalidWorkload::Name);
        }
        Ok(Self { source, attributes })
    }

    /// The source.
    pub const fn source(&self) -> &SourceName {
        &self.source
    }

    /// What the attributes must fit, by their names.
    pub const fn attributes(&self) -> &BTreeMap<String, Pattern> {
        &self.attributes
    }

    /// Whether a caller comes through the source and has all the attributes. What its source does not say does not fit.
    pub fn is(&self, caller: &Caller) -> bool {
        caller.sources.contains(&self.source)
            && self
                .attributes
                .iter()
                .all(|(name, pattern)| caller.attributes.get(name).is_some_and(|value| pattern.matches(value)))
    }
}

/// A workload as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenWorkload {
    source: SourceName,
    attributes: BTreeMap<String, Pattern>,
}

impl TryFrom<WrittenWorkload> for Workload {
    type Error = InvalidWorkload;

    fn try_from(written: WrittenWorkload) -> Result<Self, InvalidWorkload> {
        Self::new(written.source, written.attributes)
    }
}

impl Who {
    /// Whether it is for a caller.
    pub fn is(&self, caller: &Caller) -> bool {
        let principal = || caller.principal.as_deref();
        match self {
            Self::Source(name) => caller.sources.contains(name),
            Self::Group(name) => caller.groups.contains(name),
            Self::Role(name) => caller.roles.contains(name),
            Self::User(user) => principal().and_then(user_of).is_some_and(|known| user.is(&known.id, &known.name)),
            Self::DirectoryGroup(group) => principal().is_some_and(|known| group.is_one_of(&known.groups)),
            Self::DirectoryRole(role) => principal().is_some_and(|known| role.is_one_of(&known.roles)),
            Self::Workload(workload) => workload.is(caller),
        }
    }
}

/// A principal, if it is a person. Clients and tokens have names too, which others choose: `user: alice` is not for a client
/// that was called alice.
pub(crate) fn user_of(principal: &Principal) -> Option<&Principal> {
    (principal.kind == PrincipalKind::User).then_some(principal)
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(name) => write!(f, "of source {name:?}"),
            Self::Group(name) => write!(f, "in group {name:?} of a source"),
            Self::Role(name) => write!(f, "of role {name:?} of a source"),
            Self::User(user) => write!(f, "person {user}"),
            Self::DirectoryGroup(group) => write!(f, "in directory group {group}"),
            Self::DirectoryRole(role) => write!(f, "of directory role {role}"),
            Self::Workload(workload) => {
                let attributes = workload.attributes.iter().map(|(name, value)| format!("{name} {value:?}"));
                write!(f, "of source {:?} with {}", workload.source, attributes.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl<Id: fmt::Display> fmt::Display for ByIdOrName<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => write!(f, "{name:?}"),
        }
    }
}

impl<Id: PartialEq> ByIdOrName<Id> {
    fn is(&self, id: &Id, name: &DisplayName) -> bool {
        match self {
            Self::Id(this) => this == id,
            Self::Name(this) => this == name,
        }
    }

    fn is_one_of(&self, all: &[Named<Id>]) -> bool {
        all.iter().any(|one| self.is(&one.id, &one.name))
    }
}
