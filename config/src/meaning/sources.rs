//! Where identities come from.

mod keys;
mod kinds;
mod oidc;

use std::collections::BTreeMap;

use access::{GroupName, InvalidName, Pattern, RoleName, SourceName};

use super::check::{Check, known};
use crate::at::{At, Named};
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::raw;
use crate::source::{Source, SourceKind};

pub(super) fn sources<'r>(
    check: &mut Check<'_>,
    raw: impl Iterator<Item = (&'r At<String>, &'r At<raw::Source>)>,
) -> Vec<Source> {
    raw.filter_map(|(name, source)| self::source(check, name, source.get()?)).collect()
}

fn source(check: &mut Check<'_>, name: &At<String>, raw: &raw::Source) -> Option<Source> {
    let name = check.name(name, SourceName::new);
    let kind = kinds::kind(check, raw);
    let groups = check.each(raw.groups.as_ref(), |group| named(group, GroupName::new));
    let roles = check.each(raw.roles.as_ref(), |role| named(role, RoleName::new));
    let matches = matches(check, &raw.matches, kind.as_ref());
    Some(Source { name: name?, kind: kind?, matches: matches?, groups, roles })
}

fn named<N>(text: &str, new: fn(&str) -> Result<N, InvalidName>) -> Result<N, Wrong> {
    new(text).map_err(|error| Wrong::new(Code::BadName, error))
}

/// An `aud`: any text that a person can read (RFC 7519 §4.1.3 asks no more).
pub(super) fn audience(text: &str) -> Result<String, Wrong> {
    visible(text, "an audience")
}

fn visible(text: &str, noun: &str) -> Result<String, Wrong> {
    const LONGEST: usize = 255;
    if (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(Wrong::value(format!("{noun} has 1 to 255 visible ASCII characters")))
}

/// Patterns by attribute; which attributes there are, the kind says, if that is right.
fn matches(
    check: &mut Check<'_>,
    raw: &At<Named<String>>,
    kind: Option<&SourceKind>,
) -> Option<BTreeMap<String, Pattern>> {
    let written = raw.get()?;
    if written.iter().next().is_none() {
        let wrong = Wrong::value("`match` says nothing, and would take in everybody whom the issuer knows");
        check.flaw(raw.node, wrong.help("name what a caller must be; `namespace: \"*\"` means every pod of a cluster"));
        return None;
    }
    let attributes = kind.map(SourceKind::attributes);
    let mut patterns = BTreeMap::new();
    for (key, value) in written.iter() {
        if let Some(attributes) = &attributes {
            check.take(key, |key| known("attribute", key, attributes));
        }
        if let Some(pattern) = check.take(value, |text| Pattern::new(text).map_err(Wrong::value)) {
            patterns.insert(key.text().to_owned(), pattern);
        }
    }
    let unstable = kind.and_then(SourceKind::stable).filter(|(names, _)| !any_is_whole(&patterns, names));
    if let Some((names, why)) = unstable {
        let names = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
        let message = format!("this `match` could become somebody else's: it needs {names}, without wildcards");
        check.flaw(raw.node, Wrong::new(Code::Unsafe, message).help(why));
    }
    Some(patterns)
}

/// Whether one of these attributes must be one value.
fn any_is_whole(patterns: &BTreeMap<String, Pattern>, names: &[&str]) -> bool {
    names.iter().filter_map(|name| patterns.get(*name)).any(|pattern| !pattern.as_str().contains(['*', '?']))
}
