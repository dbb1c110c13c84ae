//! What may be reached: identities, accounts, targets.

use std::collections::BTreeMap;

use access::{Cloud, Target, TargetName};
use jiff::SignedDuration;

use super::check::{Check, Reported, known};
use super::{entries, names};
use crate::at::At;
use crate::defaults;
use crate::document::shown;
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::later;
use crate::raw;
use crate::values::arn::{self, RoleArn};
use crate::values::duration::Bounds;

/// AssumeRoleWithWebIdentity, `DurationSeconds`.
pub(super) const STS_SESSION: Bounds =
    Bounds::seconds(900, 43_200, "AWS STS lends for 15 minutes to 12 hours, within what the role allows");

/// The targets that are written, and the default among them.
pub(super) struct Reach {
    pub(super) targets: Vec<Target>,
    pub(super) default: Option<TargetName>,
}

pub(super) fn targets(check: &mut Check<'_>, raw: &raw::Config) -> Reach {
    let identities = identities(check, raw);
    let mut reach = Reach { targets: Vec::new(), default: None };
    for (name, at) in entries(raw.targets.as_ref()) {
        let Some(written) = at.get() else { continue };
        let Some(target) = target(check, (name, at), &identities) else { continue };
        if written.default.as_ref().and_then(At::get) == Some(&true) {
            take_default(check, (written, &target.name), &mut reach.default);
        }
        reach.targets.push(target);
    }
    reach
}

fn take_default(check: &mut Check<'_>, (raw, name): (&raw::Target, &TargetName), default: &mut Option<TargetName>) {
    match (default.as_ref(), &raw.default) {
        (Some(first), Some(flag)) => {
            let wrong = Wrong::new(Code::Contradiction, format!("\"{first}\" is the default already"));
            check.flaw(flag.node, wrong.help("one target at most is the default"));
        }
        _ => *default = Some(name.clone()),
    }
}

/// Identities under their names; `None` for those that are wrong.
type Identities<'r> = BTreeMap<&'r str, Option<(RoleArn, SignedDuration)>>;

const IDENTITY_KIND: &str = "aws/assume-role";

fn identities<'r>(check: &mut Check<'_>, raw: &'r raw::Config) -> Identities<'r> {
    let each = entries(raw.identities.as_ref());
    each.map(|(name, at)| (name.text(), at.get().and_then(|raw| identity(check, name, raw)))).collect()
}

fn identity(check: &mut Check<'_>, name: &At<String>, raw: &raw::Identity) -> Option<(RoleArn, SignedDuration)> {
    let name = check.name(name, TargetName::new);
    let kind = check.take(&raw.kind, |kind| match kind.as_str() {
        IDENTITY_KIND => Ok(()),
        other => Err(later::kind("identities", other, IDENTITY_KIND)),
    });
    let role = raw.principal.get().and_then(|principal| check.take(&principal.assume_role, |text| arn::role(text)));
    let session = raw.session.as_ref().and_then(At::get).and_then(|session| session.duration.as_ref());
    let session = check.period(session, defaults::SESSION, STS_SESSION);
    name.and(kind)?;
    Some((role?, session?))
}

fn target(
    check: &mut Check<'_>,
    (name, at): (&At<String>, &At<raw::Target>),
    identities: &Identities<'_>,
) -> Option<Target> {
    let raw = at.get()?;
    let name = check.name(name, TargetName::new);
    let service = check.take(&raw.kind, |kind| service(kind));
    if let Some(Some(name)) =
        service.as_ref().filter(|name| name.as_ref().is_some_and(|name| !crate::values::service::is_known(name)))
    {
        let wrong = Wrong::new(Code::IdleRule, format!("no service is known by the name {}", shown(name)));
        let near = crate::values::service::nearest(name).map(|near| format!("did you mean aws/{near}?"));
        check.flaw(raw.kind.node, wrong.maybe_help(near));
    }
    let chosen = role(check, at, identities);
    let region = check.maybe(raw.region.as_ref(), |region| arn::partition_of(region).map(|_| region.clone()));
    let region = chosen.as_ref().and_then(|(role, _)| self::region(check, at, (role, region)));
    check.not_empty(raw.resources.as_ref(), "take it out to mean all that the role may, or write ARNs");
    let resources = check.each(raw.resources.as_ref(), |text| arn::resource(text));
    let session = check.maybe(raw.session.as_ref(), |written| crate::values::duration::period(written, STS_SESSION));
    let (role, usual) = chosen?;
    Some(Target {
        name: name?,
        cloud: Cloud::Aws,
        role: role.text,
        service: service?,
        resources,
        region: region?,
        session: session.ok()?.unwrap_or(usual),
    })
}

/// `aws` or `aws/<signing name>`.
fn service(kind: &str) -> Result<Option<String>, Wrong> {
    const SUPPORTED: &str = "aws, or aws/<service> such as aws/s3";
    let mark = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    match kind.split_once('/') {
        None if kind == "aws" => Ok(None),
        Some(("aws", service)) if !service.is_empty() && service.bytes().all(mark) => Ok(Some(service.to_owned())),
        Some(("aws", _)) => {
            Err(Wrong::value("after `aws/` stands the name that a service signs under").help(SUPPORTED))
        }
        _ => Err(later::kind("targets", kind, SUPPORTED)),
    }
}

/// The role to become, and how long its sessions last if nothing else is said.
fn role(check: &mut Check<'_>, at: &At<raw::Target>, identities: &Identities<'_>) -> Option<(RoleArn, SignedDuration)> {
    let raw = at.get()?;
    match (&raw.identity, &raw.role) {
        (Some(identity), None) => {
            let names: Vec<&str> = identities.keys().copied().collect();
            check.take(identity, |name| known("identity", name, &names))?;
            identities.get(identity.text()).cloned().flatten()
        }
        (None, Some(role)) => {
            let usual = check.period(None, defaults::SESSION, STS_SESSION)?;
            Some((check.take(role, |text| arn::role(text))?, usual))
        }
        (Some(_), Some(role)) => {
            let wrong = Wrong::new(Code::Contradiction, "`identity` and `role` both say which role to become");
            check.flaw(role.node, wrong.help("keep one of the two"));
            None
        }
        (None, None) => {
            let wrong = Wrong::new(Code::MissingKey, "it is not said which role to become");
            check.flaw(at.node, wrong.help("write `identity: NAME` or `role: arn:aws:iam::123456789012:role/Name`"));
            None
        }
    }
}

fn region(
    check: &mut Check<'_>,
    at: &At<raw::Target>,
    (role, region): (&RoleArn, Result<Option<String>, Reported>),
) -> Option<String> {
    let written = region.ok()?;
    let Some(region) = written else {
        let default = arn::default_region(role.partition);
        if default.is_none() {
            let wrong =
                Wrong::new(Code::MissingKey, format!("a role of partition {} needs a `region`", role.partition));
            check.flaw(at.node, wrong.help("write the region whose STS is to be asked"));
        }
        return default.map(str::to_owned);
    };
    let partition = arn::partition_of(&region).ok()?;
    if partition != role.partition {
        let message = format!("{region} belongs to partition {partition}, and the role to {}", role.partition);
        check.flaw(
            at.get()?.region.as_ref().map_or(at.node, |region| region.node),
            Wrong::new(Code::Contradiction, message),
        );
        return None;
    }
    Some(region)
}

/// The names of targets, also of those that are wrong.
pub(super) fn target_names(raw: &raw::Config) -> Vec<&str> {
    names(raw.targets.as_ref())
}
