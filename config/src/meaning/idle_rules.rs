//! Warnings: rules that no call can fit, and rules that decide nothing.

use access::{Pattern, Rule, Target};

use super::check::Check;
use crate::at::At;
use crate::document::{NodeId, shown};
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::raw::{self, ActionOrRule};
use crate::settings::Settings;
use crate::values::{action, service};

/// Warns of rules that are in order, and yet cannot be meant so.
pub(super) fn warn(check: &mut Check<'_>, raw: &raw::Config, settings: Option<&Settings>) {
    for written in raw.grants.as_ref().map(At::items).unwrap_or_default().iter().filter_map(At::get) {
        for list in [Some(&written.allow), written.deny.as_ref()].into_iter().flatten() {
            unknown_services(check, list);
            unknown_actions(check, list);
        }
        let Some(settings) = settings else { continue };
        let target = settings.rules.targets().find(|target| target.name.as_str() == written.to.text());
        let Some(target) = target else { continue };
        let grants = settings.rules.grants(&target.name);
        let Some(grant) = grants.iter().find(|grant| grant.name.as_str() == written.name.text()) else { continue };
        policies_elsewhere(check, written.policies.as_ref(), target);
        beside_the_target(check, (&written.allow, &grant.allow), target);
        covered(check, (&written.allow, &grant.allow), &grant.deny);
    }
}

fn idle(check: &mut Check<'_>, node: NodeId, message: String) {
    check.flaw(node, Wrong::new(Code::IdleRule, message));
}

/// Managed policies of another partition than the role's: STS knows none of them.
fn policies_elsewhere(check: &mut Check<'_>, policies: Option<&At<Vec<At<String>>>>, target: &Target) {
    let partition = |arn: &str| arn.split(':').nth(1).unwrap_or_default().to_owned();
    let own = partition(&target.role);
    for at in policies.map(At::items).unwrap_or_default().iter().filter(|at| partition(at.text()) != own) {
        idle(check, at.node, format!("the role is in partition {own}, and this policy in another one"));
    }
}

/// Services that AWS does not have, as far as is known.
fn unknown_services(check: &mut Check<'_>, list: &At<Vec<At<ActionOrRule>>>) {
    let mut names: Vec<(NodeId, &str)> = Vec::new();
    for item in list.items() {
        match item.get() {
            Some(ActionOrRule::Actions(text)) => {
                names.extend(text.split_once(':').map(|(service, _)| (item.node, service)))
            }
            Some(ActionOrRule::Rule(rule)) => {
                let actions = rule.actions.as_ref().map(At::items).unwrap_or_default();
                names.extend(actions.iter().filter_map(|at| Some((at.node, at.text().split_once(':')?.0))));
                names.extend(rule.service.as_ref().map(|at| (at.node, at.text())));
            }
            None => {}
        }
    }
    for (node, name) in names.into_iter().filter(|(_, name)| !service::is_known(name)) {
        let wrong = Wrong::new(Code::IdleRule, format!("no service is known by the name {}", shown(name)));
        check.flaw(node, wrong.maybe_help(service::nearest(name).map(|near| format!("did you mean {}?", shown(near)))));
    }
}

/// Actions that IAM does not have: an operation's own name (`s3:ListObjectsV2`), or one written wrong. A denial of it
/// protects nothing.
fn unknown_actions(check: &mut Check<'_>, list: &At<Vec<At<ActionOrRule>>>) {
    let mut patterns: Vec<(NodeId, &str)> = Vec::new();
    for item in list.items() {
        match item.get() {
            Some(ActionOrRule::Actions(text)) => patterns.push((item.node, text)),
            Some(ActionOrRule::Rule(rule)) => {
                let actions = rule.actions.as_ref().map(At::items).unwrap_or_default();
                patterns.extend(actions.iter().map(|at| (at.node, at.text())));
            }
            None => {}
        }
    }
    for (node, text) in patterns {
        let Ok(pattern) = Pattern::new(text) else { continue };
        if action::is_any(&pattern) == Some(false) {
            let wrong = Wrong::new(Code::IdleRule, format!("IAM knows no action that fits {}", shown(text)));
            let help = action::nearest(&pattern).map(|near| format!("did you mean {}?", shown(&near)));
            check.flaw(node, wrong.maybe_help(help));
        }
    }
}

/// What is allowed of other services or other resources than the target has.
fn beside_the_target(check: &mut Check<'_>, (raw, rules): (&At<Vec<At<ActionOrRule>>>, &[Rule]), target: &Target) {
    for (item, rule) in raw.items().iter().zip(rules) {
        if let Some(only) = &target.service
            && !rule.actions.is_empty()
            && rule.actions.iter().all(|action| !is_of(action, only))
        {
            let message = format!("nothing of {} is reached through target {}", rule, shown(target.name.as_str()));
            check.flaw(item.node, Wrong::new(Code::IdleRule, message).help(format!("its kind is aws/{only}")));
        }
        let meets = |own: &Pattern| target.resources.iter().any(|theirs| theirs.overlaps(own.as_str()));
        let any = rule.resources.is_empty() || target.resources.is_empty();
        if !any && !rule.resources.iter().any(meets) {
            let message = format!("none of these resources is one of target {}", shown(target.name.as_str()));
            idle(check, item.node, message);
        }
    }
}

fn is_of(action: &Pattern, only: &str) -> bool {
    match action.as_str().split_once(':') {
        Some((of, _)) => service::prefixes(only).any(|prefix| prefix.eq_ignore_ascii_case(of)),
        None => true,
    }
}

/// What a denial takes back as a whole, and actions that `*` beside them holds already.
fn covered(check: &mut Check<'_>, (raw, allow): (&At<Vec<At<ActionOrRule>>>, &[Rule]), deny: &[Rule]) {
    for (number, (item, rule)) in raw.items().iter().zip(allow).enumerate() {
        if let Some(by) = deny.iter().position(|denied| takes_back(denied, rule)) {
            idle(check, item.node, format!("deny[{by}] takes it all back"));
        } else if let Some(by) = allow.iter().position(Rule::is_everything).filter(|by| *by != number) {
            idle(check, item.node, format!("allow[{by}] is everything, and this with it"));
        }
    }
}

/// Whether a denial covers all that a rule allows, as far as the text of both tells.
fn takes_back(denied: &Rule, rule: &Rule) -> bool {
    let within = |wide: &[Pattern], narrow: &[Pattern]| {
        wide.is_empty()
            || !narrow.is_empty() && narrow.iter().all(|own| wide.iter().any(|pattern| pattern.covers(own.as_str())))
    };
    let service = denied.service.is_none() || denied.service == rule.service;
    let methods = denied.methods.is_empty()
        || !rule.methods.is_empty() && rule.methods.iter().all(|method| denied.methods.contains(method));
    service
        && methods
        && within(&denied.actions, &rule.actions)
        && within(&denied.resources, &rule.resources)
        && within(&denied.paths, &rule.paths)
}
