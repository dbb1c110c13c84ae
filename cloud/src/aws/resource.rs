//! On which resources an operation is: what the tables say of the request, put into the ARNs that IAM's policies name.
//!
//! The account is mostly nowhere on the wire; [`OWN_ACCOUNT`] stands for it. What cannot be told for sure is not told:
//! a grant that asks for it refuses then.

use std::borrow::Cow;
use std::collections::HashSet;

use access::OWN_ACCOUNT;
use percent_encoding::percent_decode_str;

use super::members::{self, Step};
use super::partiql;
use super::query::Query;

/// Stands for the six random characters at the end of a secret's ARN.
const RANDOM: &str = "-??????";

/// Secrets Manager takes so many at once; each is held against patterns letter by letter.
const MOST_SECRETS: usize = 20;

/// What stands before the place of statements, in the table.
const STATEMENTS: &str = "partiql:";

/// What a request says, as far as it is known.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) partition: &'a str,
    pub(super) region: Option<&'a str>,
    pub(super) path: &'a str,
    /// The template of the operation's route.
    pub(super) template: Option<&'static str>,
    pub(super) query: Option<Query<'a>>,
    pub(super) body: Body<'a>,
}

/// The body of a request.
#[derive(Clone, Copy)]
pub(super) enum Body<'a> {
    /// Not read.
    Unread,
    /// JSON.
    Json(&'a [u8]),
    /// `application/x-www-form-urlencoded`
    Form(Query<'a>),
}

/// Why resources are not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Untold;

/// Whether a way leads through the body.
pub(super) fn needs_body(ways: &str) -> bool {
    let mut rest = ways;
    while let Some((_, after)) = rest.split_once('<') {
        if !after.starts_with(|c: char| c == '?' || c.is_ascii_digit()) {
            return true;
        }
        rest = after;
    }
    false
}

/// A resource, and the action on it where it is not the operation's own. One that has an action of its own is there even
/// where it is not told: IAM asks for that action, and does not know the operation by name.
pub(super) type Resource = (Option<&'static str>, Option<String>);

/// The resources of an operation. The ways are as `cloud/tools/aws_operations.py` describes them.
pub(super) fn told(ways: &'static str, said: Said<'_>) -> Result<Vec<Resource>, Untold> {
    let mut all: Vec<Resource> = Vec::new();
    for way in ways.split('&') {
        let (own, alternatives) = with_own_action(way);
        if let Some(place) = alternatives.strip_prefix(STATEMENTS) {
            let place = place.trim_matches(['<', '>']);
            all.extend(partiql::actions(place, said).into_iter().map(|action| (Some(action), None)));
            continue;
        }
        match (said_by_one(alternatives, said), own) {
            (Ok(resources), _) => all.extend(resources.into_iter().map(|resource| (own, Some(resource)))),
            (Err(Untold), Some(_)) if is_of_others(alternatives, said) => {}
            (Err(Untold), Some(_)) => all.push((own, None)),
            (Err(Untold), None) => return Err(Untold),
        }
    }
    if all.is_empty() {
        let own = ways.split('&').filter_map(|way| with_own_action(way).0);
        all.extend(own.map(|own| (Some(own), None)));
    }
    // Hashing: a batch may name a thousand.
    let mut seen = HashSet::new();
    all.retain(|resource| seen.insert(resource.clone()));
    if all.is_empty() { Err(Untold) } else { Ok(all) }
}

/// `ReEncryptTo=…`: the action, and the alternatives.
fn with_own_action(way: &'static str) -> (Option<&'static str>, &'static str) {
    match way.split_once('=') {
        Some((own, rest)) if !own.is_empty() && own.bytes().all(|b| b.is_ascii_alphanumeric()) => (Some(own), rest),
        _ => (None, way),
    }
}

/// Whether the list is there and read, and all its items are of another kind: a transaction of puts deletes nothing.
fn is_of_others(alternatives: &str, said: Said<'_>) -> bool {
    let place = alternatives.split(['<', '>']).nth(1).filter(|place| place.contains("[]."));
    let found = place.and_then(|place| in_body(place, said.body).ok());
    found.is_some_and(|items| !items.is_empty() && items.iter().all(Option::is_none))
}

/// What the one alternative says whose members are all there. Two of them, neither of which is within the other, could
/// name two things.
fn said_by_one(alternatives: &str, said: Said<'_>) -> Result<Vec<String>, Untold> {
    let mut chosen: Option<(&str, Vec<String>)> = None;
    for template in alternatives.split(' ') {
        let Some(resources) = filled(template, said)? else { continue };
        match &chosen {
            Some((first, _)) if template.split(['<', '>']).skip(1).step_by(2).all(|place| first.contains(place)) => {}
            Some(_) => return Err(Untold),
            None => chosen = Some((template, resources)),
        }
    }
    chosen.map(|(_, resources)| resources).ok_or(Untold)
}

/// A template with what the request says in its places; `None` where something of it is left out.
fn filled(template: &str, said: Said<'_>) -> Result<Option<Vec<String>>, Untold> {
    let mut done = vec![String::new()];
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('<') {
        let (place, after) = after.split_once('>').ok_or(Untold)?;
        let values = values(place, said)?;
        if values.is_empty() {
            return Ok(None);
        }
        done = done
            .iter()
            .flat_map(|start| values.iter().map(move |value| (start, value)))
            .map(|(start, value)| joined(&[start, before].concat(), value))
            .collect::<Result<Vec<_>, _>>()?
            .concat();
        if done.len() > members::MOST {
            return Err(Untold);
        }
        rest = after;
    }
    if rest == RANDOM && done.len() > MOST_SECRETS {
        return Err(Untold);
    }
    let settled = |whole: String| {
        let whole = whole.replace("{partition}", said.partition).replace("{account}", OWN_ACCOUNT);
        if whole.contains("{region}") { Ok(whole.replace("{region}", said.region.ok_or(Untold)?)) } else { Ok(whole) }
    };
    done.into_iter().flat_map(|text| with_end(text, rest)).map(settled).collect::<Result<Vec<_>, _>>().map(Some)
}

/// What stands before a place, and its value. An ARN takes the place of all that stands before it, if it is of the same
/// service.
fn joined(before: &str, value: &str) -> Result<Vec<String>, Untold> {
    let service = |arn: &str| arn.split(':').nth(2).unwrap_or_default().to_owned();
    let one = match (before, value.starts_with("arn:")) {
        ("model:", _) => return Ok(models(value)),
        ("=", true) if value.matches(':').count() >= 5 => Ok(value.to_owned()),
        ("=", _) => Err(Untold),
        (_, true) if value.matches(':').count() >= 5 && service(value) == service(before) => Ok(value.to_owned()),
        (_, true) => Err(Untold),
        (_, false) if value.contains(':') => Err(Untold),
        (_, false) => Ok([before, value].concat()),
    };
    one.map(|resource| vec![resource])
}

/// `-??????` stands for the random end of a secret's ARN: one that was said whole has it already. `…:secret:db-secret` may
/// be whole, or the beginning of one, which the service takes too: where the end is a word, it is both.
fn with_end(text: String, end: &str) -> Vec<String> {
    let last = text.rsplit('-').next().unwrap_or_default();
    let ends = |fits: fn(&u8) -> bool| last.len() == RANDOM.len() - 1 && last.as_bytes().iter().all(fits);
    if end != RANDOM || text.contains('{') || !ends(u8::is_ascii_alphanumeric) {
        return vec![text + end];
    }
    let longer = ends(u8::is_ascii_lowercase).then(|| [&text, end].concat());
    std::iter::once(text).chain(longer).collect()
}

/// Amazon Bedrock: `anthropic.claude-…` is a model of AWS's own, `eu.anthropic.claude-…` a profile of the account. IAM asks
/// for the profile and for the model behind it, in each of the regions that it leads to.
fn models(id: &str) -> Vec<String> {
    const AREAS: [&str; 11] = ["apac", "ap", "au", "ca", "eu", "global", "jp", "me", "sa", "us", "us-gov"];
    let is_arn = id.starts_with("arn:");
    let profile = if is_arn { id.split_once(":inference-profile/").map_or("", |(_, name)| name) } else { id };
    match profile.split_once('.') {
        Some((area, model)) if AREAS.contains(&area) => {
            let named = format!("arn:{{partition}}:bedrock:{{region}}:{{account}}:inference-profile/{id}");
            let behind = format!("arn:{{partition}}:bedrock:*::foundation-model/{model}");
            vec![if is_arn { id.to_owned() } else { named }, behind]
        }
        _ if is_arn => vec![id.to_owned()],
        _ => vec![format!("arn:{{partition}}:bedrock:{{region}}::foundation-model/{id}")],
    }
}

/// What the request says at a place; nothing where it says nothing.
fn values(place: &str, said: Said<'_>) -> Result<Vec<String>, Untold> {
    let (place, default) = place.split_once(':').map_or((place, None), |(place, default)| (place, Some(default)));
    let (place, slash) = place.strip_suffix('/').map_or((place, false), |place| (place, true));
    let found: Vec<Option<String>> = if let Some(name) = place.strip_prefix('?') {
        vec![said.query.ok_or(Untold)?.one(name).map_err(|_| Untold)?.map(Cow::into_owned)]
    } else if let Ok(number) = place.parse::<usize>() {
        vec![Some(label(said, number).ok_or(Untold)?)]
    } else {
        in_body(place, said.body)?
    };
    let is_account = default == Some(OWN_ACCOUNT);
    let said = |value: Option<String>| match (value, default) {
        (Some(id), _) if is_account && !is_account_id(&id) => Some(Err(Untold)),
        (Some(value), _) => Some(name(&value, slash)),
        (None, default) => default.map(|default| Ok(default.to_owned())),
    };
    found.into_iter().filter_map(said).collect()
}

fn is_account_id(id: &str) -> bool {
    id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit())
}

/// A name as ARNs hold it. Wildcards would stand for more than themselves.
fn name(value: &str, slash: bool) -> Result<String, Untold> {
    const LONGEST: usize = 2048;
    let odd = |b: u8| !b.is_ascii_graphic() || matches!(b, b'*' | b'?' | b'{' | b'}' | b'<' | b'>' | b'$');
    if value.is_empty() || value.len() > LONGEST || value.bytes().any(odd) || is_alias(value) {
        return Err(Untold);
    }
    if !slash || value.starts_with("arn:") {
        return Ok(value.to_owned());
    }
    // `/db/password:3` is a version of a parameter, and no part of its ARN.
    let value = value.strip_prefix('/').unwrap_or(value);
    Ok(value.split(':').next().unwrap_or(value).to_owned())
}

/// KMS: policies are held against the key that an alias stands for, and that is not on the wire.
fn is_alias(value: &str) -> bool {
    value.starts_with("alias/") || (value.starts_with("arn:") && value.contains(":alias/"))
}

pub(super) fn in_body(place: &str, body: Body<'_>) -> Result<Vec<Option<String>>, Untold> {
    match body {
        Body::Unread => Err(Untold),
        Body::Json(json) => members::find(json, &members::steps(place)).map_err(|_| Untold),
        // Lists in forms have names of their own (`Names.member.1`); none of the ways leads through one.
        Body::Form(_) if members::steps(place).iter().any(|step| !matches!(step, Step::Member(_))) => Err(Untold),
        Body::Form(form) => Ok(vec![form.one(place).map_err(|_| Untold)?.map(Cow::into_owned)]),
    }
}

/// The label of a path, by number from 1, decoded once.
fn label(said: Said<'_>, number: usize) -> Option<String> {
    let template: Vec<&str> = said.template?.split('?').next()?.trim_matches('/').split('/').collect();
    let path: Vec<&str> = said.path.trim_matches('/').split('/').collect();
    let greedy = template.iter().position(|segment| *segment == "{+}");
    let place = template.iter().enumerate().filter(|(_, segment)| segment.starts_with('{')).nth(number - 1)?.0;
    let extra = path.len().checked_sub(template.len())?;
    if extra > 0 && greedy.is_none() {
        return None;
    }
    let (from, to) = match greedy {
        Some(greedy) if place == greedy => (place, place + extra),
        Some(greedy) if place > greedy => (place + extra, place + extra),
        _ => (place, place),
    };
    let wire = path.get(from..=to)?.join("/");
    percent_decode_str(&wire).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
#[path = "resource_tests.rs"]
mod tests;
