//! One rule of a grant: which calls it is about.
//!
//! What the wire does not tell is never allowed by a rule that asks for it, and always denied by one that does: to
//! allow, a rule must cover all that the call may be; to deny, any of it.

use std::fmt;

use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::call::NO_RESOURCE;
use crate::{Call, Deed, Pattern, written};

/// Which calls a grant allows or denies. Everything that is said must fit; what is not said fits any call.
///
/// Written down, a rule says something: every call is `{"actions": ["*"]}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "WrittenRule")]
pub struct Rule {
    /// The service, by the name that it signs under or that its actions begin with.
    pub service: Option<String>,
    /// Actions in the words of the cloud: `s3:Get*`. Letter case counts for nothing, as in IAM.
    pub actions: Vec<Pattern>,
    /// Resources, as the cloud names them.
    pub resources: Vec<Pattern>,
    /// HTTP methods.
    pub methods: Vec<String>,
    /// Paths, decoded: `/prod/orders/*`.
    pub paths: Vec<Pattern>,
}

/// A rule as it is written. One that says nothing would fit every call, and is hardly meant.
#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenRule {
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "written::non_empty")]
    actions: Vec<Pattern>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "written::non_empty")]
    resources: Vec<Pattern>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "written::non_empty")]
    methods: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "written::non_empty")]
    paths: Vec<Pattern>,
}

/// A rule that says nothing.
#[derive(Debug, thiserror::Error)]
#[error("this rule says nothing; for every call write \"actions\": [\"*\"]")]
struct SaysNothing;

impl TryFrom<WrittenRule> for Rule {
    type Error = SaysNothing;

    fn try_from(written: WrittenRule) -> Result<Self, SaysNothing> {
        if written == WrittenRule::default() {
            return Err(SaysNothing);
        }
        let WrittenRule { service, actions, resources, methods, paths } = written;
        Ok(Self { service, actions, resources, methods, paths })
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Self::default() {
            return Err(S::Error::custom(SaysNothing));
        }
        let Self { service, actions, resources, methods, paths } = self.clone();
        WrittenRule { service, actions, resources, methods, paths }.serialize(serializer)
    }
}

/// How far a call fits an allowing rule; the greatest is the nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// Another action.
    Action,
    /// The action, on another resource.
    Resource,
    /// Action and resource, another method or path.
    Request,
    /// All of it.
    Whole,
}

impl From<Pattern> for Rule {
    /// The actions that fit a pattern.
    fn from(actions: Pattern) -> Self {
        Self { actions: vec![actions], ..Self::default() }
    }
}

impl Rule {
    /// Whether it is about resources, so that a call must tell its own.
    pub const fn asks_for_resources(&self) -> bool {
        !self.resources.is_empty()
    }

    /// Whether it is about method or path, which no policy of a cloud can say.
    pub const fn is_about_http(&self) -> bool {
        !(self.methods.is_empty() && self.paths.is_empty())
    }

    /// Whether it fits every call.
    pub fn is_everything(&self) -> bool {
        let all = |patterns: &[Pattern]| patterns.is_empty() || patterns.iter().any(Pattern::is_everything);
        self.service.is_none() && !self.is_about_http() && all(&self.actions) && all(&self.resources)
    }

    /// How far it covers one deed of a call.
    pub(crate) fn fit(&self, call: &Call, deed: Deed<&str>) -> Fit {
        if self.is_about(call, deed) { self.further(call, deed) } else { Fit::Action }
    }

    /// Whether it covers the action of one deed of a call, whatever that acts on.
    pub(crate) fn is_about(&self, call: &Call, deed: Deed<&str>) -> bool {
        self.is_of_service(call, deed) && self.covers_action(call, deed.action)
    }

    /// How far it covers a deed that it is about.
    pub(crate) fn further(&self, call: &Call, deed: Deed<&str>) -> Fit {
        let covered = |resource: &str| self.resources.iter().any(|pattern| pattern.covers(resource));
        if !(self.resources.is_empty() || deed.resource.is_some_and(covered)) {
            return Fit::Resource;
        }
        let path = || call.read_path().is_some_and(|path| self.paths.iter().any(|pattern| pattern.matches(&path)));
        if self.is_of_method(call) && (self.paths.is_empty() || path()) { Fit::Whole } else { Fit::Request }
    }

    /// Whether it may be about one deed of a call.
    pub(crate) fn denies(&self, call: &Call, deed: Deed<&str>) -> bool {
        self.is_of_service(call, deed)
            && self.is_of_method(call)
            && self.may_be_action(call, deed.action)
            && self.may_be_resource(call, deed)
            && (self.paths.is_empty()
                || call.read_path().is_none_or(|path| self.paths.iter().any(|pattern| pattern.matches(&path))))
    }

    /// Clients sign `s3` for hosts of S3's other services, so what the action begins with counts too.
    fn is_of_service(&self, call: &Call, deed: Deed<&str>) -> bool {
        let of_action = deed.action.and_then(|action| action.split(':').next());
        self.service
            .as_deref()
            .is_none_or(|only| [Some(&*call.service), Some(&*call.prefix), of_action].contains(&Some(only)))
    }

    fn is_of_method(&self, call: &Call) -> bool {
        self.methods.is_empty() || self.methods.contains(&call.method)
    }

    /// An action that the wire does not tell is covered only by a pattern of the whole service.
    fn covers_action(&self, call: &Call, action: Option<&str>) -> bool {
        self.actions.is_empty()
            || self.actions.iter().any(|pattern| match action {
                Some(action) => pattern.matches_ignoring_case(action),
                None => {
                    let service = pattern.as_str().strip_suffix(":*");
                    pattern.is_everything() || service.is_some_and(|s| s.eq_ignore_ascii_case(prefix_of(call)))
                }
            })
    }

    fn may_be_action(&self, call: &Call, action: Option<&str>) -> bool {
        self.actions.is_empty()
            || self.actions.iter().any(|pattern| match action {
                Some(action) => pattern.matches_ignoring_case(action),
                None => {
                    let service = pattern.as_str().split(':').next().unwrap_or_default();
                    Pattern::new(service).is_ok_and(|service| service.matches_ignoring_case(prefix_of(call)))
                }
            })
    }

    /// A resource that the wire does not tell may be any: of the service that the action is of, where the rule says nothing
    /// but resources. Some services act on those of another one, whose names hold theirs: `iotjobsdata`, `rds-data`.
    fn may_be_resource(&self, call: &Call, deed: Deed<&str>) -> bool {
        self.resources.is_empty()
            || self.resources.iter().any(|pattern| match deed.resource {
                Some(NO_RESOURCE) => pattern.is_everything(),
                Some(resource) => pattern.overlaps(resource),
                None => {
                    let service = pattern.as_str().split(':').nth(2).unwrap_or("*");
                    let of = deed.action.and_then(|action| action.split(':').next()).unwrap_or_else(|| prefix_of(call));
                    let named = !self.actions.is_empty() || self.service.is_some();
                    named || service.contains(['*', '?']) || service.contains(of) || of.contains(service)
                }
            })
    }
}

fn prefix_of(call: &Call) -> &str {
    if call.prefix.is_empty() { &call.service } else { &call.prefix }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |patterns: &[Pattern]| patterns.iter().map(Pattern::as_str).collect::<Vec<_>>().join(", ");
        match (&self.service, self.actions.is_empty()) {
            (Some(service), true) => write!(f, "everything of {service}")?,
            (None, true) => f.write_str("everything")?,
            (Some(service), false) => write!(f, "{} of {service}", joined(&self.actions))?,
            (None, false) => f.write_str(&joined(&self.actions))?,
        }
        if !self.resources.is_empty() {
            write!(f, " on {}", joined(&self.resources))?;
        }
        if !self.methods.is_empty() {
            write!(f, " by {}", self.methods.join(", "))?;
        }
        if !self.paths.is_empty() {
            write!(f, " at {}", joined(&self.paths))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
