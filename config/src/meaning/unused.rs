//! Warnings: what is in order, and yet hardly meant.

use std::collections::HashSet;

use access::{Condition, Grant, Who};

use super::check::Check;
use super::entries;
use crate::at::At;
use crate::document::shown;
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::raw::{self, Conditions, From, Item, Whom, WhomOrName};
use crate::settings::Settings;

/// Warns of what nothing uses and of grants that nobody can use. Without settings, only of the first.
pub(super) fn warn(check: &mut Check<'_>, raw: &raw::Config, settings: Option<&Settings>) {
    unused_targets(check, raw);
    unused_names(check, raw);
    if let Some(settings) = settings {
        useless_grants(check, raw, settings);
    }
}

fn grants(raw: &raw::Config) -> impl Iterator<Item = &raw::Grant> {
    raw.grants.as_ref().map(At::items).unwrap_or_default().iter().filter_map(At::get)
}

fn mappings(raw: &raw::Config) -> impl Iterator<Item = &raw::RoleMapping> {
    raw.role_mappings.as_ref().map(At::items).unwrap_or_default().iter().filter_map(At::get)
}

fn unused_targets(check: &mut Check<'_>, raw: &raw::Config) {
    let used: HashSet<&str> = grants(raw).map(|grant| grant.to.text()).collect();
    for (name, _) in entries(raw.targets.as_ref()).filter(|(name, _)| !used.contains(name.text())) {
        let message = format!("target {} is not used by any grant", shown(name.text()));
        check.flaw(name.node, Wrong::new(Code::UnusedTarget, message));
    }
}

fn unused_names(check: &mut Check<'_>, raw: &raw::Config) {
    let targets = || entries(raw.targets.as_ref()).filter_map(|(_, target)| target.get());
    let identities: HashSet<&str> = targets().filter_map(|target| Some(target.identity.as_ref()?.text())).collect();
    let conditions: HashSet<&str> = grants(raw)
        .map(|grant| grant.conditions.as_ref())
        .chain(mappings(raw).map(|mapping| mapping.conditions.as_ref()))
        .flat_map(condition_names)
        .collect();
    let sources: HashSet<&str> = grants(raw).flat_map(source_names).collect();
    let gives =
        |source: &raw::Source| source.groups.is_some() || source.roles.is_some() || source.groups_claim.is_some();
    let idle = entries(raw.sources.as_ref()).filter(|(_, source)| source.get().is_some_and(|source| !gives(source)));
    let unused = [
        names_not_in("identity", entries(raw.identities.as_ref()).map(|(name, _)| name), &identities),
        names_not_in("condition", entries(raw.conditions.as_ref()).map(|(name, _)| name), &conditions),
        names_not_in("source", idle.map(|(name, _)| name), &sources),
    ];
    for (noun, name) in unused.into_iter().flatten() {
        let message = format!("{noun} {} is not used by anything", shown(name.text()));
        check.flaw(name.node, Wrong::new(Code::UnusedName, message));
    }
}

fn names_not_in<'r>(
    noun: &'static str,
    names: impl Iterator<Item = &'r At<String>>,
    used: &HashSet<&str>,
) -> Vec<(&'static str, &'r At<String>)> {
    names.filter(|name| !used.contains(name.text())).map(|name| (noun, name)).collect()
}

fn condition_names(conditions: Option<&At<Conditions>>) -> Vec<&str> {
    let Some(Conditions::List(items)) = conditions.and_then(At::get) else { return Vec::new() };
    let name = |item: &'_ At<Item>| matches!(item.get(), Some(Item::Name(_)));
    let named = items.iter().filter(|item| name(item)).filter_map(At::get);
    named.filter_map(|item| if let Item::Name(name) = item { Some(name.as_str()) } else { None }).collect()
}

fn source_names(grant: &raw::Grant) -> Vec<&str> {
    match grant.from.get() {
        None => Vec::new(),
        Some(From::Whom(whom)) => of_workload(whom).into_iter().collect(),
        Some(From::Source(name)) => vec![name.as_str()],
        Some(From::Any(items)) => {
            let named = items.iter().filter_map(At::get).filter_map(|item| match item {
                WhomOrName::Source(name) => Some(name.as_str()),
                WhomOrName::Whom(whom) => of_workload(whom),
            });
            named.collect()
        }
    }
}

/// The source of the workloads that a grant is for.
fn of_workload(whom: &Whom) -> Option<&str> {
    Some(whom.workload.as_ref()?.get()?.source.text())
}

fn useless_grants(check: &mut Check<'_>, raw: &raw::Config, settings: &Settings) {
    let all: Vec<_> = settings.rules.targets().flat_map(|target| settings.rules.grants(&target.name)).collect();
    for written in grants(raw) {
        if let Some(why) = all
            .iter()
            .find(|grant| grant.name.as_str() == written.name.text())
            .and_then(|grant| useless(grant, settings))
        {
            let message = format!("nobody can use grant {}: {why}", shown(written.name.text()));
            check.flaw(written.name.node, Wrong::new(Code::UselessGrant, message));
        }
    }
    for at in raw.role_mappings.as_ref().map(At::items).unwrap_or_default() {
        let Some(written) = at.get() else { continue };
        let of = [("role:", written.role.as_ref()), ("group:", written.group.as_ref())];
        let Some((kind, Some(name))) = of.into_iter().find(|(_, name)| name.is_some()) else { continue };
        let start = format!("{kind}{}@", name.text());
        let made = all.iter().find(|grant| grant.name.as_str().starts_with(&start));
        if let Some(why) = made.and_then(|grant| useless(grant, settings)) {
            let message = format!("nobody can use the mappings of {}: {why}", shown(name.text()));
            check.flaw(name.node, Wrong::new(Code::UselessGrant, message));
        }
    }
}

/// Why nobody can ever use a grant. Whom the directory knows, and what a source says of its callers, no config tells.
fn useless(grant: &Grant, settings: &Settings) -> Option<String> {
    let is_person = |who: &Who| matches!(who, Who::User(_) | Who::DirectoryGroup(_) | Who::DirectoryRole(_));
    if !grant.from.iter().any(is_person)
        && grant.conditions.iter().any(|named| matches!(named.condition, Condition::Mfa { .. }))
    {
        return Some("it requires a second factor, and pods have none".to_owned());
    }
    let given = |who: &Who| match who {
        Who::Source(_) | Who::User(_) | Who::DirectoryGroup(_) | Who::DirectoryRole(_) | Who::Workload(_) => true,
        Who::Role(role) => settings.sources.iter().any(|source| source.roles.contains(role)),
        Who::Group(group) => settings.sources.iter().any(|source| source.confers(group)),
    };
    (!grant.from.iter().any(given)).then(|| "no source gives its callers that role or group".to_owned())
}
