//! What one operation makes of one attribute (RFC 7644 §3.5.2.1–3).

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::bound::BoundElements;
use super::document::key;
use super::error::{Error, Wrong};
use super::filter::{ElementFilter, Expr, Is, Literal, Op};
use super::patch::Verb;
use super::schema::{Attribute, Count, Kind, Mutability, SubPlace};
use super::values::{MAX_ELEMENTS, element, is_meant, is_primary, list, normal, stand_for_one};

/// An operation on one attribute.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) verb: Verb,
    /// What is known of the attribute.
    pub(super) attribute: Option<&'static Attribute>,
    /// The part that is meant.
    pub(super) sub: Option<&'a SubPlace>,
    /// The elements that are meant.
    pub(super) filter: Option<(&'a ElementFilter, BoundElements)>,
    /// What is said, in the client's form.
    pub(super) value: Option<Value>,
}

type Changed = Result<Option<Value>, Error>;

impl Change<'_> {
    /// What the attribute has been becomes what it is; `None`: it has no value.
    pub(super) fn apply(mut self, was: Option<Value>) -> Changed {
        if self.verb == Verb::Remove {
            return self.remove(was);
        }
        let Some(value) = self.value.take() else {
            return Err(Error::new(Wrong::InvalidValue, "`value` is missing"));
        };
        if self.filter.is_some() {
            return self.elements(was, value);
        }
        match (self.attribute, self.sub) {
            (Some(attribute), None) => self.known(attribute, was, value),
            (None, None) => self.unknown(was, value),
            (_, Some(sub)) => self.part(sub, was, value),
        }
    }

    fn known(&self, attribute: &'static Attribute, was: Option<Value>, value: Value) -> Changed {
        if attribute.count == Count::Many {
            let said = list(attribute, value)?;
            return if self.verb == Verb::Add { added(attribute, was, said) } else { Ok(filled(said)) };
        }
        // Whoever names another manager does not mean the old one's link. Otherwise parts that are not said stay.
        let merges = value.as_object().is_some_and(|parts| key(parts, "value").is_none());
        if let (Kind::Complex(_), true, Value::Object(parts)) = (attribute.kind, merges, &value) {
            return merged(attribute, was, parts.clone());
        }
        let said = normal(attribute, value)?;
        Ok(if self.verb == Verb::Add { said.or(was) } else { said })
    }

    /// Of what nobody knows, arrays grow, objects merge, and everything else is replaced.
    fn unknown(&self, was: Option<Value>, value: Value) -> Changed {
        Ok(match (self.verb, was, value) {
            (Verb::Add, was, Value::Null) => was,
            (_, _, Value::Null) => None,
            (Verb::Add, Some(Value::Array(mut elements)), said) => {
                let said = if let Value::Array(said) = said { said } else { vec![said] };
                bounded(elements.len() + said.len())?;
                for element in said {
                    if !elements.contains(&element) {
                        elements.push(element);
                    }
                }
                Some(Value::Array(elements))
            }
            (Verb::Add, Some(Value::Object(mut parts)), Value::Object(said)) => {
                parts.extend(said);
                Some(Value::Object(parts))
            }
            (_, _, said) => Some(said),
        })
    }

    /// One part of a complex attribute, or of each element.
    fn part(&self, sub: &SubPlace, was: Option<Value>, value: Value) -> Changed {
        let value = said_of(sub, value)?;
        let many = self.attribute.is_some_and(|attribute| attribute.count == Count::Many);
        match was {
            Some(Value::Array(mut elements)) => {
                elements.iter_mut().for_each(|element| set(element, &sub.name, value.clone(), self.verb));
                Ok(filled(settled(elements, |_| true)))
            }
            was => {
                let mut whole = was.filter(Value::is_object).unwrap_or_else(|| Map::new().into());
                set(&mut whole, &sub.name, value, self.verb);
                let whole = Some(whole).filter(|whole| whole.as_object().is_some_and(|parts| !parts.is_empty()));
                Ok(if many { whole.map(|element| Value::Array(vec![element])) } else { whole })
            }
        }
    }

    /// The elements that fit; where none does, one that would.
    fn elements(mut self, was: Option<Value>, value: Value) -> Changed {
        let Some((written, filter)) = self.filter.take() else { return Ok(was) };
        let mut elements = elements_of(was);
        bounded(elements.len() + 1)?;
        let value = match self.sub {
            Some(sub) => said_of(sub, value)?,
            None => self.one_element(value)?,
        };
        let mut touched = vec![false; elements.len()];
        for (element, touched) in elements.iter_mut().zip(&mut touched) {
            *touched = filter.admits_element(element);
            match self.sub {
                _ if !*touched => {}
                Some(sub) => set(element, &sub.name, value.clone(), self.verb),
                None => put(element, value.clone(), self.verb, || self.constants(written)),
            }
        }
        if !touched.contains(&true) && value.is_some() {
            let mut element = Value::Object(self.constants(written).ok_or_else(nothing_fits)?);
            match self.sub {
                Some(sub) => set(&mut element, &sub.name, value, self.verb),
                None => put(&mut element, value, Verb::Add, || None),
            }
            elements.push(element);
            touched.push(true);
        }
        Ok(filled(settled(elements, |n| touched.get(n) == Some(&true))))
    }

    /// What is said of one element as a whole.
    fn one_element(&self, value: Value) -> Changed {
        let value = match value {
            Value::Array(mut list) if list.len() == 1 => list.pop().unwrap_or_default(),
            Value::Array(_) => {
                return Err(Error::new(Wrong::InvalidValue, "`value` must be one element where `path` has brackets"));
            }
            value => value,
        };
        self.attribute.map_or_else(|| Ok(Some(value.clone())), |attribute| element(attribute, value.clone()))
    }

    /// What an element must say to fit, if that is all that the filter asks: `{"type": "work"}`.
    fn constants(&self, filter: &ElementFilter) -> Option<Map<String, Value>> {
        match filter {
            Expr::Leaf(test) => {
                let Is::Compared(Op::Equal, literal) = &test.is else { return None };
                let part = self.attribute.and_then(|attribute| attribute.part(test.attr.name.as_str()));
                let value = match literal {
                    Literal::Null => return None,
                    Literal::Bool(flag) => Value::Bool(*flag),
                    Literal::Number(digits) => serde_json::from_str(digits.as_str()).ok()?,
                    Literal::Text(text) => Value::from(text.as_str()),
                };
                let value = match part {
                    Some(part) => normal(part, value).ok()??,
                    None if self.attribute.is_some() => return None,
                    None => value,
                };
                let name = part.map_or(test.attr.name.as_str(), |part| part.name);
                Some(Map::from_iter([(name.to_owned(), value)]))
            }
            Expr::And(tests) => tests.iter().map(|test| self.constants(test)).try_fold(Map::new(), |mut all, one| {
                all.extend(one?);
                Some(all)
            }),
            Expr::Or(_) | Expr::Not(_) => None,
        }
    }

    /// What is not there is no error: who wants it gone has what they want.
    fn remove(self, was: Option<Value>) -> Changed {
        if self.sub.and_then(|sub| sub.attribute).is_some_and(|part| part.required) {
            return Err(Error::new(Wrong::Mutability, "a required part cannot be removed"));
        }
        let Some(was) = was else { return Ok(None) };
        if self.filter.is_some() || self.value.is_some() {
            bounded(was.as_array().map_or(0, Vec::len))?;
        }
        match (was, self.filter, self.sub) {
            (Value::Array(mut elements), Some((_, filter)), None) => {
                elements.retain(|element| !filter.admits_element(element));
                Ok(filled(elements))
            }
            (Value::Array(mut elements), filter, Some(sub)) => {
                let meant = |element: &Value| filter.as_ref().is_none_or(|(_, filter)| filter.admits_element(element));
                for element in elements.iter_mut().filter(|element| meant(element)) {
                    set(element, &sub.name, None, Verb::Replace);
                }
                Ok(filled(elements))
            }
            // Entra says so which of several it means: not all of them.
            (Value::Array(mut elements), None, None) => {
                let Some(said) = self.value else { return Ok(None) };
                let said = said_elements(said)?;
                elements.retain(|element| !said.iter().any(|said| is_meant(self.attribute, element, said)));
                Ok(filled(elements))
            }
            (mut whole, None, Some(sub)) => {
                set(&mut whole, &sub.name, None, Verb::Replace);
                Ok(Some(whole).filter(|whole| whole.as_object().is_none_or(|parts| !parts.is_empty())))
            }
            (whole, Some(_), _) => Ok(Some(whole)),
            (_, None, None) => Ok(None),
        }
    }
}

/// The elements that a removal names. `null` may mean all or none, and the wrong guess cannot be undone.
pub(super) fn said_elements(said: Value) -> Result<Vec<Value>, Error> {
    match said {
        Value::Null => Err(Error::new(
            Wrong::InvalidValue,
            "`value` is null: name what is to be removed, or leave `value` out to remove all",
        )),
        Value::Array(said) => Ok(said),
        said => Ok(vec![said]),
    }
}

/// What is said of one part; what is ours to say is not said by others.
fn said_of(sub: &SubPlace, value: Value) -> Changed {
    match sub.attribute {
        Some(part) if part.mutability == Mutability::ReadOnly => {
            Err(Error::new(Wrong::Mutability, format!("`{}` is read-only", part.name)))
        }
        Some(part) => normal(part, value),
        None => Ok(Some(value).filter(|value| !value.is_null())),
    }
}

fn nothing_fits() -> Error {
    Error::new(Wrong::NoTarget, "no element fits what stands in brackets, and it does not say what a new one would be")
}

/// Elements come, unless they are there; one that is there learns what is said of it.
fn added(attribute: &'static Attribute, was: Option<Value>, said: Vec<Value>) -> Changed {
    let mut elements = elements_of(was);
    bounded(elements.len().max(said.len()))?;
    let mut touched = vec![false; elements.len()];
    for element in said {
        match elements.iter().position(|is| stand_for_one(attribute, is, &element)) {
            Some(n) => {
                touched[n] |= is_primary(&element);
                put(&mut elements[n], Some(element), Verb::Add, || None);
            }
            None => {
                touched.push(is_primary(&element));
                elements.push(element);
            }
        }
    }
    bounded(elements.len())?;
    Ok(filled(settled(elements, |n| touched.get(n) == Some(&true))))
}

/// Parts that are said replace what they have been; `null` removes; the others stay.
fn merged(attribute: &'static Attribute, was: Option<Value>, said: Map<String, Value>) -> Changed {
    let mut whole = if let Some(Value::Object(parts)) = was { parts } else { Map::new() };
    let mut seen = HashSet::new();
    for (name, value) in said {
        let Some(part) = attribute.part(&name).filter(|part| part.mutability != Mutability::ReadOnly) else { continue };
        if !seen.insert(part.name) {
            return Err(Error::new(Wrong::InvalidSyntax, format!("`{}.{}` is said twice", attribute.name, part.name)));
        }
        match normal(part, value).map_err(|e| e.within(attribute.name))? {
            Some(value) => whole.insert(part.name.to_owned(), value),
            None => whole.shift_remove(part.name),
        };
    }
    Ok((!whole.is_empty()).then_some(Value::Object(whole)))
}

/// Puts what is said in the place of an element, or into it. What replaces an element still fits what chose it, as far
/// as it says nothing else: `emails[type eq "work"]` stays the one for work.
fn put(element: &mut Value, said: Option<Value>, verb: Verb, constants: impl Fn() -> Option<Map<String, Value>>) {
    match (element, said) {
        (Value::Object(parts), Some(Value::Object(said))) => {
            if verb == Verb::Replace {
                *parts = constants().unwrap_or_default();
            }
            parts.extend(said);
        }
        (element, Some(said)) => *element = said,
        (element, None) if verb == Verb::Replace => *element = Value::Null,
        (_, None) => {}
    }
}

/// Sets one part, or removes it. To add nothing changes nothing.
fn set(element: &mut Value, name: &str, value: Option<Value>, verb: Verb) {
    let Value::Object(parts) = element else { return };
    let key = key(parts, name).unwrap_or_else(|| name.to_owned());
    match value {
        Some(value) => {
            parts.insert(key, value);
        }
        None if verb == Verb::Add => {}
        None => {
            parts.shift_remove(&key);
        }
    }
}

/// At most one element is the preferred one: the last of those that the operation has touched and made so (RFC 7644 §3.5.2).
fn settled(mut elements: Vec<Value>, touched: impl Fn(usize) -> bool) -> Vec<Value> {
    let preferred = (0..elements.len()).rev().find(|n| touched(*n) && is_primary(&elements[*n]));
    let Some(preferred) = preferred else { return elements };
    for (n, element) in elements.iter_mut().enumerate() {
        if n != preferred && is_primary(element) {
            element["primary"] = false.into();
        }
    }
    elements
}

fn elements_of(was: Option<Value>) -> Vec<Value> {
    match was {
        Some(Value::Array(elements)) => elements,
        Some(element) => vec![element],
        None => Vec::new(),
    }
}

/// A list in which something is said; `None` for one in which nothing is.
fn filled(mut elements: Vec<Value>) -> Option<Value> {
    elements.retain(|element| !element.is_null() && element.as_object().is_none_or(|parts| !parts.is_empty()));
    (!elements.is_empty()).then_some(Value::Array(elements))
}

/// Elements are looked at for each that is said, so neither may be very many.
fn bounded(elements: usize) -> Result<(), Error> {
    if elements > MAX_ELEMENTS {
        return Err(Error::new(Wrong::InvalidValue, format!("an attribute may have {MAX_ELEMENTS} elements")));
    }
    Ok(())
}
