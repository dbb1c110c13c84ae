//! PartiQL (Amazon DynamoDB): which action a statement is. Its tables stand in a language of its own, and are not told.

use super::members;
use super::resource::{Body, Said, in_body};

/// IAM's actions by the word that a statement begins with.
const ACTIONS: [(&str, &str); 4] = [
    ("SELECT", "PartiQLSelect"),
    ("INSERT", "PartiQLInsert"),
    ("UPDATE", "PartiQLUpdate"),
    ("DELETE", "PartiQLDelete"),
];

/// The actions of the statements at a place of the body; all of them where one statement cannot be told.
pub(super) fn actions(place: &str, said: Said<'_>) -> Vec<&'static str> {
    let statements = match said.body {
        Body::Json(_) => in_body(place, said.body).unwrap_or_default(),
        Body::Form(_) | Body::Unread => Vec::new(),
    };
    let known: Option<Vec<_>> = statements.iter().map(|statement| action(statement.as_deref()?)).collect();
    match known {
        Some(known) if !known.is_empty() && known.len() < members::MOST => known,
        Some(_) | None => ACTIONS.iter().map(|(_, action)| *action).collect(),
    }
}

/// `select "id" from "orders"` → `PartiQLSelect`; `EXISTS(SELECT …)` is the condition of a transaction, and selects too.
/// What begins with a comment or a parenthesis is not told.
fn action(statement: &str) -> Option<&'static str> {
    let statement = statement.trim_start_matches([' ', '\t', '\r', '\n']);
    let end = statement.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(statement.len());
    let (word, rest) = statement.split_at(end);
    let is = |known: &str| word.eq_ignore_ascii_case(known);
    if is("EXISTS") {
        let inner = rest.trim_start_matches([' ', '(', '\t', '\r', '\n']);
        return action(inner).filter(|action| *action == "PartiQLSelect");
    }
    ACTIONS.iter().find(|(known, _)| is(known)).map(|(_, action)| *action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_by_the_word_that_they_begin_with() {
        for (statement, expected) in [
            ("SELECT * FROM orders", Some("PartiQLSelect")),
            ("\n  delete from \"orders\" where id=1", Some("PartiQLDelete")),
            ("INSERT INTO orders value {'id':1}", Some("PartiQLInsert")),
            ("update\"orders\" set a=1", Some("PartiQLUpdate")),
            ("EXISTS(SELECT * FROM orders)", Some("PartiQLSelect")),
            ("EXISTS(EXISTS(DELETE FROM orders))", None),
            ("-- SELECT\nDELETE FROM orders", None),
            ("/**/DELETE FROM orders", None),
            ("(DELETE FROM orders)", None),
            ("SELECTED", None),
            ("", None),
        ] {
            assert_eq!(action(statement), expected, "{statement}");
        }
    }
}
