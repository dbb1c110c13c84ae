//! What may be reached, and who may reach it.

use std::borrow::Cow;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::rule::Fit;
use crate::{Call, Cloud, Deed, GrantName, NamedCondition, Pattern, Rule, TargetName, Who};
use crate::{call, written};

/// Something that may be reached: a role in a cloud account, and what of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// What programs and grants call it.
    pub name: TargetName,
    /// Whose cloud.
    pub cloud: Cloud,
    /// The cloud's name for the identity to become (AWS: a role ARN).
    pub role: String,
    /// The only service that may be reached through it, by signing name; `None`: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Resources that may be reached through it; none listed: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "written::non_empty")]
    pub resources: Vec<Pattern>,
    /// The region whose token service is asked.
    pub region: String,
    /// How long a session at the cloud lasts if no grant says less.
    #[serde(rename = "session_s", with = "written::seconds")]
    pub session: SignedDuration,
}

/// Who may do what at which target, and when.
///
/// As JSON, with all that may be left out left out but one condition:
///
/// ```
/// let written = r#"{
///     "name": "shop-reads-receipts",
///     "from": [{"source": "shop-pods"}, {"directory_group": {"name": "Accounting"}}],
///     "to": "receipts",
///     "allow": [{"actions": ["s3:Get*"]}],
///     "conditions": [{"condition": {"mfa": {"within_s": 900}}}]
/// }"#;
/// let grant: access::Grant = serde_json::from_str(written)?;
/// assert_eq!(grant.from.len(), 2);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Its name, which audit and refusals say.
    pub name: GrantName,
    /// Any of these.
    pub from: Vec<Who>,
    /// May reach this.
    pub to: TargetName,
    /// By calls that one of these fits, deed by deed; none: nothing.
    pub allow: Vec<Rule>,
    /// And by none that one of these fits, whatever this or another grant allows, and whether or not conditions hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "written::non_empty")]
    pub deny: Vec<Rule>,
    /// While all of these hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "written::non_empty")]
    pub conditions: Vec<NamedCondition>,
    /// How long a session at the cloud lasts; the target's own length if not said.
    #[serde(default, rename = "session_s", skip_serializing_if = "Option::is_none", with = "written::seconds::maybe")]
    pub session: Option<SignedDuration>,
    /// Managed policies that narrow the session further (AWS: policy ARNs).
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "written::non_empty")]
    pub policies: Vec<String>,
}

impl Grant {
    /// The rule that allows a call, deed by deed: that of its first; or how far the first deed came that none allows.
    pub(crate) fn allows<'c>(&self, call: &'c Call, target: &Target) -> Result<usize, (Fit, Deed<&'c str>)> {
        let mut allowing = None;
        for deed in call.deeds() {
            let rule = self.rule_for(call, deed, target).map_err(|fit| (fit, deed))?;
            allowing = allowing.or(Some(rule));
        }
        Ok(allowing.unwrap_or_default())
    }

    /// The rule that allows one deed. Most rules are about other actions, so what it acts on is settled only for one that is
    /// about its own.
    fn rule_for(&self, call: &Call, deed: Deed<&str>, target: &Target) -> Result<usize, Fit> {
        let (mut nearest, mut settled) = (Fit::Action, None);
        for (number, rule) in self.allow.iter().enumerate().filter(|(_, rule)| rule.is_about(call, deed)) {
            let resource = settled.get_or_insert_with(|| deed.resource.map(|resource| target.settled(resource)));
            match rule.further(call, Deed { resource: resource.as_deref(), ..deed }) {
                Fit::Whole => return Ok(number),
                fit => nearest = nearest.max(fit),
            }
        }
        Err(nearest)
    }

    /// Whether a rule that allows what a call does names its action in full.
    pub(crate) fn names(&self, call: &Call, target: &Target) -> bool {
        let Some(deed) = call.deeds().next() else { return false };
        let resource = deed.resource.map(|resource| target.settled(resource));
        let settled = Deed { resource: resource.as_deref(), ..deed };
        let is_name = |rule: &Rule| {
            deed.action.is_some_and(|action| rule.actions.iter().any(|name| name.as_str().eq_ignore_ascii_case(action)))
        };
        self.allow.iter().any(|rule| is_name(rule) && rule.fit(call, settled) == Fit::Whole)
    }

    /// The first rule that denies a call.
    pub(crate) fn denies(&self, call: &Call, target: &Target) -> Option<usize> {
        self.deny.iter().position(|rule| {
            call.deeds().any(|deed| {
                let resource = deed.resource.map(|resource| target.settled(resource));
                rule.denies(call, Deed { resource: resource.as_deref(), ..deed })
            })
        })
    }
}

impl Target {
    /// The account of its role; empty where its cloud has none in the role's name.
    pub fn account(&self) -> &str {
        self.role.split(':').nth(4).unwrap_or_default()
    }

    /// A resource with the account written out that the wire left out.
    pub(crate) fn settled<'r>(&self, resource: &'r str) -> Cow<'r, str> {
        call::settled(resource, self.account()).map_or(Cow::Borrowed(resource), Cow::Owned)
    }

    pub(crate) fn offers_service(&self, call: &Call) -> bool {
        self.cloud == call.cloud && self.service.as_ref().is_none_or(|only| *only == call.service)
    }

    /// The first resource of the call that is none of the target's. What the wire does not tell is not.
    pub(crate) fn lacks<'c>(&self, call: &'c Call) -> Option<Deed<&'c str>> {
        let offered = |resource: &str| {
            let resource = self.settled(resource);
            self.resources.iter().any(|pattern| pattern.covers(&resource))
        };
        if self.resources.is_empty() {
            return None;
        }
        call.deeds().find(|deed| !deed.resource.is_some_and(offered))
    }
}
