//! Values in their normal form: of the type that the schema says, under the names that it says, and none that say nothing.
//!
//! What clients send is read generously: `"True"` for `true`, one element for a list of one, `"a@acme.com"` for
//! `{"value": "a@acme.com"}`. What is kept is strict. Texts are kept as they are, to the letter.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::attribute::folded;
use super::error::{Error, Wrong};
use super::schema::{Attribute, Case, Count, Kind, Mutability};

/// Most elements of one attribute; people have a few addresses, not thousands.
pub(super) const MAX_ELEMENTS: usize = 1_000;

/// The normal form; `None` where nothing is said (`null`, `[]`, `{}`; RFC 7643 §2.5).
pub(super) fn normal(attribute: &'static Attribute, value: Value) -> Result<Option<Value>, Error> {
    match attribute.count {
        Count::One => one(attribute, value),
        Count::Many => list(attribute, value).map(|list| (!list.is_empty()).then(|| Value::Array(list))),
    }
}

/// The elements of an attribute that has many. One that stands alone is a list of one.
pub(super) fn list(attribute: &'static Attribute, value: Value) -> Result<Vec<Value>, Error> {
    let elements = if let Value::Array(elements) = value { elements } else { vec![value] };
    if elements.len() > MAX_ELEMENTS {
        return Err(invalid(attribute, &format!("may have {MAX_ELEMENTS} elements")));
    }
    let list = elements.into_iter().filter_map(|e| element(attribute, e).transpose()).collect::<Result<Vec<_>, _>>()?;
    if list.iter().filter(|element| is_primary(element)).count() > 1 {
        return Err(invalid(attribute, "may have one element that is `primary`"));
    }
    Ok(list)
}

/// One value of an attribute that has one. A list of one is the one.
fn one(attribute: &'static Attribute, value: Value) -> Result<Option<Value>, Error> {
    match value {
        Value::Array(mut list) if list.len() < 2 => list.pop().map_or(Ok(None), |only| element(attribute, only)),
        Value::Array(_) => Err(invalid(attribute, "has one value")),
        value => element(attribute, value),
    }
}

/// One value, of whichever attribute.
pub(super) fn element(attribute: &'static Attribute, value: Value) -> Result<Option<Value>, Error> {
    if value.is_null() {
        return Ok(None);
    }
    if let Kind::Complex(_) = attribute.kind {
        return complex(attribute, value);
    }
    simple(attribute, value).map(Some)
}

fn simple(attribute: &'static Attribute, value: Value) -> Result<Value, Error> {
    Ok(match (attribute.kind, value) {
        (Kind::Text | Kind::Reference(_) | Kind::Binary, Value::String(text)) => match text {
            // PostgreSQL has no texts with it.
            text if text.contains('\0') => return Err(invalid(attribute, "must be a text without NUL")),
            text if text.len() > attribute.longest => {
                return Err(invalid(attribute, &format!("may have {} bytes", attribute.longest)));
            }
            text => text.into(),
        },
        (Kind::Text, Value::Number(number)) => number.to_string().into(),
        (Kind::Text | Kind::Reference(_) | Kind::Binary, _) => return Err(invalid(attribute, "must be a text")),
        (Kind::Flag, value @ Value::Bool(_)) => value,
        (Kind::Flag, Value::String(text)) => {
            flag(&text).ok_or_else(|| invalid(attribute, "must be true or false"))?.into()
        }
        (Kind::Flag, _) => return Err(invalid(attribute, "must be true or false")),
        (Kind::Integer, Value::Number(number)) if number.is_i64() => number.into(),
        (Kind::Integer, Value::String(text)) => {
            text.parse::<i64>().map_err(|_| invalid(attribute, "must be a whole number"))?.into()
        }
        (Kind::Integer, _) => return Err(invalid(attribute, "must be a whole number")),
        (Kind::Instant, Value::String(text)) if instant(&text).is_some() => text.into(),
        (Kind::Instant, _) => return Err(invalid(attribute, "must be a time such as 2026-11-22T12:00:00Z")),
        (Kind::Complex(_), _) => return Err(invalid(attribute, "must be an object")),
    })
}

/// Parts under the names of the schema; those that it does not have are left out, as are those that are ours to say.
fn complex(attribute: &'static Attribute, value: Value) -> Result<Option<Value>, Error> {
    let object = match value {
        Value::Object(object) => object,
        value if value.is_array() => return Err(invalid(attribute, "must be an object")),
        // Entra sends the manager so. An empty text says that there is none.
        value => match attribute.part("value") {
            None => return Err(invalid(attribute, "must be an object")),
            Some(_) if value == "" => return Ok(None),
            Some(part) => Map::from_iter([(part.name.to_owned(), value)]),
        },
    };
    let mut parts = Map::new();
    for (name, value) in object {
        let Some(part) = attribute.part(&name).filter(|part| part.mutability != Mutability::ReadOnly) else { continue };
        let value = normal(part, value).map_err(|e| e.within(attribute.name))?;
        if value.is_some_and(|value| parts.insert(part.name.to_owned(), value).is_some()) {
            return Err(Error::new(Wrong::InvalidSyntax, format!("`{}.{}` is said twice", attribute.name, part.name)));
        }
    }
    Ok((!parts.is_empty()).then_some(Value::Object(parts)))
}

/// `True` and `False` are how Entra writes them unless it is told otherwise.
pub(super) fn flag(text: &str) -> Option<bool> {
    [true, false].into_iter().find(|flag| text.eq_ignore_ascii_case(if *flag { "true" } else { "false" }))
}

/// An instant of XML Schema; without an offset, of UTC.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let civil = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse().ok().or_else(civil)
}

/// Whether an element is the preferred one.
pub(super) fn is_primary(element: &Value) -> bool {
    element.get("primary") == Some(&Value::Bool(true))
}

/// Whether there is something in it.
pub(super) fn is_present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(elements) => elements.iter().any(is_present),
        Value::Object(parts) => parts.values().any(is_present),
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Whether two values of an attribute are the same to those who compare.
pub(super) fn same(attribute: Option<&Attribute>, a: &Value, b: &Value) -> bool {
    match (attribute.map(|attribute| attribute.case), a, b) {
        (Some(Case::Folded), Value::String(a), Value::String(b)) => folded(a).eq(folded(b)),
        (_, a, b) => a == b,
    }
}

/// Whether two elements stand for one: both have a `value`, the same one, for the same purpose.
pub(super) fn stand_for_one(attribute: &'static Attribute, a: &Value, b: &Value) -> bool {
    let part = |name: &str| {
        let (a, b) = (a.get(name), b.get(name));
        match (a, b) {
            (Some(a), Some(b)) => same(attribute.part(name), a, b),
            (a, b) => a.is_none() && b.is_none(),
        }
    };
    if a.get("value").is_some() && a.is_object() { part("value") && part("type") } else { a == b }
}

/// Whether an element is the one that is spoken of: by its `value` alone, or by all that is said of it.
pub(super) fn is_meant(attribute: Option<&'static Attribute>, element: &Value, said: &Value) -> bool {
    let part = |name: &str| attribute.and_then(|attribute| attribute.part(name));
    match (element, said) {
        (Value::Object(element), Value::Object(said)) => {
            // Labels and links are beside the point where the value is said.
            let counts = |name: &str| !said.contains_key("value") || matches!(name, "value" | "type");
            let mut parts = said.iter().filter(|(name, value)| counts(name) && is_present(value)).peekable();
            parts.peek().is_some()
                && parts.all(|(name, value)| element.get(name).is_some_and(|is| same(part(name), is, value)))
        }
        (Value::Object(element), said) => element.get("value").is_some_and(|is| same(part("value"), is, said)),
        (element, said) => same(attribute, element, said),
    }
}

fn invalid(attribute: &Attribute, must: &str) -> Error {
    Error::new(Wrong::InvalidValue, format!("`{}` {must}", attribute.name))
}
