//! How deep an expression goes, told before it is parsed.
//!
//! The parser descends into what it reads, and so do whoever evaluates and drops the result. Each bracket costs it some
//! 150 KiB of stack where it is not optimised, each operator of a chain some 40: a thread of 2 MiB ends at 12 brackets or 56
//! operators (measured; optimised it takes a thousand of either). So depth is bounded while the source is still text.
//!
//! What is a text and what is not must be beyond doubt for that: a bracket that we took for a part of a text, and the parser
//! for one of the language, would not be counted. So of the language's ways to write texts there is one here: one pair of
//! quotes on one line, with the escapes that everybody knows. The others are refused, and so are names in backticks and
//! brackets that close another kind, over which the parser goes on.

use super::{WhenError, WhenErrors};

/// How deep an expression may go: a bracket counts for four, an operator of a chain for one.
const MAX_DEPTH: usize = 32;

/// What a bracket counts for.
const BRACKET: usize = 4;

/// What is wrong if it goes too deep, or if nobody can tell.
pub(super) fn check(source: &str) -> Result<(), WhenErrors> {
    if deepest(source)? <= MAX_DEPTH {
        return Ok(());
    }
    let message =
        format!("this is nested too deeply: a bracket counts for {BRACKET}, an operator for 1, and {MAX_DEPTH} is all");
    let help = "`&&`, `||` and `,` start anew; say the parts in conditions of their own";
    Err(WhenError::whole(message).help(help).into())
}

/// The depth at the deepest place. What is a chain ends with `&&`, `||` and `,`, whose sides lie beside one another.
fn deepest(source: &str) -> Result<usize, WhenError> {
    let (mut outside, mut chain, mut deepest) = (Vec::new(), 0usize, 0);
    let mut base = 0usize;
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let mut length = next.len_utf8();
        let wrong = |message: &str| WhenError { at: Some(place(source, rest)), ..WhenError::whole(message) };
        match next {
            '"' | '\'' => length = string(rest).map_err(wrong)?,
            '`' => return Err(wrong("names have no backticks here")),
            'a'..='z' | 'A'..='Z' | '_' => {
                length = word(rest);
                let (word, after) = rest.split_at(length);
                if after.starts_with(['"', '\'']) {
                    return Err(wrong("a text has nothing in front of its quotes"));
                }
                chain += usize::from(word == "in");
            }
            '(' | '[' | '{' => {
                outside.push((next, chain));
                base += chain + BRACKET;
                chain = 0;
            }
            ')' | ']' | '}' => {
                let (opened, before) = outside.pop().ok_or_else(|| wrong("this bracket closes none"))?;
                if !matches!((opened, next), ('(', ')') | ('[', ']') | ('{', '}')) {
                    return Err(wrong("this bracket closes one of another kind"));
                }
                base = base.saturating_sub(before + BRACKET);
                chain = before + 1;
            }
            '/' if rest.starts_with("//") => length = rest.find('\n').unwrap_or(rest.len()),
            ',' => chain = 0,
            '&' | '|' if rest.starts_with("&&") || rest.starts_with("||") => {
                chain = 0;
                length = 2;
            }
            // The branches of a conditional lie within one another, and none of them starts anew.
            '?' => base += 2,
            '.' | '+' | '-' | '*' | '/' | '%' | '<' | '>' | '=' | '!' => {
                chain += 1;
                length += usize::from(rest[1..].starts_with('=') && next != '.');
            }
            '\n' | '\r' | '\t' => {}
            c if c.is_control() => return Err(wrong("a control character stands here")),
            _ => {}
        }
        deepest = deepest.max(base + chain);
        rest = &rest[length..];
    }
    Ok(deepest)
}

/// Line and column of what is left of a source, from 1.
fn place(source: &str, rest: &str) -> (usize, usize) {
    let before = &source[..source.len() - rest.len()];
    (before.matches('\n').count() + 1, before.chars().rev().take_while(|c| *c != '\n').count() + 1)
}

fn word(rest: &str) -> usize {
    rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len())
}

/// How long the text is that starts here, with its quotes.
fn string(rest: &str) -> Result<usize, &'static str> {
    let quote = rest.as_bytes()[0];
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, next)) = characters.next() {
        match next {
            '\\' => {
                let escaped = characters.next().map(|(_, escaped)| escaped);
                if !escaped.is_some_and(|escaped| matches!(escaped, '\\' | '"' | '\'' | 'n' | 't')) {
                    return Err(r#"of escapes there are \\, \", \', \n and \t here"#);
                }
            }
            c if c.is_control() => return Err("this text does not end on its line"),
            c if c == char::from(quote) => {
                // Two quotes and a third one would start a text of many lines.
                let is_many = at == 1 && rest.as_bytes().get(2) == Some(&quote);
                return if is_many { Err("a text stands in one pair of quotes") } else { Ok(at + 1) };
            }
            _ => {}
        }
    }
    Err("this text has no end")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn brackets_and_chains_add_up_and_what_lies_beside_one_another_does_not() {
        for (source, depth) in [
            ("true", 0),
            ("(1)", 4),
            ("((1))", 8),
            ("(1) + (1)", 6),
            ("a.b.c", 2),
            ("a.b && c.d", 1),
            ("f(a.b, c.d)", 5),
            ("a[0][0]", 5),
            (r#"'((((' == "[[[\"[""#, 1),
            (r"'\'((' + '('", 1),
            ("'' + 'é('", 1),
            ("1 // ((((\n+ 1", 1),
            ("a in b", 1),
            ("index", 0),
            ("a ? b : c ? d : e", 4),
            ("a == b || !c", 1),
        ] {
            assert_eq!(deepest(source), Ok(depth), "{source}");
        }
    }

    /// In each of these the parser reads brackets where others would read a text, or the other way round.
    #[test]
    fn what_is_a_text_and_what_is_not_is_beyond_doubt() {
        for (source, place) in [
            (r"r'\' + '((((((((('", (1, 1)),
            (r"ar'\' ((((((((('", (1, 1)),
            (r#"b"((((((((((""#, (1, 1)),
            ("true && '''((((((((((", (1, 9)),
            (r#""""((((((((((""""#, (1, 1)),
            ("\n '((((((((((", (2, 2)),
            ("'((((\n((((((('", (1, 1)),
            (r"'\q((((((((((('", (1, 1)),
            ("`a//`((((((((((", (1, 1)),
            ("'a\r((((((((((('", (1, 1)),
            ("a\u{b}", (1, 2)),
            ("has(}has(}has(}has(}has(}has(", (1, 5)),
            ("true)", (1, 5)),
        ] {
            assert_eq!(deepest(source).expect_err(source).at, Some(place), "{source}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_a_depth_or_is_refused(source in "\\PC{0,80}") {
            let _refused = deepest(&source);
        }

        #[test]
        fn any_soup_of_the_language_has_a_depth_or_is_refused(source in "[()\\[\\]{}.,'\"\\\\/rb&|?:!=a\n]{0,60}") {
            let _refused = deepest(&source);
        }
    }
}
