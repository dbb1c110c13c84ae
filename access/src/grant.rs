//! What may be reached, and who may reach it.

use jiff::SignedDuration;

use crate::{Call, Caller, Cloud, GrantName, GroupName, NamedCondition, Pattern, RoleName, SourceName, TargetName};

/// Something that may be reached: a role in a cloud account, and what of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What programs and grants call it.
    pub name: TargetName,
    /// Whose cloud.
    pub cloud: Cloud,
    /// The cloud's name for the identity to become (AWS: a role ARN).
    pub role: String,
    /// The only service that may be reached through it, by signing name; `None`: any.
    pub service: Option<String>,
    /// Resources that may be reached through it; none listed: any.
    pub resources: Vec<Pattern>,
    /// The region whose token service is asked.
    pub region: String,
    /// How long a session at the cloud lasts if no grant says less.
    pub session: SignedDuration,
}

/// Whom a grant is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Callers that fulfil this source's `match`.
    Source(SourceName),
    /// Callers in this group.
    Group(GroupName),
    /// Callers that have this role.
    Role(RoleName),
}

/// Who may do what at which target, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its name, which audit and refusals say.
    pub name: GrantName,
    /// Any of these.
    pub from: Vec<Who>,
    /// May reach this.
    pub to: TargetName,
    /// With these actions, in the words of the cloud (`s3:Get*`); none: nothing.
    pub allow: Vec<Pattern>,
    /// While all of these hold.
    pub conditions: Vec<NamedCondition>,
    /// How long a session at the cloud lasts; the target's own length if not said.
    pub session: Option<SignedDuration>,
    /// Managed policies that narrow the session further (AWS: policy ARNs).
    pub policies: Vec<String>,
}

impl Who {
    pub(crate) fn includes(&self, caller: &Caller) -> bool {
        match self {
            Self::Source(name) => caller.sources.contains(name),
            Self::Group(name) => caller.groups.contains(name),
            Self::Role(name) => caller.roles.contains(name),
        }
    }
}

impl Grant {
    pub(crate) fn is_for(&self, caller: &Caller) -> bool {
        self.from.iter().any(|who| who.includes(caller))
    }

    /// Whether the call's action is allowed. An action that the wire does not tell is covered only by a pattern that
    /// covers the whole service.
    pub(crate) fn allows(&self, call: &Call) -> bool {
        self.allow.iter().any(|pattern| match &call.action {
            Some(action) => pattern.matches_ignoring_case(action),
            None => pattern.is_everything() || pattern.as_str().strip_suffix(":*") == Some(&*call.service),
        })
    }
}

impl Target {
    pub(crate) fn offers_service(&self, call: &Call) -> bool {
        self.cloud == call.cloud && self.service.as_ref().is_none_or(|only| *only == call.service)
    }

    /// Whether the call's resource is one of the target's. A resource that the wire does not tell is not.
    pub(crate) fn offers_resource(&self, call: &Call) -> bool {
        self.resources.is_empty()
            || call.resource.as_ref().is_some_and(|arn| self.resources.iter().any(|pattern| pattern.matches(arn)))
    }
}
