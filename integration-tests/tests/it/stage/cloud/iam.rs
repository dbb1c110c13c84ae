//! What a session policy admits, evaluated as IAM's reference says: AWS intersects it with what the role may.

use serde_json::{Map, Value};

use super::Session;
use super::admit::Denied;

/// What is to be done, on what, and whether a service asks in the caller's name.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    action: &'a str,
    resource: &'a str,
    via: Option<&'a str>,
}

impl<'a> Request<'a> {
    pub(super) fn of(action: &'a str, resource: &'a str) -> Self {
        Self { action, resource, via: None }
    }

    /// A service asks it in the caller's name.
    pub(super) fn via(self, service: &'a str) -> Self {
        Self { via: Some(service), ..self }
    }
}

/// An explicit denial wins; without an allowing statement it is no.
pub(super) fn may(session: &Session, request: Request<'_>) -> Result<(), Denied> {
    let Some(policy) = &session.policy else { return Ok(()) };
    let statements = policy["Statement"].as_array().map(Vec::as_slice).unwrap_or_default();
    let applies = |effect: &str| {
        statements.iter().any(|s| s["Effect"] == effect && s.as_object().is_some_and(|s| is_about(s, request)))
    };
    let why = match (applies("Deny"), applies("Allow")) {
        (true, _) => "with an explicit deny in a session policy",
        (false, false) => "because no session policy allows the action",
        (false, true) => return Ok(()),
    };
    let message =
        format!("{} is not authorized to perform: {} on {} {why}", session.arn, request.action, request.resource);
    Err(Denied::new(403, "AccessDenied", message))
}

/// Whether a statement is about a request. What this stage does not know stands in no statement of ours: that is a
/// mistake to find, not a question to answer.
fn is_about(statement: &Map<String, Value>, request: Request<'_>) -> bool {
    const KNOWN: [&str; 6] = ["Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    assert!(statement.keys().all(|key| KNOWN.contains(&key.as_str())), "unknown elements: {statement:?}");
    let part = |name: &str, text: &str, same_case: bool| {
        let any = |value: &Value| texts(value).iter().any(|pattern| matches(pattern, text, same_case));
        match (statement.get(name), statement.get(&format!("Not{name}"))) {
            (Some(these), None) => any(these),
            (None, Some(others)) => !any(others),
            _ => panic!("{name} stands once, or not at all: {statement:?}"),
        }
    };
    part("Action", request.action, false)
        && part("Resource", request.resource, true)
        && holds(statement.get("Condition"), request)
}

fn holds(condition: Option<&Value>, request: Request<'_>) -> bool {
    let operators = condition.and_then(Value::as_object).into_iter().flatten();
    operators
        .flat_map(|(operator, keys)| {
            keys.as_object().into_iter().flatten().map(move |(key, value)| (operator, key, value))
        })
        .all(|(operator, key, value)| {
            assert_eq!(key, "kms:ViaService", "the only key that this stage fills");
            match operator.as_str() {
                "StringLike" => {
                    request.via.is_some_and(|via| texts(value).iter().any(|pattern| matches(pattern, via, true)))
                }
                "Null" => value.as_str() == Some(if request.via.is_none() { "true" } else { "false" }),
                _ => panic!("unknown operator {operator}"),
            }
        })
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(texts) => texts.iter().map(|text| text.as_str().expect("a text").to_owned()).collect(),
        _ => panic!("neither text nor texts: {value}"),
    }
}

/// IAM's patterns: `*` for any text, `?` for one character.
fn matches(pattern: &str, text: &str, same_case: bool) -> bool {
    let lower = |text: &str| if same_case { text.to_owned() } else { text.to_ascii_lowercase() };
    fits(lower(pattern).as_bytes(), lower(text).as_bytes())
}

fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => fits(rest, text) || text.split_first().is_some_and(|(_, left)| fits(pattern, left)),
        (Some((b'?', rest)), Some((_, left))) => fits(rest, left),
        (Some((p, rest)), Some((t, left))) => p == t && fits(rest, left),
        _ => false,
    }
}
