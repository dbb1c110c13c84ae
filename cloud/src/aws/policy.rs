//! The session policy: what a grant allows and denies, as the JSON that narrows a session at AWS to it.
//!
//! AWS enforces then what the proxy does, also towards whoever comes past the proxy with the lent credential. What IAM
//! cannot say (method and path, hours, networks behind a NAT) the proxy enforces alone; denials are never left out for
//! want of room.

mod statement;

use access::{Pattern, Rule};

use self::statement::{Statement, Statements};
use super::operations;

/// `Policy` of the AssumeRole family, in characters; managed policies' ARNs share it.
const MAX_CHARACTERS: usize = 2048;

/// A policy that AWS intersects with the role's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPolicy {
    text: String,
    left_out: Vec<LeftOut>,
}

/// What a session is narrowed to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Narrowing<'a> {
    /// Any of these is allowed.
    pub allow: &'a [Rule],
    /// None of these is.
    pub deny: &'a [&'a Rule],
    /// Only this service, by signing name.
    pub service: Option<&'a str>,
    /// Only these resources; none listed: any.
    pub resources: &'a [Pattern],
    /// Managed policies that narrow the session too, by ARN.
    pub managed: &'a [String],
}

/// What the policy does not say, and so the proxy enforces alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// Methods and paths of what is allowed: the session may use others.
    AllowedRequests,
    /// A denial by method or path: IAM knows neither.
    DeniedRequests,
    /// Which resources are allowed, but for their service: there was no room.
    Resources,
    /// Which resource goes with which action: managed policies stand beside.
    Pairs,
}

impl LeftOut {
    /// The same for people.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::AllowedRequests => "the methods and paths that it allows",
            Self::DeniedRequests => "what it denies by method or path",
            Self::Resources => "its resources, only to their services: there is no room for more in the session policy",
            Self::Pairs => "which resource goes with which action: managed policies stand beside",
        }
    }
}

/// Patterns that cannot be said in a session policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A session that may do nothing is not worth asking for.
    #[error("the grant allows no action; list at least one, such as s3:GetObject")]
    NoAction,
    /// The target does not offer what the grant allows.
    #[error("the grant allows no action of {0}, and its target offers nothing else")]
    OtherService(String),
    /// Not `service:Action`.
    #[error("`{0}` is not an action; write service:Action, such as s3:GetObject or s3:*")]
    Action(String),
    /// Not an ARN.
    #[error("`{0}` is not an ARN pattern; write one like arn:aws:s3:::bucket/*")]
    Resource(String),
    /// `${…}` is a variable to IAM and literal text to us.
    #[error("`{0}` holds a policy variable; write the value, or a `*`")]
    Variable(String),
    /// A character that `Policy` may not hold.
    #[error("`{0}` holds a character that AWS does not take in a session policy")]
    Character(String),
    /// Longer than STS takes.
    #[error(
        "the session policy has {0} characters, managed policies' ARNs included, and STS takes {MAX_CHARACTERS}; use wider patterns such as s3:Get*, or several grants"
    )]
    TooLong(usize),
}

impl SessionPolicy {
    /// The policy, or `None` where there is nothing to narrow. Patterns that others cover are left out. Where there is
    /// no room for the resources that are allowed, their services stand instead; where there is none for that either,
    /// or for what is denied, it is an error.
    pub fn compile(what: Narrowing<'_>) -> Result<Option<Self>, PolicyError> {
        if what.allow.is_empty() {
            return Err(PolicyError::NoAction);
        }
        what.check()?;
        let mut left_out = what.left_out();
        let allowed = what.allowed()?;
        let denied = what.denied();
        let whole = Statements::new(what, &allowed, &denied);
        if whole.is_empty() {
            return Ok(None);
        }
        let room = MAX_CHARACTERS.saturating_sub(what.managed.iter().map(String::len).sum());
        let characters = |text: &str| text.chars().count();
        let mut text = whole.to_json();
        if characters(&text) > room {
            let widened: Vec<_> = allowed.iter().map(Statement::of_the_services).collect();
            let resources: Vec<_> = what.resources.iter().map(statement::of_the_service).collect();
            text = Statements::new(Narrowing { resources: &resources, ..what }, &widened, &denied).to_json();
            left_out.push(LeftOut::Resources);
        }
        if characters(&text) > room {
            return Err(PolicyError::TooLong(characters(&text) + MAX_CHARACTERS - room));
        }
        Ok(Some(Self { text, left_out }))
    }

    /// The JSON.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it does not say.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }
}

impl Narrowing<'_> {
    fn check(&self) -> Result<(), PolicyError> {
        let rules = || self.allow.iter().chain(self.deny.iter().copied());
        for action in rules().flat_map(|rule| &rule.actions) {
            check(action, is_action(action.as_str()), PolicyError::Action)?;
        }
        for resource in rules().flat_map(|rule| &rule.resources).chain(self.resources) {
            check(resource, is_resource(resource.as_str()), PolicyError::Resource)?;
        }
        Ok(())
    }

    fn left_out(&self) -> Vec<LeftOut> {
        let paired = self.allow.len() > 1 && self.allow.iter().any(Rule::asks_for_resources);
        let all = [
            (self.allow.iter().any(Rule::is_about_http), LeftOut::AllowedRequests),
            (self.deny.iter().any(|rule| rule.is_about_http()), LeftOut::DeniedRequests),
            (!self.managed.is_empty() && paired, LeftOut::Pairs),
        ];
        all.into_iter().filter(|(is, _)| *is).map(|(_, left_out)| left_out).collect()
    }

    /// What is allowed, narrowed to the target's service and resources where that can be said in the same breath.
    fn allowed(&self) -> Result<Vec<Statement>, PolicyError> {
        let narrowed = self
            .allow
            .iter()
            .map(|rule| Statement { actions: actions(rule, self.service), resources: resources(rule, self.resources) });
        let narrowed: Vec<_> = narrowed.filter(|statement| !statement.actions.is_empty()).collect();
        match self.service {
            Some(service) if narrowed.is_empty() => Err(PolicyError::OtherService(service.to_owned())),
            _ => Ok(narrowed),
        }
    }

    /// What is denied, as far as IAM can say it: a part of a denial would deny more than was written.
    fn denied(&self) -> Vec<Statement> {
        let sayable = self.deny.iter().filter(|rule| !rule.is_about_http());
        let denied = sayable.map(|rule| Statement { actions: actions(rule, None), resources: rule.resources.clone() });
        denied.filter(|statement| !statement.actions.is_empty()).collect()
    }
}

/// The actions of a rule that are also of the target's service.
fn actions(rule: &Rule, service: Option<&str>) -> Vec<Pattern> {
    let services: Vec<_> = [rule.service.as_deref(), service].into_iter().flatten().collect();
    let everything = [statement::everything()];
    let mut actions = if rule.actions.is_empty() { everything.to_vec() } else { rule.actions.clone() };
    for service in services {
        actions = actions.iter().flat_map(|pattern| of_service(pattern, service)).collect();
    }
    actions
}

/// What of an action pattern is of a service.
fn of_service(pattern: &Pattern, service: &str) -> Vec<Pattern> {
    let prefixes = operations::prefixes(service);
    match pattern.as_str().split_once(':') {
        None => prefixes.iter().filter_map(|prefix| Pattern::new(&format!("{prefix}:*")).ok()).collect(),
        Some((of, _)) if prefixes.iter().any(|prefix| prefix.eq_ignore_ascii_case(of)) => vec![pattern.clone()],
        Some(_) => Vec::new(),
    }
}

/// The resources of a rule that are also of the target: all that either covers. Those that only overlap stay; a
/// statement of its own holds the target's bound.
fn resources(rule: &Rule, target: &[Pattern]) -> Vec<Pattern> {
    if rule.resources.is_empty() {
        return target.to_vec();
    }
    if target.is_empty() {
        return rule.resources.clone();
    }
    let narrowed = |own: &Pattern| {
        let mut met = target.iter().filter(|theirs| theirs.overlaps(own.as_str())).peekable();
        let is_within = target.iter().any(|theirs| theirs.covers(own.as_str()));
        let holds_all = met.peek().is_some() && met.clone().all(|theirs| own.covers(theirs.as_str()));
        if !is_within && holds_all { met.cloned().collect() } else { vec![own.clone()] }
    };
    rule.resources.iter().flat_map(narrowed).collect()
}

fn check(pattern: &Pattern, shape: bool, error: fn(String) -> PolicyError) -> Result<(), PolicyError> {
    let text = pattern.as_str();
    if text.contains("${") {
        return Err(PolicyError::Variable(text.to_owned()));
    }
    // `[\t\n\r\x20-\xFF]+` (STS API reference); patterns hold no control characters.
    if text.chars().any(|c| c > '\u{FF}') {
        return Err(PolicyError::Character(text.to_owned()));
    }
    if shape { Ok(()) } else { Err(error(text.to_owned())) }
}

/// `*`, or `service:Action` with a literal service, as IAM has it.
fn is_action(text: &str) -> bool {
    let word = |part: &str, marks: &[u8]| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || marks.contains(&b))
    };
    text == "*" || text.split_once(':').is_some_and(|(service, action)| word(service, b"-") && word(action, b"*?"))
}

fn is_resource(text: &str) -> bool {
    // "Resource vendor must be fully qualified and cannot contain regexes" (IAM).
    let vendor = text.split(':').nth(2).is_some_and(|vendor| !vendor.contains(['*', '?']));
    text == "*" || (vendor && text.starts_with("arn:") && text.splitn(6, ':').count() == 6)
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
