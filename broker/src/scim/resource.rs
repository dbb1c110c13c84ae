//! A resource as it is kept: what clients have said of it, and what is ours to say.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::document::Document;
use super::member::ResourceId;
use super::schema::{Home, Kept, Place, ResourceType};

/// What is ours to say of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Its id.
    pub id: ResourceId,
    /// When it was created.
    pub created: Timestamp,
    /// When it was changed last.
    pub modified: Timestamp,
    /// How often it was changed.
    pub version: Version,
    /// Where it is.
    pub location: String,
}

/// Counts the changes of a resource. It prints as an ETag: a weak one, for the same resource may be written in many ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "W/\"{}\"", self.0)
    }
}

impl Version {
    /// Whether it is among those of an `If-Match` or `If-None-Match`: `*` is every one, and weak or strong makes no
    /// difference (RFC 7644 §3.14).
    pub fn is_among(self, header: &str) -> bool {
        let tag = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"') == self.0.to_string();
        header.trim() == "*" || header.split(',').any(tag)
    }
}

/// A resource.
#[derive(Debug, Clone, Copy)]
pub struct Resource<'a> {
    /// Its kind.
    pub of: &'static ResourceType,
    /// What is ours to say.
    pub meta: &'a Meta,
    /// What clients have said.
    pub document: &'a Document,
}

impl Resource<'_> {
    /// As clients see it, before anything is left out. What stands between resources is put in by those who know it.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut all = Map::new();
        let schemas = self.document.schemas(self.of).map(Value::from).collect();
        all.insert("schemas".to_owned(), Value::Array(schemas));
        all.insert("id".to_owned(), self.meta.id.as_str().into());
        all.extend(self.document.parts().clone());
        all.insert("meta".to_owned(), self.meta_json());
        all
    }

    fn meta_json(&self) -> Value {
        json!({
            "resourceType": self.of.name,
            "created": self.meta.created.to_string(),
            "lastModified": self.meta.modified.to_string(),
            "location": self.meta.location,
            "version": self.meta.version.to_string(),
        })
    }

    /// What is ours to say, if `place` is about that.
    pub(super) fn ours(&self, place: &Place) -> Option<Value> {
        let attribute = place.attribute.filter(|attribute| attribute.kept == Kept::Meta && place.home == Home::Core)?;
        Some(match attribute.name {
            "id" => self.meta.id.as_str().into(),
            "meta" => self.meta_json(),
            _ => Value::Array(self.document.schemas(self.of).map(Value::from).collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::USERS;
    use super::*;

    #[test]
    fn a_version_is_an_etag() {
        assert_eq!(Version(7).to_string(), "W/\"7\"");
        for header in ["W/\"7\"", "\"7\"", "*", "W/\"6\", W/\"7\"", "7"] {
            assert!(Version(7).is_among(header), "{header}");
        }
        for header in ["", "W/\"70\"", "\"07\"", "W/\"6\"", "x"] {
            assert!(!Version(7).is_among(header), "{header}");
        }
    }

    #[test]
    fn a_resource_tells_what_is_ours_to_say() {
        let body = json!({ "userName": "ann", "urn:example:Thing": { "x": 1 } });
        let document = Document::read(&USERS, body).unwrap().document;
        let at = "2026-11-22T12:00:00.5Z".parse().unwrap();
        let location = "https://broker.example/scim/v2/acme/Users/1".to_owned();
        let meta = Meta { id: ResourceId::new("1").unwrap(), created: at, modified: at, version: Version(2), location };
        let expected = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:example:Thing"],
            "id": "1",
            "userName": "ann",
            "urn:example:Thing": { "x": 1 },
            "meta": {
                "resourceType": "User", "created": "2026-11-22T12:00:00.5Z", "lastModified": "2026-11-22T12:00:00.5Z",
                "location": "https://broker.example/scim/v2/acme/Users/1", "version": "W/\"2\"",
            },
        });
        assert_eq!(Value::Object(Resource { of: &USERS, meta: &meta, document: &document }.to_json()), expected);
    }
}
