//! Statements of a session policy, and how they are put together.

use std::collections::BTreeMap;

use access::Pattern;
use serde::Serialize;

use super::Narrowing;

/// What objects' encryption needs: S3, SQS and others call KMS in the caller's name, with the caller's session.
const ENCRYPTION: [&str; 5] =
    ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"];

/// Actions on resources; no resource listed: any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) actions: Vec<Pattern>,
    pub(super) resources: Vec<Pattern>,
}

impl Statement {
    /// The same on all resources of the same services.
    pub(super) fn of_the_services(&self) -> Self {
        Self { resources: self.resources.iter().map(of_the_service).collect(), ..self.clone() }
    }

    fn is_everything(&self) -> bool {
        let all = |patterns: &[Pattern]| patterns.is_empty() || patterns.iter().any(Pattern::is_everything);
        all(&self.actions) && all(&self.resources)
    }
}

/// `*`
pub(super) fn everything() -> Pattern {
    Pattern::new("*").expect("a star is a pattern")
}

/// `arn:aws:s3:::acme/*` → `arn:aws:s3:*:*:*`
pub(super) fn of_the_service(resource: &Pattern) -> Pattern {
    let service: Vec<_> = resource.as_str().split(':').take(3).collect();
    let wide = if service.len() == 3 { format!("{}:*:*:*", service.join(":")) } else { "*".to_owned() };
    Pattern::new(&wide).unwrap_or_else(|_| everything())
}

/// A whole policy, not yet written.
#[derive(Debug, Default)]
pub(super) struct Statements(Vec<Written>);

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    version: &'static str,
    statement: &'a [Written],
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    effect: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<OneOrMore>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_action: Option<OneOrMore>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<OneOrMore>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_resource: Option<OneOrMore>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    condition: BTreeMap<&'static str, BTreeMap<&'static str, &'static str>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Statements {
    /// Puts a policy together.
    ///
    /// Managed policies allow beside the inline one, not within it: IAM asks whether any session policy allows. With
    /// them, the inline one holds denials only, of everything that is not allowed, so that both count.
    pub(super) fn new(what: Narrowing<'_>, allowed: &[Statement], denied: &[Statement]) -> Self {
        let mut all = Self::default();
        let open = allowed.iter().any(Statement::is_everything);
        if what.managed.is_empty() {
            let fenced =
                !what.resources.is_empty() && allowed.iter().any(|statement| !is_within(statement, what.resources));
            if open && denied.is_empty() {
                return all;
            }
            for (resources, actions) in by_resources(allowed) {
                all.0.push(Written::new("Allow", &actions, &resources));
            }
            if !open {
                all.0.push(Written::encryption());
            }
            if fenced {
                all.fence_resources(what.resources);
            }
        } else {
            let actions: Vec<_> = allowed.iter().flat_map(|statement| &statement.actions).cloned().collect();
            if !actions.iter().any(Pattern::is_everything) {
                all.0.push(Written {
                    not_action: Some(minimal(&actions, Pattern::matches_ignoring_case)),
                    ..Written::fence()
                });
            }
            let resources: Vec<_> = allowed.iter().flat_map(|statement| &statement.resources).cloned().collect();
            let bound = allowed.iter().all(|statement| !statement.resources.is_empty());
            if bound && !resources.iter().any(Pattern::is_everything) {
                all.fence_resources(&resources);
            }
        }
        for (resources, actions) in by_resources(denied) {
            all.0.push(Written::new("Deny", &actions, &resources));
        }
        all
    }

    /// Nothing outside of these; but for what services do in the caller's name with KMS.
    fn fence_resources(&mut self, resources: &[Pattern]) {
        let fence = Written::fence();
        self.0.push(Written {
            action: Some(OneOrMore::One("*".to_owned())),
            not_resource: Some(minimal(resources, Pattern::covers)),
            resource: None,
            ..fence
        });
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn to_json(&self) -> String {
        let document = Document { version: "2012-10-17", statement: &self.0 };
        serde_json::to_string(&document).expect("strings in lists always serialise")
    }
}

/// Whether a statement stays within resources by itself.
fn is_within(statement: &Statement, resources: &[Pattern]) -> bool {
    let within = |own: &Pattern| resources.iter().any(|bound| bound.covers(own.as_str()));
    !statement.resources.is_empty() && statement.resources.iter().all(within)
}

/// Statements on the same resources are one.
fn by_resources(statements: &[Statement]) -> Vec<(Vec<Pattern>, Vec<Pattern>)> {
    let mut merged: Vec<(Vec<Pattern>, Vec<Pattern>)> = Vec::new();
    for statement in statements {
        match merged.iter_mut().find(|(resources, _)| *resources == statement.resources) {
            Some((_, actions)) => actions.extend_from_slice(&statement.actions),
            None => merged.push((statement.resources.clone(), statement.actions.clone())),
        }
    }
    merged
}

impl Written {
    fn new(effect: &'static str, actions: &[Pattern], resources: &[Pattern]) -> Self {
        let any = [everything()];
        let resources = if resources.is_empty() { &any } else { resources };
        Self {
            effect,
            action: Some(minimal(actions, Pattern::matches_ignoring_case)),
            resource: Some(minimal(resources, Pattern::covers)),
            ..Self::default()
        }
    }

    /// KMS, where a service asks it in the caller's name; a call of the caller's own has no `kms:ViaService`.
    fn encryption() -> Self {
        Self {
            effect: "Allow",
            action: Some(OneOrMore::More(ENCRYPTION.map(str::to_owned).to_vec())),
            resource: Some(OneOrMore::One("*".to_owned())),
            condition: BTreeMap::from([("StringLike", BTreeMap::from([("kms:ViaService", "*")]))]),
            ..Self::default()
        }
    }

    /// A denial of everything but …, for calls of the caller's own.
    fn fence() -> Self {
        Self {
            effect: "Deny",
            resource: Some(OneOrMore::One("*".to_owned())),
            condition: BTreeMap::from([("Null", BTreeMap::from([("kms:ViaService", "true")]))]),
            ..Self::default()
        }
    }
}

/// The patterns that no other one covers, each once. A pattern covers another if it matches its text: what a wildcard
/// matches in the other, it matches too. `?` is the exception (it does not match the several letters that the other's
/// `*` stands for), so a pattern with `?` covers only its equal.
fn minimal(patterns: &[Pattern], matches: fn(&Pattern, &str) -> bool) -> OneOrMore {
    let covers =
        |by: &Pattern, other: &Pattern| by == other || (!by.as_str().contains('?') && matches(by, other.as_str()));
    let mut kept: Vec<&Pattern> = Vec::new();
    for pattern in patterns {
        if !kept.iter().any(|by| covers(by, pattern)) {
            kept.retain(|other| !covers(pattern, other));
            kept.push(pattern);
        }
    }
    match kept[..] {
        [only] => OneOrMore::One(only.to_string()),
        _ => OneOrMore::More(kept.into_iter().map(ToString::to_string).collect()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Leaving patterns out neither adds nor removes an action.
        #[test]
        fn the_minimal_list_matches_what_the_list_matches(
            texts in prop::collection::vec("s3:[ab*?]{1,4}", 1..6), action in "s3:[ab]{1,5}",
        ) {
            let all: Vec<Pattern> = texts.iter().map(|text| Pattern::new(text).unwrap()).collect();
            let kept: Vec<Pattern> = match minimal(&all, Pattern::matches_ignoring_case) {
                OneOrMore::One(text) => vec![Pattern::new(&text).unwrap()],
                OneOrMore::More(texts) => texts.iter().map(|text| Pattern::new(text).unwrap()).collect(),
            };
            let allows = |list: &[Pattern]| list.iter().any(|p| p.matches_ignoring_case(&action));
            prop_assert_eq!(allows(&all), allows(&kept));
            prop_assert!(kept.len() <= all.len());
        }
    }
}
