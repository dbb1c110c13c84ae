//! The session policy: what a grant allows, as the JSON that narrows a session at AWS to it.

use access::Pattern;
use serde::Serialize;

/// `Policy` of the AssumeRole family, in characters.
const MAX_CHARACTERS: usize = 2048;

/// A policy that AWS intersects with the role's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPolicy(String);

/// Patterns that cannot be said in a session policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A session that may do nothing is not worth asking for.
    #[error("the grant allows no action; list at least one, such as s3:GetObject")]
    NoAction,
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
    #[error("the session policy has {0} characters and STS takes {MAX_CHARACTERS}; use wider patterns such as s3:Get*")]
    TooLong(usize),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    version: &'static str,
    statement: [Statement<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement<'a> {
    effect: &'static str,
    action: OneOrMore<'a>,
    resource: OneOrMore<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OneOrMore<'a> {
    One(&'a str),
    More(Vec<&'a str>),
}

impl SessionPolicy {
    /// Allows `actions` on `resources`; on all, if none is listed. Patterns that others cover are left out.
    pub fn compile(actions: &[Pattern], resources: &[Pattern]) -> Result<Self, PolicyError> {
        if actions.is_empty() {
            return Err(PolicyError::NoAction);
        }
        for action in actions {
            check(action, is_action(action.as_str()), PolicyError::Action)?;
        }
        for resource in resources {
            check(resource, is_resource(resource.as_str()), PolicyError::Resource)?;
        }
        let everything = [Pattern::new("*").expect("a star is a pattern")];
        let resources = if resources.is_empty() { &everything[..] } else { resources };
        let statement = Statement {
            effect: "Allow",
            action: minimal(actions, Pattern::matches_ignoring_case),
            resource: minimal(resources, Pattern::matches),
        };
        let document = Document { version: "2012-10-17", statement: [statement] };
        let text = serde_json::to_string(&document).expect("strings in lists always serialise");
        let characters = text.chars().count();
        if characters > MAX_CHARACTERS { Err(PolicyError::TooLong(characters)) } else { Ok(Self(text)) }
    }

    /// The JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }
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
    text == "*" || (text.starts_with("arn:") && text.splitn(6, ':').count() == 6)
}

/// The patterns that no other one covers, each once. A pattern covers another if it matches its text: what a wildcard
/// matches in the other, it matches too. `?` is the exception (it does not match the several letters that the other's
/// `*` stands for), so a pattern with `?` covers only its equal.
fn minimal(patterns: &[Pattern], matches: fn(&Pattern, &str) -> bool) -> OneOrMore<'_> {
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
        [only] => OneOrMore::One(only.as_str()),
        _ => OneOrMore::More(kept.into_iter().map(Pattern::as_str).collect()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::new(text).unwrap()).collect()
    }

    fn compile(actions: &[&str], resources: &[&str]) -> Result<String, PolicyError> {
        SessionPolicy::compile(&patterns(actions), &patterns(resources)).map(|policy| policy.0)
    }

    #[test]
    fn a_grant_becomes_one_statement() {
        assert_eq!(
            compile(&["s3:GetObject", "s3:ListBucket"], &["arn:aws:s3:::acme", "arn:aws:s3:::acme/*"]).unwrap(),
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"#
                .to_owned()
                + r#""Resource":["arn:aws:s3:::acme","arn:aws:s3:::acme/*"]}]}"#
        );
    }

    #[test]
    fn what_a_wider_pattern_covers_is_left_out() {
        let expected = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
        assert_eq!(compile(&["s3:Get*", "S3:GetObject", "s3:*", "s3:List?"], &[]).unwrap(), expected);
        assert!(compile(&["s3:Get?", "s3:Get*"], &[]).unwrap().contains(r#""Action":"s3:Get*""#));
        assert!(compile(&["s3:Ge?*", "s3:G*"], &[]).unwrap().contains(r#""Action":"s3:G*""#));
        assert!(compile(&["s3:Get?", "s3:Ge*t"], &[]).unwrap().contains(r#"["s3:Get?","s3:Ge*t"]"#));
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        assert_eq!(compile(&[], &[]), Err(PolicyError::NoAction));
        for action in ["s3", "s3:", ":Get", "s*:Get", "s3:Get Object", "s3:Get\""] {
            assert_eq!(compile(&[action], &[]), Err(PolicyError::Action(action.to_owned())));
        }
        for resource in ["acme", "arn:aws:s3:::", "s3://acme"] {
            let answer = compile(&["s3:*"], &[resource]);
            assert_eq!(answer.is_err(), resource != "arn:aws:s3:::", "{resource}");
        }
        let variable = "arn:aws:s3:::${aws:username}";
        assert_eq!(compile(&["s3:*"], &[variable]), Err(PolicyError::Variable(variable.to_owned())));
        let letter = "arn:aws:s3:::日";
        assert_eq!(compile(&["s3:*"], &[letter]), Err(PolicyError::Character(letter.to_owned())));
        let many: Vec<String> = (0..100).map(|i| format!("arn:aws:s3:::acme-receipts-{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(matches!(compile(&["s3:*"], &many), Err(PolicyError::TooLong(n)) if n > 2048));
    }

    proptest! {
        /// Leaving patterns out neither adds nor removes an action.
        #[test]
        fn the_minimal_list_matches_what_the_list_matches(
            texts in prop::collection::vec("s3:[ab*?]{1,4}", 1..6), action in "s3:[ab]{1,5}",
        ) {
            let all: Vec<Pattern> = texts.iter().map(|text| Pattern::new(text).unwrap()).collect();
            let kept: Vec<Pattern> = match minimal(&all, Pattern::matches_ignoring_case) {
                OneOrMore::One(text) => vec![Pattern::new(text).unwrap()],
                OneOrMore::More(texts) => texts.iter().map(|text| Pattern::new(text).unwrap()).collect(),
            };
            let allows = |list: &[Pattern]| list.iter().any(|p| p.matches_ignoring_case(&action));
            prop_assert_eq!(allows(&all), allows(&kept));
            prop_assert!(kept.len() <= all.len());
        }
    }
}
