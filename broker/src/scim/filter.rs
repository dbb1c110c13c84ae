//! Filters as they are meant: `userType eq "Employee" and emails[type eq "work" and value co "@acme.com"]`.
//!
//! RFC 7644 §3.4.2.2. [`Filter`] is what [`super::parser`] reads and what prints as text again; it knows no schema.
//! [`super::bound`] says what the names in it mean for one kind of resource.

use std::fmt;

use super::attribute::AttrPath;

/// A filter of resources.
pub type Filter = Expr<Term>;

/// A filter of the elements of one attribute: what stands between brackets. There are no brackets within it.
pub type ElementFilter = Expr<Test>;

/// Leaves, joined by `and`, `or` and `not`.
///
/// In normal form, which [`Expr::all`] and [`Expr::any`] keep, an `And` joins two or more that are no `And`s
/// themselves, and an `Or` likewise: a hundred alternatives are one level deep.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr<L> {
    /// What is joined.
    Leaf(L),
    /// All but what is inside.
    Not(Box<Self>),
    /// All hold.
    And(Vec<Self>),
    /// One holds.
    Or(Vec<Self>),
}

impl<L> Expr<L> {
    /// All of them hold.
    pub fn all(first: Self, rest: impl IntoIterator<Item = Self>) -> Self {
        let flat = |part| if let Self::And(parts) = part { parts } else { vec![part] };
        Self::joined(flat(first).into_iter().chain(rest.into_iter().flat_map(flat)).collect(), Self::And)
    }

    /// One of them holds.
    pub fn any(first: Self, rest: impl IntoIterator<Item = Self>) -> Self {
        let flat = |part| if let Self::Or(parts) = part { parts } else { vec![part] };
        Self::joined(flat(first).into_iter().chain(rest.into_iter().flat_map(flat)).collect(), Self::Or)
    }

    fn joined(mut parts: Vec<Self>, join: fn(Vec<Self>) -> Self) -> Self {
        match parts.pop() {
            Some(only) if parts.is_empty() => only,
            Some(last) => {
                parts.push(last);
                join(parts)
            }
            None => join(parts),
        }
    }

    /// Whether it holds where `leaf` says which of its leaves do.
    pub fn holds(&self, leaf: &impl Fn(&L) -> bool) -> bool {
        match self {
            Self::Leaf(l) => leaf(l),
            Self::Not(inner) => !inner.holds(leaf),
            Self::And(parts) => parts.iter().all(|part| part.holds(leaf)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(leaf)),
        }
    }

    /// The same with other leaves.
    pub fn try_map<M, E>(self, leaf: &impl Fn(L) -> Result<M, E>) -> Result<Expr<M>, E> {
        let each = |parts: Vec<Self>| parts.into_iter().map(|part| part.try_map(leaf)).collect::<Result<Vec<_>, _>>();
        Ok(match self {
            Self::Leaf(l) => Expr::Leaf(leaf(l)?),
            Self::Not(inner) => Expr::Not(Box::new(inner.try_map(leaf)?)),
            Self::And(parts) => Expr::And(each(parts)?),
            Self::Or(parts) => Expr::Or(each(parts)?),
        })
    }
}

/// A leaf of a filter of resources.
#[derive(Debug, Clone, PartialEq)]
pub enum Term {
    /// About one attribute.
    Test(Test),
    /// One element of the attribute is such: `emails[type eq "work"]`.
    Element(AttrPath, ElementFilter),
}

/// What is asked of one attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// Which.
    pub attr: AttrPath,
    /// What.
    pub is: Is,
}

/// What may be asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Is {
    /// It has a value: `pr`.
    Present,
    /// It compares so with a literal.
    Compared(Op, Literal),
}

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `eq`
    Equal,
    /// `ne`
    NotEqual,
    /// `co`
    Contains,
    /// `sw`
    StartsWith,
    /// `ew`
    EndsWith,
    /// `gt`
    Greater,
    /// `ge`
    GreaterOrEqual,
    /// `lt`
    Less,
    /// `le`
    LessOrEqual,
}

impl Op {
    /// All of them, with their names.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Equal, "eq"),
        (Self::NotEqual, "ne"),
        (Self::Contains, "co"),
        (Self::StartsWith, "sw"),
        (Self::EndsWith, "ew"),
        (Self::Greater, "gt"),
        (Self::GreaterOrEqual, "ge"),
        (Self::Less, "lt"),
        (Self::LessOrEqual, "le"),
    ];

    /// The name.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(op, _)| *op == self).map_or("", |(_, name)| name)
    }
}

/// What is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(Digits),
    /// A string.
    Text(String),
}

/// A number of JSON as it was written: an employee called `007.50` would not be found by what a float makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digits(Box<str>);

impl Digits {
    /// Takes a number of JSON.
    pub fn new(text: &str) -> Option<Self> {
        let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        (number && serde_json::from_str::<serde_json::Number>(text).is_ok()).then(|| Self(text.into()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no filter, or no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{flaw}", self.place())]
pub struct FilterError {
    /// Where, in bytes from the start; beside the point where an attribute is told.
    pub at: usize,
    /// What is wrong there.
    pub flaw: Flaw,
}

impl FilterError {
    fn place(&self) -> String {
        if matches!(self.flaw, Flaw::Comparison { .. }) { String::new() } else { format!("at {}: ", self.at) }
    }
}

/// What may be wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Longer than [`super::parser::MAX_BYTES`].
    #[error("longer than {0} bytes; ask for less at once")]
    Long(usize),
    /// Nested deeper than [`super::parser::MAX_DEPTH`].
    #[error("nested deeper than {0} levels")]
    Deep(usize),
    /// More comparisons than [`super::parser::MAX_TERMS`].
    #[error("more than {0} comparisons; ask for fewer at once")]
    Many(usize),
    /// A quoted text that does not end.
    #[error("a text begins here that does not end: `\"` is missing")]
    Unclosed,
    /// A quoted text that JSON would not take.
    #[error("the text that begins here is no JSON string; are backslashes and control characters escaped?")]
    Text,
    /// Something else should stand there.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What could stand there.
        expected: &'static str,
        /// What does, cut short.
        found: String,
    },
    /// An attribute cannot be compared so.
    #[error("`{attr}` cannot be compared so: {why}")]
    Comparison {
        /// Which one.
        attr: String,
        /// What it is.
        why: &'static str,
    },
}

impl<L: fmt::Display> fmt::Display for Expr<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            parts.iter().enumerate().try_for_each(|(n, part)| {
                f.write_str(if n == 0 { "" } else { word })?;
                // `and` binds closer than `or`; within its own kind neither needs brackets.
                let brackets = matches!((self, part), (Self::And(_), Self::Or(_)));
                if brackets { write!(f, "({part})") } else { part.fmt(f) }
            })
        };
        match self {
            Self::Leaf(leaf) => leaf.fmt(f),
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::And(parts) => joined(f, parts, " and "),
            Self::Or(parts) => joined(f, parts, " or "),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test(test) => test.fmt(f),
            Self::Element(attr, filter) => write!(f, "{attr}[{filter}]"),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.is {
            Is::Present => write!(f, "{} pr", self.attr),
            Is::Compared(op, literal) => write!(f, "{} {} {literal}", self.attr, op.as_str()),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(flag) => flag.fmt(f),
            Self::Number(digits) => f.write_str(digits.as_str()),
            Self::Text(text) => serde_json::Value::from(text.as_str()).fmt(f),
        }
    }
}
