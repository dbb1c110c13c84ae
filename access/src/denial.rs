//! Why nothing covers a call, in words that a person can act on.

use std::fmt;

use crate::call::NO_RESOURCE;
use crate::{GrantName, TargetName, Unmet};

/// Nothing covers the call. The grants that came near say what stopped them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What stopped it.
    pub reason: Reason,
    /// Every grant to the target that is for this caller, with what stopped it, nearest first.
    pub near: Vec<Near>,
}

/// What stopped a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No target has that name.
    #[error("there is no target {0:?}")]
    NoTarget(TargetName),
    /// What the caller showed has ended.
    #[error("what the caller showed has expired")]
    Expired,
    /// The target does not offer that service.
    #[error("target {target:?} does not reach {service}")]
    Service {
        /// The target.
        target: TargetName,
        /// What the call wanted.
        service: String,
    },
    /// The target does not offer that resource.
    #[error("target {target:?} does not reach {}", told(resource.as_deref()))]
    Resource {
        /// The target.
        target: TargetName,
        /// What the call wanted.
        resource: Option<String>,
    },
    /// No grant to the target is for this caller.
    #[error("no grant to target {0:?} is for this caller")]
    NoGrant(TargetName),
    /// No grant allows the action.
    #[error("no grant to target {target:?} allows {action}")]
    Action {
        /// The target.
        target: TargetName,
        /// What the call wanted.
        action: String,
    },
    /// A grant allows the action, but not on that resource.
    #[error("grant {grant:?} allows {action}, but not on {}", told(resource.as_deref()))]
    OtherResource {
        /// The nearest grant.
        grant: GrantName,
        /// What the call wanted to do.
        action: String,
        /// On what.
        resource: Option<String>,
    },
    /// A grant allows action and resource, but not by that method at that path.
    #[error("grant {grant:?} allows the action, but not by {method} at {path}")]
    Request {
        /// The nearest grant.
        grant: GrantName,
        /// The HTTP method.
        method: String,
        /// The path as on the wire.
        path: String,
    },
    /// A grant denies it.
    #[error("grant {grant:?} denies {text} (deny[{rule}])")]
    Denied {
        /// The grant.
        grant: GrantName,
        /// Which of its rules, from 0.
        rule: usize,
        /// That rule, in words.
        text: String,
    },
    /// A grant allows it, but not under these conditions.
    #[error("grant {grant:?} allows it, but {condition} does not hold: {unmet}")]
    Condition {
        /// The nearest grant.
        grant: GrantName,
        /// The condition, by name.
        condition: String,
        /// Why it does not hold.
        #[source]
        unmet: Unmet,
    },
}

/// What of a call's resource is told to people.
fn told(resource: Option<&str>) -> &str {
    match resource {
        None => "a resource that the request does not tell; only grants and targets without `resources` cover it",
        Some(NO_RESOURCE) => "no resource in particular; name that action in a rule without `resources`",
        Some(resource) => resource,
    }
}

impl Reason {
    /// How far the call came before it was stopped: of several reasons the greatest tells the most.
    pub const fn nearness(&self) -> u8 {
        match self {
            Self::NoTarget(_) => 0,
            Self::NoGrant(_) => 1,
            Self::Expired => 2,
            Self::Service { .. } => 3,
            Self::Action { .. } => 4,
            Self::OtherResource { .. } => 5,
            Self::Request { .. } => 6,
            Self::Resource { .. } => 7,
            Self::Condition { .. } => 8,
            Self::Denied { .. } => 9,
        }
    }
}

/// A grant that is for this caller, and what stopped it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    /// The grant.
    pub grant: GrantName,
    /// What stopped it.
    pub reason: Reason,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for Denial {}
