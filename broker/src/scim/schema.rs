//! What there is: attributes, schemas and kinds of resources, as data.
//!
//! From these tables comes everything that depends on them: what `/Schemas` and `/ResourceTypes` say, what a value
//! must be, what is compared how, what is shown to whom, and the reference page.

pub(super) mod attribute;
mod common;
mod discovery;
mod enterprise;
mod group;
mod user;

pub use attribute::{Attribute, Case, Count, Kept, Kind, Mutability, Returned, Uniqueness};
pub use discovery::{RESOURCE_TYPE, SCHEMA, SERVICE_PROVIDER_CONFIG};

use super::attribute::{AttrPath, Name};
use super::path::Path;

/// Attributes that belong together.
#[derive(Debug)]
pub struct Schema {
    /// The URI.
    pub urn: &'static str,
    /// What it is called.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// Its attributes.
    pub attributes: &'static [Attribute],
}

/// A kind of resource.
#[derive(Debug)]
pub struct ResourceType {
    /// What it is called.
    pub name: &'static str,
    /// Where its resources are.
    pub endpoint: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// What every one of them has.
    pub schema: &'static Schema,
    /// What each may have besides.
    pub extensions: &'static [&'static Schema],
}

/// There is one of each name.
impl PartialEq for ResourceType {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ResourceType {}

/// People.
pub static USERS: ResourceType = ResourceType {
    name: "User",
    endpoint: "/Users",
    description: "People",
    schema: &user::USER,
    extensions: &[&enterprise::ENTERPRISE_USER],
};

/// Groups of people and of groups.
pub static GROUPS: ResourceType = ResourceType {
    name: "Group",
    endpoint: "/Groups",
    description: "Groups of people and of groups",
    schema: &group::GROUP,
    extensions: &[],
};

/// Every kind of resource that can be written.
pub static RESOURCE_TYPES: [&ResourceType; 2] = [&USERS, &GROUPS];

/// Every schema that is told of.
pub static SCHEMAS: [&Schema; 6] =
    [&user::USER, &group::GROUP, &enterprise::ENTERPRISE_USER, &SERVICE_PROVIDER_CONFIG, &RESOURCE_TYPE, &SCHEMA];

/// Attributes that every resource has and no schema lists (RFC 7643 §3.1).
pub use common::COMMON;

/// Which part of a resource an attribute stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// At the top.
    Core,
    /// In the object that is called like the schema: one of ours, or one that nobody here knows.
    Extension(String),
}

/// An attribute of a kind of resource.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where.
    pub home: Home,
    /// What it is called: as the schema has it, or as it was written.
    pub name: String,
    /// What is known of it; nothing, in extensions that nobody here knows.
    pub attribute: Option<&'static Attribute>,
    /// One part of it.
    pub sub: Option<SubPlace>,
}

/// A part of an attribute.
#[derive(Debug, Clone)]
pub struct SubPlace {
    /// What it is called.
    pub name: String,
    /// What is known of it.
    pub attribute: Option<&'static Attribute>,
}

/// What a name means for a kind of resource.
#[derive(Debug, Clone)]
pub enum Found {
    /// An attribute.
    Attribute(Place),
    /// Everything of a schema.
    Whole(Home),
    /// An attribute of a schema that nobody here knows, or everything of the schema that is called so: what stands in
    /// the resource tells.
    Foreign {
        /// Taken as an attribute.
        attribute: Place,
        /// Taken as the whole.
        whole: String,
    },
    /// Nothing: the schema is known, and has no such attribute.
    Nothing,
}

impl Schema {
    fn attribute(&self, name: &Name) -> Option<&'static Attribute> {
        self.attributes.iter().find(|attribute| name.is(attribute.name))
    }
}

impl ResourceType {
    /// What a path without brackets means. Brackets are looked at by [`super::bound`].
    pub fn find_path(&self, path: &Path) -> Found {
        match path {
            Path::Attribute(attr) | Path::Elements { attr, .. } => self.find(attr),
            Path::Schema(urn) => {
                self.whole(urn.as_str()).unwrap_or_else(|| Found::Whole(Home::Extension(urn.as_str().to_owned())))
            }
        }
    }

    /// What a name means.
    pub fn find(&self, attr: &AttrPath) -> Found {
        let Some(urn) = &attr.urn else {
            let common = COMMON.iter().find(|common| attr.name.is(common.name));
            return place(Home::Core, common.or_else(|| self.schema.attribute(&attr.name)), attr);
        };
        if let Some(found) = self.whole(&attr.to_string()) {
            return found;
        }
        if urn.is(self.schema.urn) {
            return place(Home::Core, self.schema.attribute(&attr.name), attr);
        }
        let Some(extension) = self.extensions.iter().find(|extension| urn.is(extension.urn)) else {
            // What stands behind a schema that is known is no schema: `…:User:manager.value:more`.
            let mut known = std::iter::once(&self.schema).chain(self.extensions);
            if known.any(|schema| is_behind(urn.as_str(), schema.urn)) {
                return Found::Nothing;
            }
            let attribute = unknown(Home::Extension(urn.as_str().to_owned()), attr);
            return Found::Foreign { attribute, whole: attr.to_string() };
        };
        let home = Home::Extension(extension.urn.to_owned());
        match extension.attribute(&attr.name) {
            // What others have added to it is kept as it is.
            None => Found::Attribute(unknown(home, attr)),
            known => place(home, known, attr),
        }
    }

    /// The schema with this URI, if this kind of resource has it.
    fn whole(&self, urn: &str) -> Option<Found> {
        if urn.eq_ignore_ascii_case(self.schema.urn) {
            return Some(Found::Whole(Home::Core));
        }
        self.extension(urn).map(|extension| Found::Whole(Home::Extension(extension.urn.to_owned())))
    }

    /// The extension with this URI.
    pub fn extension(&self, urn: &str) -> Option<&'static Schema> {
        self.extensions.iter().copied().find(|extension| urn.eq_ignore_ascii_case(extension.urn))
    }

    /// Attributes that a resource of this kind must have.
    pub fn required(&self) -> impl Iterator<Item = &'static Attribute> {
        self.schema.attributes.iter().filter(|attribute| attribute.required)
    }
}

fn is_behind(urn: &str, schema: &str) -> bool {
    let begins = urn.get(..schema.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(schema));
    begins && urn[schema.len()..].starts_with(':')
}

fn place(home: Home, attribute: Option<&'static Attribute>, attr: &AttrPath) -> Found {
    let Some(attribute) = attribute else { return Found::Nothing };
    let sub = match &attr.sub {
        None => None,
        Some(name) => match attribute.part(name.as_str()) {
            None => return Found::Nothing,
            Some(part) => Some(SubPlace { name: part.name.to_owned(), attribute: Some(part) }),
        },
    };
    Found::Attribute(Place { home, name: attribute.name.to_owned(), attribute: Some(attribute), sub })
}

fn unknown(home: Home, attr: &AttrPath) -> Place {
    let sub = attr.sub.as_ref().map(|sub| SubPlace { name: sub.as_str().to_owned(), attribute: None });
    Place { home, name: attr.name.as_str().to_owned(), attribute: None, sub }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Found {
        USERS.find_path(&text.parse().unwrap_or_else(|e| panic!("{text}: {e}")))
    }

    #[test]
    fn a_name_means_an_attribute_however_it_is_written() {
        for text in ["NAME.familyname", "urn:ietf:params:scim:schemas:core:2.0:user:name.FamilyName"] {
            let Found::Attribute(place) = found(text) else { panic!("{text}") };
            assert_eq!((place.home, place.name.as_str()), (Home::Core, "name"));
            assert_eq!(place.sub.map(|sub| sub.name).as_deref(), Some("familyName"));
        }
        let Found::Attribute(place) = found("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:MANAGER")
        else {
            panic!("the manager")
        };
        assert_eq!(place.home, Home::Extension(enterprise::ENTERPRISE_USER.urn.to_owned()));
        assert_eq!(place.name, "manager");
    }

    #[test]
    fn a_schema_is_found_whole() {
        let enterprise = enterprise::ENTERPRISE_USER.urn;
        assert!(matches!(found(&enterprise.to_uppercase()), Found::Whole(Home::Extension(urn)) if urn == enterprise));
        assert!(matches!(found("urn:ietf:params:scim:schemas:core:2.0:User"), Found::Whole(Home::Core)));
        assert!(matches!(found("urn:example:1.0"), Found::Whole(Home::Extension(urn)) if urn == "urn:example:1.0"));
    }

    #[test]
    fn what_no_schema_has_is_nothing_and_what_nobody_knows_is_foreign() {
        assert!(matches!(found("usrName"), Found::Nothing));
        assert!(matches!(found("name.nick"), Found::Nothing));
        assert!(matches!(found("userName.value"), Found::Nothing));
        assert!(matches!(found("urn:example:Thing"), Found::Foreign { whole, .. } if whole == "urn:example:Thing"));
        let behind = format!("{}:manager.value:more", enterprise::ENTERPRISE_USER.urn);
        assert!(matches!(found(&behind), Found::Nothing));
        let added = format!("{}:badge", enterprise::ENTERPRISE_USER.urn);
        assert!(matches!(found(&added), Found::Attribute(Place { attribute: None, .. })));
    }
}
