//! Filters whose names are understood, and what they admit.

use std::borrow::Cow;

use serde_json::Value;

use super::attribute::AttrPath;
use super::check::Check;
use super::document::key;
use super::filter::{ElementFilter, Expr, Filter, FilterError, Flaw, Term, Test};
use super::resource::Resource;
use super::schema::{Attribute, Count, Found, Home, Place, ResourceType, SubPlace};

/// A filter of the resources of one kind.
pub type Bound = Expr<BoundTerm>;

/// A filter of the elements of one attribute.
pub type BoundElements = Expr<PartTest>;

/// A leaf, with what its name means.
#[derive(Debug, Clone)]
pub enum BoundTerm {
    /// About the values of an attribute.
    Test(Place, Check),
    /// One element of the attribute is such.
    Element(Place, BoundElements),
    /// About everything of a schema.
    Whole(Home, Check),
    /// About an attribute of a schema that nobody here knows, or about everything of the schema that is called so: what
    /// stands in the resource tells.
    Foreign(Place, Home, Check),
    /// About what resources of this kind do not have: it has no value (RFC 7644 §3.4.2.1).
    Nothing(Check),
    /// One element of what resources of this kind do not have.
    Never,
}

/// What is asked of one part of an element.
#[derive(Debug, Clone)]
pub struct PartTest {
    /// Which part, under the name that the schema has for it.
    pub part: String,
    /// What is asked.
    pub check: Check,
}

/// Finds out what the names in `filter` mean for resources of this kind.
pub fn bind(filter: Filter, of: &'static ResourceType) -> Result<Bound, FilterError> {
    filter.try_map(&|term| match term {
        Term::Test(test) => bind_test(test, of),
        Term::Element(attr, filter) => match of.find(&attr) {
            Found::Attribute(place) | Found::Foreign { attribute: place, .. } => {
                let attribute = place.sub.as_ref().map_or(place.attribute, |sub| sub.attribute);
                bind_elements(filter, attribute).map(|filter| BoundTerm::Element(place, filter))
            }
            Found::Whole(_) | Found::Nothing => Ok(BoundTerm::Never),
        },
    })
}

/// Finds out what the names between brackets mean.
pub fn bind_elements(
    filter: ElementFilter,
    attribute: Option<&'static Attribute>,
) -> Result<BoundElements, FilterError> {
    filter.try_map(&|Test { attr, is }| {
        let part = attribute.and_then(|attribute| attribute.part(attr.name.as_str()));
        let check = Check::new(part, is).map_err(|why| incomparable(&attr, why))?;
        Ok(PartTest { part: part.map_or(attr.name.as_str(), |part| part.name).to_owned(), check })
    })
}

fn bind_test(Test { attr, is }: Test, of: &'static ResourceType) -> Result<BoundTerm, FilterError> {
    let check = |attribute| Check::new(attribute, is.clone()).map_err(|why| incomparable(&attr, why));
    Ok(match of.find(&attr) {
        Found::Attribute(place) => {
            let place = implied(place);
            let attribute = place.sub.as_ref().map_or(place.attribute, |sub| sub.attribute);
            let check = check(attribute)?;
            BoundTerm::Test(place, check)
        }
        Found::Foreign { attribute, whole } => BoundTerm::Foreign(attribute, Home::Extension(whole), check(None)?),
        Found::Whole(home) => BoundTerm::Whole(home, check(None)?),
        Found::Nothing => BoundTerm::Nothing(check(None)?),
    })
}

/// `emails co "@acme.com"` means `emails.value co "@acme.com"`.
pub(super) fn implied(mut place: Place) -> Place {
    let value = || place.attribute.and_then(|attribute| attribute.part("value"));
    if let (None, Some(value)) = (&place.sub, value()) {
        place.sub = Some(SubPlace { name: value.name.to_owned(), attribute: Some(value) });
    }
    place
}

fn incomparable(attr: &AttrPath, why: &'static str) -> FilterError {
    FilterError { at: 0, flaw: Flaw::Comparison { attr: attr.to_string(), why } }
}

impl Bound {
    /// Whether it admits a resource.
    pub fn admits(&self, resource: &Resource<'_>) -> bool {
        let test = |place: &Place, check: &Check| check.admits(resource.values(place).iter().map(|value| &**value));
        let whole = |home: &Home, check: &Check| {
            let whole = resource.document.at(home).map(|parts| Value::Object(parts.clone()));
            check.admits(whole.iter())
        };
        self.holds(&|term| match term {
            BoundTerm::Test(place, check) => test(place, check),
            BoundTerm::Element(place, filter) => {
                resource.values(place).iter().any(|element| filter.admits_element(element))
            }
            BoundTerm::Whole(home, check) => whole(home, check),
            BoundTerm::Foreign(_, home, check) if resource.document.at(home).is_some() => whole(home, check),
            BoundTerm::Foreign(place, _, check) => test(place, check),
            BoundTerm::Nothing(check) => check.admits([].iter()),
            BoundTerm::Never => false,
        })
    }
}

impl BoundElements {
    /// Whether it admits an element. One without parts is its own `value`.
    pub fn admits_element(&self, element: &Value) -> bool {
        self.holds(&|PartTest { part, check }| match element {
            Value::Object(parts) => {
                let value = parts.get(part).or_else(|| key(parts, part).and_then(|key| parts.get(&key)));
                check.admits(value.into_iter())
            }
            element if part == "value" => check.admits([element].into_iter()),
            _ => check.admits([].iter()),
        })
    }
}

impl Resource<'_> {
    /// The values of an attribute, or of one part of it in all its elements.
    pub(super) fn values(&self, place: &Place) -> Vec<Cow<'_, Value>> {
        let Some(whole) = self.value(place) else { return Vec::new() };
        let each: Vec<Cow<'_, Value>> = match whole {
            Cow::Borrowed(Value::Array(elements)) => elements.iter().map(Cow::Borrowed).collect(),
            Cow::Owned(Value::Array(elements)) => elements.into_iter().map(Cow::Owned).collect(),
            value => vec![value],
        };
        let Some(sub) = &place.sub else { return each };
        each.into_iter().filter_map(|element| part_of(element, &sub.name)).collect()
    }

    fn value(&self, place: &Place) -> Option<Cow<'_, Value>> {
        if let Some(ours) = self.ours(place) {
            return Some(Cow::Owned(ours));
        }
        let parts = self.document.at(&place.home)?;
        let found = parts.get(&place.name).or_else(|| key(parts, &place.name).and_then(|key| parts.get(&key)));
        found.map(Cow::Borrowed)
    }
}

fn part_of<'a>(element: Cow<'a, Value>, name: &str) -> Option<Cow<'a, Value>> {
    match element {
        Cow::Borrowed(Value::Object(parts)) => {
            let found = parts.get(name).or_else(|| key(parts, name).and_then(|key| parts.get(&key)));
            found.map(Cow::Borrowed)
        }
        Cow::Owned(Value::Object(mut parts)) => parts.remove(name).map(Cow::Owned),
        _ => None,
    }
}

/// Whether an attribute has elements that brackets could tell apart.
pub(super) fn has_elements(place: &Place) -> bool {
    place.attribute.is_none_or(|attribute| attribute.count == Count::Many && !attribute.parts().is_empty())
}
