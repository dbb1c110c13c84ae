//! Words, brackets and quoted text of a filter or a path, with where they stand.

use super::filter::{FilterError, Flaw};

/// One piece of the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[`
    OpenBracket,
    /// `]`
    CloseBracket,
    /// Quoted text, read.
    Text(String),
    /// All that stands between white space, brackets and quotes: names, operators, numbers, unquoted values.
    Word(&'a str),
}

/// A piece and where it begins, in bytes.
pub(super) type At<'a> = (usize, Token<'a>);

/// Reads pieces from the front.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Where the next character stands.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// The next piece; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<At<'a>>, FilterError> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        let (begin, rest) = (self.at, &self.text[self.at..]);
        let Some(first) = rest.chars().next() else { return Ok(None) };
        let token = match first {
            '(' => Token::Open,
            ')' => Token::Close,
            '[' => Token::OpenBracket,
            ']' => Token::CloseBracket,
            '"' => return self.quoted(begin).map(|text| Some((begin, Token::Text(text)))),
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "()[]\"".contains(c)).unwrap_or(rest.len());
                self.at += end;
                return Ok(Some((begin, Token::Word(&rest[..end]))));
            }
        };
        self.at += 1;
        Ok(Some((begin, token)))
    }

    /// A JSON string: what stands in it is JSON's to say.
    fn quoted(&mut self, begin: usize) -> Result<String, FilterError> {
        let inside = self.text[begin + 1..].bytes();
        let mut escaped = false;
        for (n, byte) in inside.enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    self.at = begin + n + 2;
                    let read = serde_json::from_str(&self.text[begin..self.at]);
                    return read.map_err(|_| FilterError { at: begin, flaw: Flaw::Text });
                }
                _ => {}
            }
        }
        Err(FilterError { at: begin, flaw: Flaw::Unclosed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<At<'_>>, FilterError> {
        let mut lexer = Lexer::new(text);
        std::iter::from_fn(|| lexer.next().transpose()).collect()
    }

    #[test]
    fn pieces_stand_where_they_begin() {
        let pieces = all(r#"emails[type EQ "a\"ü]"].value  eq jyoung)"#).unwrap();
        let expected = [
            (0, Token::Word("emails")),
            (6, Token::OpenBracket),
            (7, Token::Word("type")),
            (12, Token::Word("EQ")),
            (15, Token::Text("a\"ü]".into())),
            (23, Token::CloseBracket),
            (24, Token::Word(".value")),
            (32, Token::Word("eq")),
            (35, Token::Word("jyoung")),
            (41, Token::Close),
        ];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn text_that_json_would_not_take_is_refused() {
        assert_eq!(all(r#"a eq "b"#), Err(FilterError { at: 5, flaw: Flaw::Unclosed }));
        assert_eq!(all(r#"a eq "b\""#), Err(FilterError { at: 5, flaw: Flaw::Unclosed }));
        assert_eq!(all(r#"a eq "\q""#), Err(FilterError { at: 5, flaw: Flaw::Text }));
        assert_eq!(all("a eq \"\n\""), Err(FilterError { at: 5, flaw: Flaw::Text }));
    }
}
