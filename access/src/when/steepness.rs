//! How deep an expression goes, told before it is parsed.
//!
//! The parser descends into what it reads, and so do whoever evaluates and drops the result. Each bracket costs it some
//! 150 KiB of stack where it is not optimised, each operator of a chain some 40: a thread of 2 MiB ends at 12 brackets or 56
//! operators (measured; optimised it takes a thousand of either). So depth is bounded while the source is still text.

use super::{WhenError, WhenErrors};

/// How deep an expression may go: a bracket counts for four, an operator of a chain for one.
const MAX_DEPTH: usize = 32;

/// What a bracket counts for.
const BRACKET: usize = 4;

/// What is wrong if it goes too deep.
pub(super) fn check(source: &str) -> Result<(), WhenErrors> {
    if deepest(source) <= MAX_DEPTH {
        return Ok(());
    }
    let message =
        format!("this is nested too deeply: a bracket counts for {BRACKET}, an operator for 1, and {MAX_DEPTH} is all");
    let help = "`&&`, `||` and `,` start anew; say the parts in conditions of their own";
    Err(WhenError { at: None, message, help: Some(help.to_owned()) }.into())
}

/// The depth at the deepest place. What is a chain ends with `&&`, `||` and `,`, whose sides lie beside one another.
fn deepest(source: &str) -> usize {
    let (mut outside, mut chain, mut deepest) = (Vec::new(), 0usize, 0);
    let mut base = 0usize;
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let mut length = next.len_utf8();
        match next {
            '"' | '\'' => length = string(rest, false),
            'r' | 'R' | 'b' | 'B' | 'a'..='z' | 'A'..='Z' | '_' => {
                length = word(rest);
                let (word, after) = rest.split_at(length);
                if after.starts_with(['"', '\'']) && word.len() <= 2 {
                    length += string(after, word.contains(['r', 'R']));
                }
                chain += usize::from(word == "in");
            }
            '(' | '[' | '{' => {
                outside.push(chain);
                base += chain + BRACKET;
                chain = 0;
            }
            ')' | ']' | '}' => {
                if let Some(before) = outside.pop() {
                    base = base.saturating_sub(before + BRACKET);
                    chain = before + 1;
                }
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
            _ => {}
        }
        deepest = deepest.max(base + chain);
        rest = &rest[length.min(rest.len())..];
    }
    deepest
}

fn word(rest: &str) -> usize {
    rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len())
}

/// How long the string is that starts here, with its quotes; to the end of the source, where it has none.
fn string(rest: &str, raw: bool) -> usize {
    let quote = &rest[..1];
    let end = if rest.len() >= 3 && rest[1..].starts_with(quote) && rest[2..].starts_with(quote) {
        &rest[..3]
    } else {
        quote
    };
    let mut at = end.len();
    while let Some(next) = rest[at..].chars().next() {
        if rest[at..].starts_with(end) {
            return at + end.len();
        }
        // The end of the line is the end of a string that has no other: the parser says what is wrong with it.
        if next == '\n' && end.len() == 1 {
            return at;
        }
        at += next.len_utf8();
        if next == '\\' && !raw {
            at += rest[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    rest.len()
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
            ("'((((' == \"[[[\\\"[\"", 1),
            ("r'\\' + '('", 1),
            ("'''(' \"(''' + 1", 1),
            ("1 // ((((\n+ 1", 1),
            ("a in b", 1),
            ("index", 0),
            ("a ? b : c ? d : e", 4),
            ("a == b || !c", 1),
            (")))", 0),
        ] {
            assert_eq!(deepest(source), depth, "{source}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_a_depth(source in "\\PC{0,80}") {
            deepest(&source);
        }

        #[test]
        fn any_soup_of_the_language_has_a_depth(source in "[()\\[\\]{}.,'\"\\\\/rb&|?:!=a\n]{0,60}") {
            deepest(&source);
        }
    }
}
