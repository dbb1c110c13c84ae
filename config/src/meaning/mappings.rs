//! Roles and groups of callers, and the cloud roles that they may take.
//!
//! Each mapping makes a target `production/Admin` and a grant `role:cloud-admin@production/Admin`, so that below
//! this line there are only targets and grants.

use access::{Cloud, Grant, GrantName, NamedCondition, Pattern, Target, TargetName, Who};

use super::check::{Check, known};
use super::conditions::{self, ByName};
use super::grants::role_or_group;
use super::targets::STS_SESSION;
use super::{entries, names};
use crate::at::At;
use crate::defaults;
use crate::document::{NodeId, shown};
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::later;
use crate::raw;
use crate::values::arn::{self, RoleArn};

const SUPPORTED: &str = "aws";

/// What the mappings make, each with the mapping that makes it.
#[derive(Default)]
pub(super) struct Mapped {
    pub(super) targets: Vec<(NodeId, Target)>,
    pub(super) grants: Vec<(NodeId, Grant)>,
}

pub(super) fn mappings(check: &mut Check<'_>, raw: &raw::Config, named: &ByName<'_>) -> Mapped {
    accounts(check, raw);
    let mut mapped = Mapped::default();
    for at in raw.role_mappings.as_ref().map(At::items).unwrap_or_default() {
        let Some(written) = at.get() else { continue };
        let who = role_or_group(check, at.node, (written.role.as_ref(), written.group.as_ref()));
        let kind = if written.role.is_some() { "role" } else { "group" };
        let title = written.role.as_ref().or(written.group.as_ref()).map(|name| format!("{kind}:{}", name.text()));
        let mut conditions = conditions::of_grant(check, written.conditions.as_ref(), named);
        let longest = conditions::max_session(check, written.max_session.as_ref());
        conditions.extend(longest.map(|condition| NamedCondition { name: None, condition }));
        check.not_empty(Some(&written.mappings), "write at least one {account: …, role: …}");
        for mapping in written.mappings.items() {
            let target = target(check, raw, mapping);
            if let (Some(who), Some(title), Some(target)) = (&who, &title, target) {
                let name = format!("{title}@{}", target.name);
                grant(check, (mapping.node, &name, who, target), &conditions, &mut mapped);
            }
        }
    }
    mapped
}

fn accounts(check: &mut Check<'_>, raw: &raw::Config) {
    for (name, at) in entries(raw.accounts.as_ref()) {
        check.name(name, TargetName::new);
        let Some(account) = at.get() else { continue };
        check.take(&account.provider, |provider| self::provider(provider));
        check.take(&account.account_id, |id| arn::account_id(id));
    }
}

fn provider(provider: &str) -> Result<(), Wrong> {
    if provider == SUPPORTED { Ok(()) } else { Err(later::kind("accounts", provider, SUPPORTED)) }
}

fn target(check: &mut Check<'_>, all: &raw::Config, at: &At<raw::Mapping>) -> Option<Target> {
    let raw = at.get()?;
    let role = check.take(&raw.role, |text| arn::role(text));
    let account = account(check, all, (at, role.as_ref()));
    let (role, account) = (role?, account?);
    let name = TargetName::new(&format!("{account}/{}", role.name)).map_err(|error| {
        Wrong::new(Code::BadName, format!("\"{account}/{}\" cannot be a target's name: {error}", role.name))
            .help("write a target and a grant, with names of your own")
    });
    let Some(region) = arn::default_region(role.partition) else {
        let wrong = Wrong::new(Code::MissingKey, format!("a role of partition {} needs a region", role.partition));
        check.flaw(raw.role.node, wrong.help("write a target with a `region`, and a grant"));
        return None;
    };
    let session = check.period(None, defaults::SESSION, STS_SESSION)?;
    let name = name.map_err(|wrong| check.flaw(raw.role.node, wrong)).ok()?;
    let (service, resources) = (None, Vec::new());
    Some(Target { name, cloud: Cloud::Aws, role: role.text, service, resources, region: region.to_owned(), session })
}

/// What the account of a mapping is called: its name in `accounts`, else its id.
fn account<'r>(
    check: &mut Check<'_>,
    all: &'r raw::Config,
    (at, role): (&'r At<raw::Mapping>, Option<&RoleArn>),
) -> Option<String> {
    let raw = at.get()?;
    match (&raw.account, &raw.provider) {
        (Some(account), None) => {
            check.take(account, |name| known("account", name, &names(all.accounts.as_ref())))?;
            let role = role?;
            let id = id_of(all, account.text())?;
            if id != role.account {
                let message = format!(
                    "account {} is {}, and the role belongs to {}",
                    shown(account.text()),
                    shown(id),
                    role.account
                );
                check.flaw(raw.role.node, Wrong::new(Code::Contradiction, message));
                return None;
            }
            Some(account.text().to_owned())
        }
        (None, Some(provider)) => {
            check.take(provider, |provider| self::provider(provider))?;
            let role = role?;
            let named = entries(all.accounts.as_ref()).find(|(name, _)| id_of(all, name.text()) == Some(&role.account));
            Some(named.map_or_else(|| role.account.clone(), |(name, _)| name.text().to_owned()))
        }
        (Some(_), Some(provider)) => {
            let wrong = Wrong::new(Code::Contradiction, "`account` says already which cloud it is");
            check.flaw(provider.node, wrong.help("take `provider` out"));
            None
        }
        (None, None) => {
            let wrong = Wrong::new(Code::MissingKey, "an `account` is missing here");
            check.flaw(at.node, wrong.help("write `account: NAME`, or `provider: aws`"));
            None
        }
    }
}

fn id_of<'r>(all: &'r raw::Config, name: &str) -> Option<&'r str> {
    let (_, account) = entries(all.accounts.as_ref()).find(|(named, _)| named.text() == name)?;
    account.get().and_then(|account| account.account_id.get()).map(String::as_str)
}

fn grant(
    check: &mut Check<'_>,
    (node, name, who, target): (NodeId, &str, &Who, Target),
    conditions: &[NamedCondition],
    mapped: &mut Mapped,
) {
    let (Ok(name), Ok(everything)) = (GrantName::new(name), Pattern::new("*")) else {
        let wrong =
            Wrong::new(Code::BadName, format!("the grant that this makes, \"{name}\", has more than 64 characters"));
        check.flaw(node, wrong.help("write a target and a grant, with names of your own"));
        return;
    };
    let grant = Grant {
        name,
        from: vec![who.clone()],
        to: target.name.clone(),
        allow: vec![everything.into()],
        deny: Vec::new(),
        conditions: conditions.to_vec(),
        session: None,
        policies: Vec::new(),
    };
    mapped.grants.push((node, grant));
    // Two mappings may lead to the same role: it is one target.
    if !mapped.targets.iter().any(|(_, other)| *other == target) {
        mapped.targets.push((node, target));
    }
}

/// The names of the targets that mappings make, so far as they can be told.
pub(super) fn target_names(all: &raw::Config) -> Vec<String> {
    let mut made = Vec::new();
    for written in all.role_mappings.as_ref().map(At::items).unwrap_or_default().iter().filter_map(At::get) {
        for raw in written.mappings.items().iter().filter_map(At::get) {
            let Ok(role) = arn::role(raw.role.text()) else { continue };
            let by_id = || {
                let named =
                    entries(all.accounts.as_ref()).find(|(name, _)| id_of(all, name.text()) == Some(&role.account));
                named.map_or(role.account.as_str(), |(name, _)| name.text())
            };
            let account = raw.account.as_ref().map_or_else(by_id, |account| account.text());
            made.push(format!("{account}/{}", role.name));
        }
    }
    made
}
