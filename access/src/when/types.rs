//! What the values of an expression are, and how large at the most.

use std::fmt;

use super::words::{MAX_ITEMS, MAX_TEXT};

/// The type of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    /// True or false.
    Truth,
    /// A whole number.
    Number,
    /// Text, of so many bytes at the most.
    Text(usize),
    /// A list of so many at the most.
    List(Box<Type>, usize),
    /// What a source says about a caller, by name.
    Attributes,
}

impl Type {
    /// A list of texts, as long as any that is bound.
    pub(super) fn texts(longest: usize) -> Self {
        Self::List(Box::new(Self::Text(longest)), MAX_ITEMS)
    }

    /// Whether two are one but for their size.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(one, _), Self::List(other, _)) => one.is_like(other),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// The larger of two that are alike.
    pub(super) fn larger(self, other: Self) -> Self {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => Self::Text(one.max(other)),
            (Self::List(one, length), Self::List(other, longer)) => {
                Self::List(Box::new(one.larger(*other)), length.max(longer))
            }
            (one, _) => one,
        }
    }

    /// What it costs to look at all of a value, in steps; a step looks at 64 bytes.
    pub(super) fn look(&self) -> u64 {
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        match self {
            Self::Truth | Self::Number => 1,
            Self::Text(longest) => 1 + wide(longest / 64),
            Self::List(item, most) => 1 + wide(*most).saturating_mul(item.look()),
            Self::Attributes => wide(MAX_ITEMS * (1 + MAX_TEXT / 64)),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truth => "true or false",
            Self::Number => "a number",
            Self::Text(_) => "a text",
            Self::List(..) => "a list",
            Self::Attributes => "attributes",
        })
    }
}
