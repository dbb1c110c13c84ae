//! What the claims of an OpenID provider mean: attributes, groups, a second factor.

use access::GroupName;

use super::named;
use crate::at::At;
use crate::document::shown;
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::meaning::check::{Check, Reported};
use crate::meaning::entries;
use crate::raw;
use crate::source::{ClaimPath, GroupsClaim, MfaClaims, OidcClaims};

/// Deeper than claims nest anywhere.
const MAX_PATH: usize = 8;
/// Longest name of an attribute, a claim, or a value of `amr` or `acr`.
const LONGEST: usize = 255;

pub(super) fn claims(check: &mut Check<'_>, raw: &raw::Source) -> Option<OidcClaims> {
    let both = |(name, path): (&At<String>, &At<String>)| {
        let name = check.take(name, |name| attribute(name));
        Some((name?, check.take(path, |path| at(path))?))
    };
    let attributes = entries(raw.claims.as_ref()).filter_map(both).collect();
    let groups = raw.groups_claim.as_ref().map(|groups| self::groups(check, groups).ok_or(Reported)).transpose();
    let mfa = raw.mfa.as_ref().map(|mfa| self::mfa(check, mfa).ok_or(Reported)).transpose();
    Some(OidcClaims { attributes, groups: groups.ok()?, mfa: mfa.ok()? })
}

fn groups(check: &mut Check<'_>, raw: &At<raw::GroupsClaim>) -> Option<GroupsClaim> {
    let raw = raw.get()?;
    let claim = check.take(&raw.claim, |path| at(path));
    if raw.names.get().is_some_and(|names| names.iter().next().is_none()) {
        check.flaw(raw.names.node, Wrong::value("no group is listed, so no token confers one").help("list some"));
    }
    let both = |(theirs, ours): (&At<String>, &At<String>)| {
        Some((theirs.get()?.clone(), check.take(ours, |ours| named(ours, GroupName::new))?))
    };
    let names = entries(Some(&raw.names)).filter_map(both).collect();
    Some(GroupsClaim { claim: claim?, names })
}

fn mfa(check: &mut Check<'_>, raw: &At<raw::MfaClaims>) -> Option<MfaClaims> {
    let written = raw.get()?;
    let mut values = |raw: Option<&At<Vec<At<String>>>>| {
        check.not_empty(raw, "list values of the claim, or take the key out");
        check.each(raw, |text| value(text))
    };
    let (amr, acr) = (values(written.amr.as_ref()), values(written.acr.as_ref()));
    if written.amr.is_none() && written.acr.is_none() {
        check.flaw(raw.node, Wrong::value("this says nothing").help("write values of `amr` or `acr`"));
        return None;
    }
    Some(MfaClaims { amr, acr })
}

fn value(text: &str) -> Result<String, Wrong> {
    if (1..=LONGEST).contains(&text.len()) && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(Wrong::value("a value here has 1 to 255 characters, and no control characters"))
}

/// What pods have, and tags of cloud sessions are made of: a claim of somebody else's must not look like it.
const OF_PODS: [&str; 6] = ["namespace", "service_account", "service_account_uid", "pod", "pod_uid", "node"];

/// A name for an attribute, as `match` and expressions write it.
fn attribute(text: &str) -> Result<String, Wrong> {
    let mark = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if text == "subject" {
        return Err(Wrong::new(Code::Duplicate, "`subject` is there already: it is the token's `sub`"));
    }
    if OF_PODS.contains(&text) {
        let wrong = Wrong::new(Code::Unsafe, format!("{} is what a pod has", shown(text)));
        return Err(wrong.help("policies at the cloud may go by it: give the attribute another name"));
    }
    if text.len() <= 64 && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(mark) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(Code::BadName, "an attribute has at most 64 lower-case letters, digits and `_`, a letter first"))
}

/// The name of a claim, or a JSON pointer (RFC 6901) to a member further inside.
fn at(text: &str) -> Result<ClaimPath, Wrong> {
    let parts: Vec<String> = match text.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect(),
        None => vec![text.to_owned()],
    };
    if text.len() <= LONGEST && parts.len() <= MAX_PATH && parts.iter().all(|part| !part.is_empty()) {
        return Ok(ClaimPath(parts));
    }
    Err(Wrong::value("this names no claim")
        .help("write the name of a claim, such as team, or a path, such as /extra/team"))
}
