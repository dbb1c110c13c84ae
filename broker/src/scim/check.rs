//! One comparison, once it is known what is compared.

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value;

use super::attribute::{fold, folded};
use super::filter::{Is, Literal, Op};
use super::schema::{Attribute, Case, Kind};
use super::values::{flag, instant, is_present};

/// What is asked of the values of one attribute.
///
/// Of several values, one that is so is enough (RFC 7644 §3.4.2.2). An attribute without a value is equal to none, and
/// differs from all.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// There is one.
    Present,
    /// There is none.
    Absent,
    /// A text compares so; what is compared with is folded where letter case does not matter.
    Text(Op, String, Case),
    /// A flag is so.
    Flag(bool),
    /// A flag is not so.
    NotFlag(bool),
    /// A number compares so.
    Number(Op, f64),
    /// An instant compares so.
    Instant(Op, Timestamp),
    /// Something that no schema tells of compares so.
    Anything(Op, Literal),
}

impl Check {
    /// What `is` means for an attribute; `None` where nothing is known of it. An error says why it means nothing.
    pub fn new(attribute: Option<&Attribute>, is: Is) -> Result<Self, &'static str> {
        let (op, literal) = match is {
            Is::Present | Is::Compared(Op::NotEqual, Literal::Null) => return Ok(Self::Present),
            Is::Compared(Op::Equal, Literal::Null) => return Ok(Self::Absent),
            Is::Compared(_, Literal::Null) => return Err("null is greater and less than nothing"),
            Is::Compared(op, literal) => (op, literal),
        };
        let Some(attribute) = attribute else { return Ok(Self::Anything(op, literal)) };
        match attribute.kind {
            Kind::Text | Kind::Reference(_) => Ok(Self::text(op, text(literal), attribute.case)),
            Kind::Binary if is_order(op) => Err("it is binary, and has no order"),
            Kind::Binary => Ok(Self::text(op, text(literal), attribute.case)),
            Kind::Flag => match (op, text(literal)) {
                (Op::Equal, text) => flag(&text).map(Self::Flag).ok_or("it is true or false"),
                (Op::NotEqual, text) => flag(&text).map(Self::NotFlag).ok_or("it is true or false"),
                _ => Err("it is true or false, and can only be equal or not"),
            },
            Kind::Integer => match (op, text(literal).parse()) {
                (Op::Contains | Op::StartsWith | Op::EndsWith, _) => Err("it is a number"),
                (op, Ok(number)) => Ok(Self::Number(op, number)),
                (_, Err(_)) => Err("it is a number"),
            },
            Kind::Instant => match (op, text(literal)) {
                (Op::Contains | Op::StartsWith | Op::EndsWith, text) => Ok(Self::text(op, text, Case::Exact)),
                (op, text) => {
                    let at = instant(&text).ok_or("it is a time such as 2026-11-22T12:00:00Z")?;
                    Ok(Self::Instant(op, at))
                }
            },
            Kind::Complex(_) => Err("it has parts; name the one that is meant"),
        }
    }

    fn text(op: Op, text: String, case: Case) -> Self {
        Self::Text(op, if case == Case::Folded { fold(&text) } else { text }, case)
    }

    /// Whether it is so of these values.
    pub fn admits<'a>(&self, mut values: impl Iterator<Item = &'a Value>) -> bool {
        match self {
            Self::Present => values.any(is_present),
            Self::Absent => !values.any(is_present),
            Self::Text(Op::NotEqual, text, case) => differs(values, |value| text_holds(Op::Equal, value, text, *case)),
            Self::Text(op, text, case) => values.any(|value| text_holds(*op, value, text, *case)),
            Self::Flag(flag) => values.any(|value| value == flag),
            Self::NotFlag(flag) => differs(values, |value| value == flag),
            Self::Number(Op::NotEqual, number) => differs(values, |value| value.as_f64() == Some(*number)),
            Self::Number(op, number) => values.any(|value| {
                value.as_f64().and_then(|value| value.partial_cmp(number)).is_some_and(|order| order_holds(*op, order))
            }),
            Self::Instant(Op::NotEqual, at) => differs(values, |value| instant_of(value) == Some(*at)),
            Self::Instant(op, at) => {
                values.any(|value| instant_of(value).is_some_and(|value| order_holds(*op, value.cmp(at))))
            }
            Self::Anything(Op::NotEqual, literal) => differs(values, |value| anything_holds(Op::Equal, value, literal)),
            Self::Anything(op, literal) => values.any(|value| anything_holds(*op, value, literal)),
        }
    }
}

/// Whether there is none, or one of which it does not hold.
fn differs<'a>(values: impl Iterator<Item = &'a Value>, holds: impl Fn(&Value) -> bool) -> bool {
    let mut values = values.peekable();
    values.peek().is_none() || values.any(|value| !holds(value))
}

fn text(literal: Literal) -> String {
    match literal {
        Literal::Text(text) => text,
        // Without quotes a number is a text of digits.
        Literal::Number(digits) => digits.as_str().to_owned(),
        Literal::Bool(flag) => flag.to_string(),
        Literal::Null => String::new(),
    }
}

const fn is_order(op: Op) -> bool {
    matches!(op, Op::Greater | Op::GreaterOrEqual | Op::Less | Op::LessOrEqual)
}

fn text_holds(op: Op, value: &Value, wanted: &str, case: Case) -> bool {
    let Some(value) = value.as_str() else { return false };
    if let (Op::Equal, Case::Folded) = (op, case) {
        return folded(value).eq(wanted.chars());
    }
    let value = match case {
        Case::Exact => Cow::Borrowed(value),
        Case::Folded => Cow::Owned(fold(value)),
    };
    match op {
        Op::Contains => value.contains(wanted),
        Op::StartsWith => value.starts_with(wanted),
        Op::EndsWith => value.ends_with(wanted),
        op => order_holds(op, (*value).cmp(wanted)),
    }
}

/// Whether an order is one of those that `op` means. Parts of texts have none.
pub(super) const fn order_holds(op: Op, order: Ordering) -> bool {
    match op {
        Op::Equal => order.is_eq(),
        Op::NotEqual => order.is_ne(),
        Op::Greater => order.is_gt(),
        Op::GreaterOrEqual => order.is_ge(),
        Op::Less => order.is_lt(),
        Op::LessOrEqual => order.is_le(),
        Op::Contains | Op::StartsWith | Op::EndsWith => false,
    }
}

fn instant_of(value: &Value) -> Option<Timestamp> {
    value.as_str().and_then(instant)
}

/// By what the value itself is; letter case does not matter, which is what schemas mean that say nothing (RFC 7643 §7).
fn anything_holds(op: Op, value: &Value, literal: &Literal) -> bool {
    match (value, literal) {
        (Value::String(_), literal) => text_holds(op, value, &fold(&text(literal.clone())), Case::Folded),
        (Value::Number(number), Literal::Number(digits)) => {
            let order = number.as_f64().zip(digits.as_str().parse::<f64>().ok()).and_then(|(a, b)| a.partial_cmp(&b));
            order.is_some_and(|order| order_holds(op, order))
        }
        (Value::Bool(value), Literal::Bool(flag)) => op == Op::Equal && value == flag,
        (Value::Bool(value), Literal::Text(text)) => op == Op::Equal && flag(text) == Some(*value),
        _ => false,
    }
}
