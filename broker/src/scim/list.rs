//! Pages of what was found (RFC 7644 §3.4.2, RFC 9865).

use serde_json::{Map, Value, json};

/// The schema of lists.
pub const LIST_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// Resources in a page, unasked.
pub const DEFAULT_PAGE: usize = 100;
/// The most resources in one page.
pub const MAX_PAGE: usize = 200;

/// One page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// How many there are in all.
    pub total: u64,
    /// Where it begins.
    pub begins: Begins,
    /// The resources.
    pub resources: Vec<Map<String, Value>>,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begins {
    /// At this one, counted from one.
    At(u64),
    /// Behind a cursor; with the next one, if there is more.
    Behind(Option<String>),
}

impl Page {
    /// As it is told.
    pub fn to_json(self) -> Value {
        let mut page = json!({
            "schemas": [LIST_RESPONSE],
            "totalResults": self.total,
            "itemsPerPage": self.resources.len(),
        });
        match self.begins {
            Begins::At(index) => page["startIndex"] = index.into(),
            Begins::Behind(next) => {
                if let Some(next) = next {
                    page["nextCursor"] = next.into();
                }
            }
        }
        page["Resources"] = Value::Array(self.resources.into_iter().map(Value::Object).collect());
        page
    }

    /// Everything at once.
    pub fn whole(resources: Vec<Value>) -> Self {
        let resources: Vec<_> = resources
            .into_iter()
            .filter_map(|resource| match resource {
                Value::Object(resource) => Some(resource),
                _ => None,
            })
            .collect();
        Self { total: resources.len() as u64, begins: Begins::At(1), resources }
    }
}

/// Reads `startIndex`: what is below one is one (RFC 7644 §3.4.2.4).
pub fn start_index(said: Option<i64>) -> u64 {
    said.and_then(|index| u64::try_from(index).ok()).unwrap_or(1).max(1)
}

/// Reads `count`: what is below zero is zero, and nobody gets more than a page.
pub fn count(said: Option<i64>) -> usize {
    said.map_or(DEFAULT_PAGE, |count| usize::try_from(count).unwrap_or(0).min(MAX_PAGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_told_as_the_standard_says() {
        let nobody = Page { total: 0, begins: Begins::At(1), resources: Vec::new() };
        let expected = json!({ "schemas": [LIST_RESPONSE], "totalResults": 0, "itemsPerPage": 0, "startIndex": 1, "Resources": [] });
        assert_eq!(nobody.to_json(), expected);
        let behind = |next: Option<&str>| {
            Page { total: 7, begins: Begins::Behind(next.map(str::to_owned)), resources: vec![Map::new()] }.to_json()
        };
        assert_eq!(behind(Some("x"))["nextCursor"], "x");
        assert!(behind(None).get("nextCursor").is_none() && behind(None).get("startIndex").is_none());
    }

    #[test]
    fn indices_and_counts_are_bent_into_their_bounds() {
        assert_eq!([Some(-3), Some(0), None, Some(7)].map(start_index), [1, 1, 1, 7]);
        assert_eq!([Some(-3), Some(0), None, Some(7), Some(10_000)].map(count), [0, 0, 100, 7, 200]);
    }
}
