//! Rules of grants: which calls are meant.

use access::{Pattern, Rule};

use super::check::Check;
use crate::at::At;
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::raw::{self, ActionOrRule};
use crate::values::arn;

/// Methods that requests to clouds have (RFC 9110 §9.3, and PATCH of RFC 5789).
const METHODS: [&str; 7] = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"];

/// The rules of a list that mean something.
pub(super) fn rules(check: &mut Check<'_>, raw: Option<&At<Vec<At<ActionOrRule>>>>) -> Vec<Rule> {
    let items = raw.map(At::items).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| match item.get()? {
            ActionOrRule::Actions(text) => match arn::action(text) {
                Ok(actions) => Some(actions.into()),
                Err(wrong) => {
                    check.flaw(item.node, wrong);
                    None
                }
            },
            ActionOrRule::Rule(raw) => rule(check, item, raw),
        })
        .collect()
}

fn rule(check: &mut Check<'_>, at: &At<ActionOrRule>, raw: &raw::Rule) -> Option<Rule> {
    let parts = [&raw.actions, &raw.resources, &raw.methods, &raw.paths];
    if raw.service.is_none() && parts.iter().all(|part| part.is_none()) {
        let wrong = Wrong::new(Code::MissingKey, "this rule says nothing");
        check.flaw(at.node, wrong.help("write `actions`, `resources`, `service`, `methods` or `paths`; \"*\" is all"));
        return None;
    }
    for part in parts {
        check.not_empty(part.as_ref(), "take it out to mean any, or write at least one");
    }
    let service = check.maybe(raw.service.as_ref(), |text| service(text));
    Some(Rule {
        actions: check.each(raw.actions.as_ref(), |text| arn::action(text)),
        resources: check.each(raw.resources.as_ref(), |text| arn::resource(text)),
        methods: check.each(raw.methods.as_ref(), |text| method(text)),
        paths: check.each(raw.paths.as_ref(), |text| path(text)),
        service: service.ok()?,
    })
}

fn service(text: &str) -> Result<String, Wrong> {
    let mark = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    if !text.is_empty() && text.bytes().all(mark) {
        return Ok(text.to_owned());
    }
    Err(Wrong::value("a service is one name, without wildcards").help("write s3, execute-api, …; leave it out for any"))
}

fn method(text: &str) -> Result<String, Wrong> {
    if METHODS.contains(&text) {
        return Ok(text.to_owned());
    }
    let upper = text.to_ascii_uppercase();
    let known = METHODS.contains(&&*upper).then(|| format!("write {upper}: methods are upper-case"));
    Err(Wrong::value("this is no HTTP method")
        .help(known.unwrap_or_else(|| format!("there are: {}", METHODS.join(", ")))))
}

/// A path as services read it. What only one of two readers would take so is in no pattern either.
fn path(text: &str) -> Result<Pattern, Wrong> {
    let pattern = Pattern::new(text).map_err(Wrong::value)?;
    if !text.starts_with(['/', '*']) {
        return Err(Wrong::value("a path starts with `/`").help("write /prod/orders/*, or \"*\" for all"));
    }
    if let Some((path, _)) = text.split_once(['#']).filter(|(path, _)| !path.is_empty()) {
        return Err(Wrong::value("a path has no fragment").help(format!("write {path}")));
    }
    if text.contains('%') {
        return Err(Wrong::value("paths are matched decoded").help("write the character itself: a space for %20"));
    }
    if text.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(Wrong::value("no path that is matched has `.` or `..` in it").help("write the path that is meant"));
    }
    Ok(pattern)
}
