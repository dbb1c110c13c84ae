//! Reading filters: RFC 7644 §3.4.2.2, and a little more that identity providers send.
//!
//! More than the standard: a value without quotes (`externalId eq jyoung`, which Microsoft's documents and tests
//! write), and a comparison behind the brackets (`emails[type eq "work"].value eq "a@acme.com"`, by which Entra looks
//! users up), which means the same as one within them.

use std::str::FromStr;

use super::attribute::{AttrPath, Name};
use super::filter::{Digits, ElementFilter, Expr, Filter, FilterError, Flaw, Is, Literal, Op, Term, Test};
use super::lexer::{At, Lexer, Token};

/// Longest filter: a hundred look-ups by name fit in.
pub const MAX_BYTES: usize = 4096;
/// Deepest nesting, so that nothing which walks a filter runs out of stack.
pub const MAX_DEPTH: usize = 32;
/// Most comparisons: each is asked of every candidate.
pub const MAX_TERMS: usize = 256;
/// Most characters of a wrong word that an error repeats.
const MAX_SHOWN: usize = 40;

const ATTRIBUTE: &str = "an attribute, `not (` or `(`";
const OPERATOR: &str = "an operator: eq, ne, co, sw, ew, gt, ge, lt, le or pr";
const VALUE: &str = "a value: text in double quotes, a number, true, false or null";

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let mut parser = Parser::new(text)?;
        let filter = parser.any()?;
        parser.end("`and`, `or` or the end")?;
        Ok(filter)
    }
}

/// What leaves there are depends on where they stand: within brackets there are no brackets.
trait Leaf: Sized {
    fn parse(attr: AttrPath, parser: &mut Parser<'_>) -> Result<Expr<Self>, FilterError>;
}

impl Leaf for Term {
    fn parse(attr: AttrPath, parser: &mut Parser<'_>) -> Result<Expr<Self>, FilterError> {
        if !parser.takes(&Token::OpenBracket)? {
            return parser.test(attr).map(|test| Expr::Leaf(Self::Test(test)));
        }
        let within = parser.element_filter()?;
        let filter = match parser.behind_brackets()? {
            Some(sub) => {
                let test = parser.test(AttrPath { urn: None, name: sub, sub: None })?;
                Expr::all(within, [Expr::Leaf(test)])
            }
            None => within,
        };
        Ok(Expr::Leaf(Self::Element(attr, filter)))
    }
}

impl Leaf for Test {
    fn parse(attr: AttrPath, parser: &mut Parser<'_>) -> Result<Expr<Self>, FilterError> {
        parser.test(attr).map(Expr::Leaf)
    }
}

/// Reads by descent; what it has looked at and not taken waits in `next`.
#[derive(Debug)]
pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    next: Option<At<'a>>,
    depth: usize,
    terms: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, FilterError> {
        if text.len() > MAX_BYTES {
            return Err(FilterError { at: MAX_BYTES, flaw: Flaw::Long(MAX_BYTES) });
        }
        let mut lexer = Lexer::new(text);
        let next = lexer.next()?;
        Ok(Self { lexer, next, depth: 0, terms: 0 })
    }

    /// The filter between brackets, behind the opening one, to the closing one.
    pub(super) fn element_filter(&mut self) -> Result<ElementFilter, FilterError> {
        let filter = self.deeper(Self::any)?;
        self.expect(&Token::CloseBracket, "`and`, `or` or `]`")?;
        Ok(filter)
    }

    /// A sub-attribute behind the closing bracket, if there is one.
    pub(super) fn behind_brackets(&mut self) -> Result<Option<Name>, FilterError> {
        let Some((_, Token::Word(word))) = &self.next else { return Ok(None) };
        let Some(sub) = word.strip_prefix('.') else { return Ok(None) };
        let Some(name) = Name::new(sub) else { return Err(self.wrong("the name of a sub-attribute")) };
        self.step()?;
        Ok(Some(name))
    }

    /// The attribute that stands next.
    pub(super) fn attribute(&mut self, expected: &'static str) -> Result<AttrPath, FilterError> {
        let Some((_, Token::Word(word))) = &self.next else { return Err(self.wrong(expected)) };
        let Some(attr) = AttrPath::new(word) else { return Err(self.wrong(expected)) };
        self.step()?;
        Ok(attr)
    }

    /// Nothing stands there any more.
    pub(super) fn end(&self, expected: &'static str) -> Result<(), FilterError> {
        if self.next.is_none() { Ok(()) } else { Err(self.wrong(expected)) }
    }

    /// Takes `token`, if it stands next.
    pub(super) fn takes(&mut self, token: &Token<'_>) -> Result<bool, FilterError> {
        let is_next = self.next.as_ref().is_some_and(|(_, next)| next == token);
        if is_next {
            self.step()?;
        }
        Ok(is_next)
    }

    fn any<L: Leaf>(&mut self) -> Result<Expr<L>, FilterError> {
        let (first, mut rest) = (self.all()?, Vec::new());
        while self.takes_word("or")? {
            rest.push(self.all()?);
        }
        Ok(Expr::any(first, rest))
    }

    fn all<L: Leaf>(&mut self) -> Result<Expr<L>, FilterError> {
        let (first, mut rest) = (self.one()?, Vec::new());
        while self.takes_word("and")? {
            rest.push(self.one()?);
        }
        Ok(Expr::all(first, rest))
    }

    fn one<L: Leaf>(&mut self) -> Result<Expr<L>, FilterError> {
        if self.takes(&Token::Open)? {
            return self.group();
        }
        if self.takes_word("not")? {
            self.expect(&Token::Open, "`(` behind `not`")?;
            return self.group().map(|inner| Expr::Not(Box::new(inner)));
        }
        let attr = self.attribute(ATTRIBUTE)?;
        L::parse(attr, self)
    }

    fn group<L: Leaf>(&mut self) -> Result<Expr<L>, FilterError> {
        let inner = self.deeper(Self::any)?;
        self.expect(&Token::Close, "`and`, `or` or `)`")?;
        Ok(inner)
    }

    fn deeper<T>(&mut self, inside: fn(&mut Self) -> Result<T, FilterError>) -> Result<T, FilterError> {
        if self.depth == MAX_DEPTH {
            return Err(FilterError { at: self.at(), flaw: Flaw::Deep(MAX_DEPTH) });
        }
        self.depth += 1;
        let read = inside(self)?;
        self.depth -= 1;
        Ok(read)
    }

    /// What is asked of `attr`.
    fn test(&mut self, attr: AttrPath) -> Result<Test, FilterError> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(FilterError { at: self.at(), flaw: Flaw::Many(MAX_TERMS) });
        }
        if self.takes_word("pr")? {
            return Ok(Test { attr, is: Is::Present });
        }
        let Some((_, Token::Word(word))) = &self.next else { return Err(self.wrong(OPERATOR)) };
        let named = Op::ALL.iter().find(|(_, name)| word.eq_ignore_ascii_case(name));
        let Some((op, _)) = named else { return Err(self.wrong(OPERATOR)) };
        self.step()?;
        let literal = match &mut self.next {
            Some((_, Token::Text(text))) => Literal::Text(std::mem::take(text)),
            Some((_, Token::Word(word))) => literal(word).ok_or_else(|| self.wrong(VALUE))?,
            _ => return Err(self.wrong(VALUE)),
        };
        self.step()?;
        Ok(Test { attr, is: Is::Compared(*op, literal) })
    }

    fn takes_word(&mut self, wanted: &str) -> Result<bool, FilterError> {
        let is_next = matches!(&self.next, Some((_, Token::Word(word))) if word.eq_ignore_ascii_case(wanted));
        if is_next {
            self.step()?;
        }
        Ok(is_next)
    }

    fn expect(&mut self, token: &Token<'_>, expected: &'static str) -> Result<(), FilterError> {
        if self.takes(token)? { Ok(()) } else { Err(self.wrong(expected)) }
    }

    fn step(&mut self) -> Result<(), FilterError> {
        self.next = self.lexer.next()?;
        Ok(())
    }

    fn at(&self) -> usize {
        self.next.as_ref().map_or_else(|| self.lexer.at(), |(at, _)| *at)
    }

    fn wrong(&self, expected: &'static str) -> FilterError {
        let short = |text: &str| text.chars().take(MAX_SHOWN).collect::<String>();
        let found = match self.next.as_ref().map(|(_, token)| token) {
            None => "the end".to_owned(),
            Some(Token::Open) => "`(`".to_owned(),
            Some(Token::Close) => "`)`".to_owned(),
            Some(Token::OpenBracket) => "`[`".to_owned(),
            Some(Token::CloseBracket) => "`]`".to_owned(),
            Some(Token::Text(text)) => format!("the text `{}`", short(text)),
            Some(Token::Word(word)) => format!("`{}`", short(word)),
        };
        FilterError { at: self.at(), flaw: Flaw::Expected { expected, found } }
    }
}

/// What stands without quotes. `'` begins no text here, and whoever writes it would wonder why nothing is found.
fn literal(word: &str) -> Option<Literal> {
    Some(match word {
        "null" => Literal::Null,
        _ if word.eq_ignore_ascii_case("true") => Literal::Bool(true),
        _ if word.eq_ignore_ascii_case("false") => Literal::Bool(false),
        _ if word.starts_with('\'') => return None,
        _ => Digits::new(word).map_or_else(|| Literal::Text(word.to_owned()), Literal::Number),
    })
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
