//! On which resources an operation is: what the tables say of the request, put into the ARNs that IAM's policies name.
//!
//! The account is mostly nowhere on the wire; [`OWN_ACCOUNT`] stands for it. What cannot be told for sure is not told:
//! a grant that asks for it refuses then.

use std::borrow::Cow;

use access::OWN_ACCOUNT;
use percent_encoding::percent_decode_str;

use super::members::{self, Step};
use super::query::Query;

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

/// A resource, and the action on it where it is not the operation's own.
pub(super) type Resource = (Option<&'static str>, String);

/// The resources of an operation. The ways are as `cloud/tools/aws_operations.py` describes them.
pub(super) fn told(ways: &'static str, said: Said<'_>) -> Result<Vec<Resource>, Untold> {
    let mut all: Vec<Resource> = Vec::new();
    for way in ways.split('&') {
        let (own, alternatives) = match way.split_once('=') {
            Some((own, rest)) if !own.is_empty() && own.bytes().all(|b| b.is_ascii_alphanumeric()) => (Some(own), rest),
            _ => (None, way),
        };
        for resource in said_by_one(alternatives, said, own.is_some())? {
            let resource = (own, resource);
            if !all.contains(&resource) {
                all.push(resource);
            }
        }
    }
    if all.is_empty() { Err(Untold) } else { Ok(all) }
}

/// What the one alternative says whose members are all there. Two of them, neither of which is within the other, could
/// name two things. `may_be_absent`: nothing of that kind is asked for.
fn said_by_one(alternatives: &str, said: Said<'_>, may_be_absent: bool) -> Result<Vec<String>, Untold> {
    let mut chosen: Option<(&str, Vec<String>)> = None;
    for template in alternatives.split(' ') {
        let Some(resources) = filled(template, said)? else { continue };
        match &chosen {
            Some((first, _)) if template.split(['<', '>']).skip(1).step_by(2).all(|place| first.contains(place)) => {}
            Some(_) => return Err(Untold),
            None => chosen = Some((template, resources)),
        }
    }
    match chosen {
        Some((_, resources)) => Ok(resources),
        None if may_be_absent => Ok(Vec::new()),
        None => Err(Untold),
    }
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
            .collect::<Result<_, _>>()?;
        if done.len() > members::MOST {
            return Err(Untold);
        }
        rest = after;
    }
    let settled = |text: String| {
        let whole = with_end(text, rest);
        let whole = whole.replace("{partition}", said.partition).replace("{account}", OWN_ACCOUNT);
        if whole.contains("{region}") { Ok(whole.replace("{region}", said.region.ok_or(Untold)?)) } else { Ok(whole) }
    };
    done.into_iter().map(settled).collect::<Result<Vec<_>, _>>().map(Some)
}

/// What stands before a place, and its value. An ARN takes the place of all that stands before it, if it is of the same
/// service.
fn joined(before: &str, value: &str) -> Result<String, Untold> {
    let service = |arn: &str| arn.split(':').nth(2).unwrap_or_default().to_owned();
    match (before, value.starts_with("arn:")) {
        ("model:", _) => Ok(model(value)),
        ("=", true) if value.matches(':').count() >= 5 => Ok(value.to_owned()),
        ("=", _) => Err(Untold),
        (_, true) if value.matches(':').count() >= 5 && service(value) == service(before) => Ok(value.to_owned()),
        (_, true) => Err(Untold),
        (_, false) if value.contains(':') => Err(Untold),
        (_, false) => Ok([before, value].concat()),
    }
}

/// `-??????` stands for the random end of a secret's ARN: one that was said whole has it already.
fn with_end(text: String, end: &str) -> String {
    const RANDOM: &str = "-??????";
    let last = text.rsplit('-').next().unwrap_or_default();
    let is_whole =
        !text.contains('{') && last.len() == RANDOM.len() - 1 && last.bytes().all(|b| b.is_ascii_alphanumeric());
    if end == RANDOM && is_whole { text } else { text + end }
}

/// Amazon Bedrock: `anthropic.claude-…` is a model of AWS's own, `eu.anthropic.claude-…` a profile of the account.
fn model(id: &str) -> String {
    const AREAS: [&str; 11] = ["apac", "ap", "au", "ca", "eu", "global", "jp", "me", "sa", "us", "us-gov"];
    if id.starts_with("arn:") {
        return id.to_owned();
    }
    match id.split_once('.') {
        Some((area, _)) if AREAS.contains(&area) => {
            format!("arn:{{partition}}:bedrock:{{region}}:{{account}}:inference-profile/{id}")
        }
        _ => format!("arn:{{partition}}:bedrock:{{region}}::foundation-model/{id}"),
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
    let found = found.into_iter().filter_map(|value| value.or_else(|| default.map(str::to_owned)));
    found.map(|value| name(&value, slash)).collect()
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

fn in_body(place: &str, body: Body<'_>) -> Result<Vec<Option<String>>, Untold> {
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
