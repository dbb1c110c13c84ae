//! Who may do what at which target.

use std::collections::{BTreeMap, HashSet};

use access::{
    ByIdOrName, DisplayName, Grant, GrantName, GroupName, Pattern, RoleName, SourceName, TargetName, Who, Workload,
};

use super::check::{Check, known};
use super::conditions::{self, ByName};
use super::mappings;
use super::names;
use super::rules;
use super::targets::{STS_SESSION, target_names};
use crate::at::{At, Named};
use crate::document::{NodeId, shown};
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::raw::{self, From, Whom, WhomOrName};
use crate::values::arn;
use crate::values::duration::period;

/// AssumeRoleWithWebIdentity, `PolicyArns`: at most 10.
const MAX_POLICIES: usize = 10;

pub(super) fn grants(check: &mut Check<'_>, raw: &raw::Config, named: &ByName<'_>) -> Vec<Grant> {
    let mut seen = HashSet::new();
    let mut grants = Vec::new();
    for at in raw.grants.as_ref().map(At::items).unwrap_or_default() {
        let Some(written) = at.get() else { continue };
        if !written.name.text().is_empty() && !seen.insert(written.name.text()) {
            let wrong =
                Wrong::new(Code::Duplicate, format!("there are two grants named {}", shown(written.name.text())));
            check.flaw(written.name.node, wrong.help("audit and refusals name grants: give each its own name"));
        }
        grants.extend(grant(check, (raw, written), named));
    }
    grants
}

fn grant(check: &mut Check<'_>, (all, raw): (&raw::Config, &raw::Grant), named: &ByName<'_>) -> Option<Grant> {
    let name = check.name(&raw.name, GrantName::new);
    let from = from(check, all, &raw.from);
    let to = to(check, all, &raw.to);
    check.not_empty(Some(&raw.allow), "an empty list allows nothing; write actions, or \"*\" for all");
    let allow = rules::rules(check, Some(&raw.allow));
    check.not_empty(raw.deny.as_ref(), "take it out to deny nothing, or write actions or rules");
    let deny = rules::rules(check, raw.deny.as_ref());
    let conditions = conditions::of_grant(check, raw.conditions.as_ref(), named);
    let session = check.maybe(raw.session.as_ref(), |written| period(written, STS_SESSION));
    let policies = policies(check, raw.policies.as_ref());
    Some(Grant { name: name?, from: from?, to: to?, allow, deny, conditions, session: session.ok()?, policies })
}

fn to(check: &mut Check<'_>, all: &raw::Config, raw: &At<String>) -> Option<TargetName> {
    let mapped = mappings::target_names(all);
    let names: Vec<&str> = target_names(all).into_iter().chain(mapped.iter().map(String::as_str)).collect();
    check.take(raw, |name| known("target", name, &names))?;
    TargetName::new(raw.text()).ok()
}

fn policies(check: &mut Check<'_>, raw: Option<&At<Vec<At<String>>>>) -> Vec<String> {
    check.not_empty(raw, "take it out, or write policy ARNs");
    let policies = check.each(raw, |text| arn::policy(text));
    if let Some(raw) = raw.filter(|raw| raw.items().len() > MAX_POLICIES) {
        check.flaw(raw.node, Wrong::new(Code::OutOfBounds, "AWS STS takes at most 10 policies"));
    }
    policies
}

fn from(check: &mut Check<'_>, all: &raw::Config, raw: &At<From>) -> Option<Vec<Who>> {
    match raw.get()? {
        From::Source(name) => Some(vec![source(check, all, (raw.node, name))?]),
        From::Whom(whom) => Some(vec![self::whom(check, all, (raw.node, whom))?]),
        From::Any(items) => {
            if items.is_empty() {
                let help = "an empty list grants to nobody; name a source, a role, a group, …";
                check.flaw(raw.node, Wrong::value("this list is empty").help(help));
            }
            let each = items.iter().map(|item| match item.get()? {
                WhomOrName::Source(name) => source(check, all, (item.node, name)),
                WhomOrName::Whom(whom) => self::whom(check, all, (item.node, whom)),
            });
            each.collect::<Vec<_>>().into_iter().collect()
        }
    }
}

fn source(check: &mut Check<'_>, all: &raw::Config, (node, name): (NodeId, &str)) -> Option<Who> {
    match known("source", name, &names(all.sources.as_ref())) {
        Ok(()) => SourceName::new(name).ok().map(Who::Source),
        Err(wrong) => {
            check.flaw(node, wrong);
            None
        }
    }
}

/// Callers of one kind, exactly one.
fn whom(check: &mut Check<'_>, all: &raw::Config, (node, raw): (NodeId, &Whom)) -> Option<Who> {
    let Whom { role, group, user, directory_group, directory_role, workload } = raw;
    let names = [user, directory_group, directory_role].map(Option::as_ref);
    let mut others = names.iter().flatten().map(|name| name.node).chain(workload.as_ref().map(|at| at.node));
    let Some(first) = others.next() else { return role_or_group(check, node, (role.as_ref(), group.as_ref())) };
    let conferred = [role, group].into_iter().flatten().map(|name| name.node).next();
    if let Some(other) = conferred.or_else(|| others.next()) {
        let wrong =
            Wrong::new(Code::Contradiction, "several kinds of callers stand side by side: any, or all of them?");
        check.flaw(if conferred.is_some() { first } else { other }, wrong.help("write an entry for each"));
        return None;
    }
    let [user, group, role] = names;
    match (user, group, role, workload) {
        (Some(name), ..) => known_by_name(check, name).map(Who::User),
        (_, Some(name), ..) => known_by_name(check, name).map(Who::DirectoryGroup),
        (_, _, Some(name), _) => known_by_name(check, name).map(Who::DirectoryRole),
        (.., workload) => self::workload(check, all, workload.as_ref()?).map(Who::Workload),
    }
}

/// A config cannot know the ids of a directory.
fn known_by_name<Id>(check: &mut Check<'_>, raw: &At<String>) -> Option<ByIdOrName<Id>> {
    check
        .take(raw, |name| DisplayName::new(name).map_err(|error| Wrong::new(Code::BadName, error)))
        .map(ByIdOrName::Name)
}

fn workload(check: &mut Check<'_>, all: &raw::Config, at: &At<raw::Workload>) -> Option<Workload> {
    let raw = at.get()?;
    let source = check.take(&raw.source, |name| {
        known("source", name, &names(all.sources.as_ref()))?;
        SourceName::new(name).map_err(|error| Wrong::new(Code::BadName, error))
    });
    let mut attributes = BTreeMap::new();
    for (name, value) in raw.matches.get().into_iter().flat_map(Named::iter) {
        let pattern = check.take(value, |text| Pattern::new(text).map_err(Wrong::value));
        attributes.insert(name.text().to_owned(), pattern);
    }
    let is_right = attributes.values().all(Option::is_some) && raw.matches.get().is_some();
    let attributes = attributes.into_iter().filter_map(|(name, pattern)| Some((name, pattern?))).collect();
    let source = source.filter(|_| is_right)?;
    Workload::new(source, attributes).map_err(|error| check.flaw(raw.matches.node, Wrong::value(error))).ok()
}

/// A role or a group, exactly one.
pub(super) fn role_or_group(
    check: &mut Check<'_>,
    node: NodeId,
    either: (Option<&At<String>>, Option<&At<String>>),
) -> Option<Who> {
    match either {
        (Some(role), None) => check.name(role, RoleName::new).map(Who::Role),
        (None, Some(group)) => check.name(group, GroupName::new).map(Who::Group),
        (Some(_), Some(group)) => {
            let wrong = Wrong::new(Code::Contradiction, "`role` and `group` stand side by side: either, or both?");
            check.flaw(group.node, wrong.help("write an entry for each"));
            None
        }
        (None, None) => {
            check.flaw(node, Wrong::new(Code::MissingKey, "a `role` or a `group` is missing here"));
            None
        }
    }
}
