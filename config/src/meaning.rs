//! From what is written to what it means: names resolved, values typed, bounds held.
//!
//! Every function here takes a piece of the raw config and gives what it means, or nothing after it has said why
//! not. Nothing stops at the first flaw; a config with any error has no meaning.

mod broker;
mod check;
mod conditions;
mod entrances;
mod grants;
mod idle_rules;
mod mappings;
mod otlp;
mod proxy;
mod rules;
mod sources;
mod targets;
mod telemetry;
mod unused;
mod ways;

use std::collections::BTreeMap;

use access::{Grant, Pattern, Rules, Target, TargetName};
use url::Url;

use crate::at::{At, Named};
use crate::finding::Code;
use crate::flaw::{Flaw, Wrong};
use crate::raw;
use crate::settings::{Endpoints, Settings};
use crate::values::address;

pub use check::Surroundings;

use check::Check;

/// What the config means, and what is wrong with it or strange. `None` exactly if something is wrong.
pub(crate) fn of(raw: &raw::Config, surroundings: &Surroundings<'_>) -> (Option<Settings>, Vec<Flaw>) {
    let mut check = Check::new(surroundings);
    let settings = settings(&mut check, raw);
    unused::warn(&mut check, raw, settings.as_ref());
    idle_rules::warn(&mut check, raw, settings.as_ref());
    (settings, check.flaws)
}

fn settings(check: &mut Check<'_>, raw: &raw::Config) -> Option<Settings> {
    version(check, &raw.version);
    let realm = check.take(&raw.realm, |realm| self::realm(realm));
    let sources = sources::sources(check, entries(raw.sources.as_ref()));
    let conditions = conditions::by_name(check, entries(raw.conditions.as_ref()));
    let reach = targets::targets(check, raw);
    let written = grants::grants(check, raw, &conditions);
    let mapped = mappings::mappings(check, raw, &conditions);
    let endpoints = endpoints(check, entries(raw.endpoints.as_ref()));
    let endpoints = ways::leaving_alone(check, raw.proxy.as_ref(), endpoints);
    let endpoints = endpoints.with_clusters(clusters(check, entries(raw.eks_clusters.as_ref())));
    let proxy = proxy::proxy(check, raw.proxy.as_ref());
    let broker = raw.broker.get().and_then(|broker| broker::broker(check, broker));
    let telemetry = telemetry::telemetry(check, raw.telemetry.as_ref());
    let (targets, grants) = together(check, (reach.targets, written), mapped);
    let default_target = reach.default.or_else(|| only(&targets));
    Some(Settings {
        realm: realm?,
        sources,
        rules: Rules::new(targets, grants),
        endpoints,
        proxy: crate::ProxySettings { default_target, ..proxy? },
        broker: broker?,
        telemetry: telemetry?,
    })
}

/// The only target, if there is one.
fn only(targets: &[Target]) -> Option<TargetName> {
    match targets {
        [target] => Some(target.name.clone()),
        _ => None,
    }
}

/// The language of this version of the program.
const VERSION: u64 = 1;

fn version(check: &mut Check<'_>, version: &At<u64>) {
    if version.get().is_some_and(|version| *version != VERSION) {
        let wrong = Wrong::value("this program reads version 1 of the config");
        check.flaw(version.node, wrong.help("write `version: 1`, or use the program that belongs to the file"));
    }
}

fn realm(text: &str) -> Result<String, Wrong> {
    /// It stands in session names at the cloud, with a caller's name, in 64 characters.
    const LONGEST: usize = 32;
    let mark = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=LONGEST).contains(&text.len()) && text.bytes().all(mark) && !text.starts_with('-') && !text.ends_with('-') {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(Code::BadName, "a realm has 1 to 32 lower-case letters, digits and `-`"))
}

/// Written targets and grants with those that role mappings make.
fn together(
    check: &mut Check<'_>,
    (mut targets, mut grants): (Vec<Target>, Vec<Grant>),
    mapped: mappings::Mapped,
) -> (Vec<Target>, Vec<Grant>) {
    for (node, target) in mapped.targets {
        if targets.iter().any(|other| other.name == target.name) {
            let message = format!("this makes a target \"{}\", and there is one with that name", target.name);
            check.flaw(node, Wrong::new(Code::Duplicate, message).help("give the one in `targets` another name"));
        } else {
            targets.push(target);
        }
    }
    for (node, grant) in mapped.grants {
        if grants.iter().any(|other| other.name == grant.name) {
            let message = format!("this makes a grant \"{}\", and there is one with that name", grant.name);
            check.flaw(node, Wrong::new(Code::Duplicate, message).help("write each role and account once"));
        } else {
            grants.push(grant);
        }
    }
    (targets, grants)
}

fn endpoints<'r>(check: &mut Check<'_>, raw: impl Iterator<Item = (&'r At<String>, &'r At<String>)>) -> Endpoints {
    let both = |(host, url): (&At<String>, &At<String>)| -> Option<(Pattern, Url)> {
        let host = check.take(host, |host| address::host_pattern(host));
        Some((host?, check.take(url, |url| address::origin(url))?))
    };
    Endpoints::new(raw.filter_map(both).collect())
}

/// Hosts of clusters, in lower case, and the names that EKS has for the clusters.
fn clusters<'r>(
    check: &mut Check<'_>,
    raw: impl Iterator<Item = (&'r At<String>, &'r At<String>)>,
) -> BTreeMap<String, String> {
    let both = |(host, name): (&At<String>, &At<String>)| {
        let host = check.take(host, |host| address::host(host));
        Some((host?, check.take(name, |name| cluster_name(name))?))
    };
    raw.filter_map(both).collect()
}

/// What EKS allows (Amazon EKS API reference, `CreateCluster`).
fn cluster_name(text: &str) -> Result<String, Wrong> {
    const LONGEST: usize = 100;
    let mark = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if (1..=LONGEST).contains(&text.len()) && text.bytes().all(mark) {
        return Ok(text.to_owned());
    }
    Err(Wrong::value("the name of an EKS cluster has 1 to 100 letters, digits, `-` and `_`"))
}

/// The entries of a map that may not be written.
fn entries<T>(map: Option<&At<Named<T>>>) -> impl Iterator<Item = (&At<String>, &At<T>)> {
    map.and_then(At::get).into_iter().flat_map(Named::iter)
}

/// The names of a map that may not be written, also of entries that are wrong.
fn names<T>(map: Option<&At<Named<T>>>) -> Vec<&str> {
    map.and_then(At::get).into_iter().flat_map(Named::names).collect()
}
