//! In which order resources are found (RFC 7644 §3.4.2.3).

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value;

use super::attribute::{AttrPath, fold};
use super::bound::implied;
use super::compile::Column;
use super::error::{Error, Wrong};
use super::resource::Resource;
use super::schema::{Case, Found, Kept, Kind, Place, ResourceType, SubPlace};
use super::values::{instant, is_primary};

/// What resources are sorted by.
#[derive(Debug, Clone)]
pub struct Sort {
    place: Place,
    order: Order,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// From the least; what has no value comes last.
    #[default]
    Ascending,
    /// From the greatest; what has no value comes first.
    Descending,
}

/// What one resource is sorted by.
#[derive(Debug, Clone, PartialEq)]
enum Key {
    Flag(bool),
    Number(f64),
    Instant(Timestamp),
    Text(String),
}

impl Sort {
    /// Reads `sortBy` and `sortOrder`.
    pub fn read(of: &'static ResourceType, by: &str, order: Option<&str>) -> Result<Self, Error> {
        let invalid = |what: &str| Error::new(Wrong::InvalidValue, what);
        let place = match AttrPath::new(by).map(|attr| of.find(&attr)) {
            Some(Found::Attribute(place) | Found::Foreign { attribute: place, .. }) => implied(place),
            Some(Found::Whole(_) | Found::Nothing) | None => {
                return Err(invalid("`sortBy` names no attribute"));
            }
        };
        if leaf(&place).is_some_and(|attribute| matches!(attribute.kind, Kind::Complex(_))) {
            return Err(invalid("`sortBy` names an attribute with parts; name the one that is meant"));
        }
        if place.attribute.is_some_and(|attribute| attribute.kept == Kept::Relation) {
            return Err(invalid("`sortBy` names what stands between resources, which has no order"));
        }
        let order = match order {
            None => Order::default(),
            Some(order) if order.eq_ignore_ascii_case("ascending") => Order::Ascending,
            Some(order) if order.eq_ignore_ascii_case("descending") => Order::Descending,
            Some(_) => return Err(invalid("`sortOrder` is ascending or descending")),
        };
        Ok(Self { place, order })
    }

    /// The column that the store can sort by instead, and which way. Of several addresses, the column does not tell
    /// which is the preferred one.
    pub fn column(&self) -> Option<(Column, Order)> {
        let single = |column: &Column| !matches!(column, Column::Mail | Column::Member | Column::Group);
        Column::of(&self.place).filter(single).map(|column| (column, self.order))
    }

    /// Sorts; what is equal is in the order of its ids, so that pages do not overlap.
    pub fn sort(&self, resources: &mut [Resource<'_>]) {
        resources.sort_by_cached_key(|resource| Sorted {
            key: self.key(resource),
            order: self.order,
            id: resource.meta.id.as_str().to_owned(),
        });
    }

    /// Of several elements the preferred one counts, or else the first.
    fn key(&self, resource: &Resource<'_>) -> Option<Key> {
        let whole = Place { sub: None, ..self.place.clone() };
        let elements = resource.values(&whole);
        let element = elements.iter().find(|element| is_primary(element)).or_else(|| elements.first())?;
        let value = match &self.place.sub {
            Some(SubPlace { name, .. }) => element.get(name)?,
            None => element,
        };
        match (value, leaf(&self.place)) {
            (Value::String(text), Some(attribute)) if matches!(attribute.kind, Kind::Instant) => {
                instant(text).map(Key::Instant)
            }
            (Value::String(text), Some(attribute)) if attribute.case == Case::Exact => Some(Key::Text(text.clone())),
            (Value::String(text), _) => Some(Key::Text(fold(text))),
            (Value::Number(number), _) => number.as_f64().map(Key::Number),
            (Value::Bool(flag), _) => Some(Key::Flag(*flag)),
            (Value::Null | Value::Array(_) | Value::Object(_), _) => None,
        }
    }
}

fn leaf(place: &Place) -> Option<&'static super::schema::Attribute> {
    place.sub.as_ref().map_or(place.attribute, |sub| sub.attribute)
}

/// A key with its order.
struct Sorted {
    key: Option<Key>,
    order: Order,
    id: String,
}

impl Ord for Sorted {
    fn cmp(&self, other: &Self) -> Ordering {
        let keys = match (&self.key, &other.key) {
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        let keys = if self.order == Order::Descending { keys.reverse() } else { keys };
        keys.then_with(|| self.id.cmp(&other.id))
    }
}

impl PartialOrd for Sorted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Sorted {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Sorted {}

impl Key {
    /// What nobody knows may be of any type: flags come first, then numbers, times and texts.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Flag(a), Self::Flag(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Instant(a), Self::Instant(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Flag(_) => 0,
            Self::Number(_) => 1,
            Self::Instant(_) => 2,
            Self::Text(_) => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::document::Document;
    use super::super::member::ResourceId;
    use super::super::resource::{Meta, Version};
    use super::super::schema::USERS;
    use super::*;

    fn people() -> Vec<(Meta, Document)> {
        let person = |id: &str, second: i64, body: Value| {
            let at = Timestamp::from_second(second).unwrap();
            let id = ResourceId::new(id).unwrap();
            let meta = Meta { id, created: at, modified: at, version: Version(1), location: String::new() };
            (meta, Document::read(&USERS, body).unwrap().document)
        };
        vec![
            person("1", 30, json!({ "userName": "cy", "externalId": "B", "urn:x:Y": { "v": true } })),
            person(
                "2",
                20,
                json!({ "userName": "Ben", "externalId": "a", "emails": [{ "value": "z@x" }], "urn:x:Y": { "v": 2 } }),
            ),
            person(
                "3",
                10,
                json!({ "userName": "ann", "externalId": "b", "urn:x:Y": { "v": "t" }, "emails": [
                    { "value": "zz@x" }, { "value": "A@x", "primary": true },
                ]}),
            ),
            person("0", 30, json!({ "userName": "dee", "urn:x:Y": { "v": 10 } })),
        ]
    }

    fn sorted(by: &str, order: Option<&str>) -> String {
        let people = people();
        let resource = |(meta, document)| Resource { of: &USERS, meta, document };
        let mut resources: Vec<_> = people.iter().map(|(meta, document)| resource((meta, document))).collect();
        Sort::read(&USERS, by, order).unwrap_or_else(|e| panic!("{by}: {e}")).sort(&mut resources);
        resources.iter().map(|resource| resource.meta.id.as_str()).collect()
    }

    #[test]
    fn resources_are_sorted_as_their_attribute_is_compared() {
        assert_eq!(sorted("USERNAME", None), "3210");
        assert_eq!(sorted("userName", Some("Descending")), "0123");
        assert_eq!(sorted("externalId", None), "1230", "letter case matters; what has none is last");
        assert_eq!(sorted("externalId", Some("descending")), "0321", "and first the other way");
        assert_eq!(sorted("emails", None), "3201", "by the preferred one, or the first");
        assert_eq!(sorted("meta.lastModified", None), "3201", "what is equal is in the order of ids");
        assert_eq!(sorted("urn:x:Y:v", None), "1203");
        assert_eq!(sorted("title", None), "0123");
    }

    #[test]
    fn the_store_sorts_by_its_columns() {
        let column = |by| Sort::read(&USERS, by, None).unwrap().column().map(|(column, _)| column);
        assert_eq!(column("userName"), Some(Column::UserName));
        assert_eq!(column("meta.created"), Some(Column::Created));
        assert_eq!((column("emails.value"), column("title")), (None, None));
    }

    #[test]
    fn what_has_no_order_is_refused() {
        for (by, order) in
            [("name", None), ("groups", None), ("shoeSize", None), ("a b", None), ("userName", Some("up"))]
        {
            assert_eq!(Sort::read(&USERS, by, order).unwrap_err().wrong, Wrong::InvalidValue, "{by}");
        }
    }
}
