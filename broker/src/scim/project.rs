//! What of a resource is shown (RFC 7644 §3.9).

use serde_json::{Map, Value};

use super::bound::{BoundElements, bind_elements};
use super::document::key;
use super::error::{Error, Wrong};
use super::path::Path;
use super::schema::{Attribute, COMMON, Found, Home, ResourceType, Returned};

/// Most names that one may ask for, or not ask for.
const MAX_NAMES: usize = 200;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub enum Projection {
    /// What is shown unasked.
    #[default]
    Default,
    /// These, and what is always shown.
    Only(Vec<Choice>),
    /// What is shown unasked, without these.
    Without(Vec<Choice>),
}

/// An attribute, some of its elements, one of its parts, or everything of an extension.
#[derive(Debug, Clone)]
pub struct Choice {
    home: Home,
    name: Option<String>,
    sub: Option<String>,
    filter: Option<BoundElements>,
}

impl Projection {
    /// Reads `attributes` and `excludedAttributes` of a query, of which one is given at the most.
    pub fn read(of: &'static ResourceType, attributes: Option<&str>, excluded: Option<&str>) -> Result<Self, Error> {
        let names = |text: Option<&str>| {
            let names = text.map(listed).unwrap_or_default().into_iter();
            names.filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        Self::new(of, &names(attributes), &names(excluded))
    }

    /// Takes the lists of a `POST …/.search`.
    pub fn new(of: &'static ResourceType, attributes: &[String], excluded: &[String]) -> Result<Self, Error> {
        match (attributes, excluded) {
            ([], []) => Ok(Self::Default),
            (_, []) => choices(of, attributes).map(Self::Only),
            ([], _) => choices(of, excluded).map(Self::Without),
            _ => Err(Error::new(
                Wrong::InvalidValue,
                "`attributes` and `excludedAttributes` exclude each other: name one of them",
            )),
        }
    }

    /// Whether an attribute of the core schema is shown at all. Who asks for a group without its members must not wait
    /// until a hundred thousand of them are read.
    pub fn shows(&self, name: &str) -> bool {
        let named = |choice: &Choice| choice.home == Home::Core && choice.name.as_deref() == Some(name);
        match self {
            Self::Default => true,
            Self::Only(choices) => choices.iter().any(named),
            Self::Without(choices) => !choices.iter().any(|c| named(c) && c.sub.is_none() && c.filter.is_none()),
        }
    }

    /// Leaves out what is not shown.
    pub fn apply(&self, of: &'static ResourceType, all: Map<String, Value>) -> Map<String, Value> {
        let mut shown = Map::new();
        for (name, value) in all {
            let home = if name.contains(':') { Home::Extension(name.clone()) } else { Home::Core };
            let value = match (&home, value) {
                (Home::Extension(urn), Value::Object(parts)) => {
                    let extension = of.extension(urn).map(|extension| extension.attributes).unwrap_or_default();
                    let parts = parts.into_iter().filter_map(|(name, value)| {
                        let known = extension.iter().find(|attribute| attribute.name == name);
                        self.shown(&home, &name, known, value).map(|value| (name, value))
                    });
                    Some(parts.collect::<Map<_, _>>()).filter(|parts| !parts.is_empty()).map(Value::Object)
                }
                (home, value) => {
                    let mut known = COMMON.iter().chain(of.schema.attributes);
                    self.shown(home, &name, known.find(|attribute| attribute.name == name), value)
                }
            };
            if let Some(value) = value {
                shown.insert(name, value);
            }
        }
        shown
    }

    fn shown(&self, home: &Home, name: &str, known: Option<&Attribute>, value: Value) -> Option<Value> {
        let returned = known.map_or(Returned::Default, |attribute| attribute.returned);
        match (returned, self) {
            (Returned::Never, _) => None,
            (Returned::Always, _) => Some(value),
            (Returned::Request, Self::Default | Self::Without(_)) => None,
            (Returned::Default, Self::Default) => Some(value),
            (Returned::Default | Returned::Request, Self::Only(choices)) => {
                kept(value, &choices.iter().filter(|choice| choice.is_of(home, name)).collect::<Vec<_>>())
            }
            (Returned::Default, Self::Without(choices)) => {
                let without = choices.iter().filter(|choice| choice.is_of(home, name));
                without.into_iter().try_fold(value, |value, choice| choice.without(value))
            }
        }
    }
}

impl Choice {
    fn is_of(&self, home: &Home, name: &str) -> bool {
        let same_home = match (&self.home, home) {
            (Home::Core, Home::Core) => true,
            (Home::Extension(a), Home::Extension(b)) => a.eq_ignore_ascii_case(b),
            (Home::Core, Home::Extension(_)) | (Home::Extension(_), Home::Core) => false,
        };
        same_home && self.name.as_deref().is_none_or(|is| is.eq_ignore_ascii_case(name))
    }

    fn is_about(&self, element: &Value) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.admits_element(element))
    }

    /// What is left of a value without what is chosen.
    fn without(&self, value: Value) -> Option<Value> {
        let left = |element: Value| match (&self.sub, element) {
            (_, element) if !self.is_about(&element) => Some(element),
            (None, _) => None,
            (Some(sub), Value::Object(mut parts)) => {
                if let Some(key) = key(&parts, sub) {
                    parts.shift_remove(&key);
                }
                (!parts.is_empty()).then_some(Value::Object(parts))
            }
            (Some(_), element) => Some(element),
        };
        each(value, left)
    }
}

/// What the choices leave of a value.
fn kept(value: Value, choices: &[&Choice]) -> Option<Value> {
    if choices.is_empty() {
        return None;
    }
    each(value, |element| {
        let about: Vec<_> = choices.iter().filter(|choice| choice.is_about(&element)).collect();
        let wanted =
            |name: &str| about.iter().any(|c| c.sub.as_deref().is_none_or(|sub| sub.eq_ignore_ascii_case(name)));
        match element {
            _ if about.is_empty() => None,
            Value::Object(parts) => {
                let parts: Map<_, _> = parts.into_iter().filter(|(name, _)| wanted(name)).collect();
                (!parts.is_empty()).then_some(Value::Object(parts))
            }
            element => Some(element),
        }
    })
}

/// The elements of a list, or the one value.
fn each(value: Value, map: impl Fn(Value) -> Option<Value>) -> Option<Value> {
    match value {
        Value::Array(elements) => {
            let elements: Vec<_> = elements.into_iter().filter_map(map).collect();
            (!elements.is_empty()).then_some(Value::Array(elements))
        }
        value => map(value),
    }
}

/// Takes a list apart at its commas, but for those between quotes or brackets: Microsoft asks for
/// `emails[type eq "work"]`.
fn listed(text: &str) -> Vec<&str> {
    let (mut quoted, mut escaped, mut depth) = (false, false, 0usize);
    let between = move |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => return true,
            _ => {}
        }
        false
    };
    text.split(between).map(str::trim).collect()
}

fn choices(of: &'static ResourceType, names: &[String]) -> Result<Vec<Choice>, Error> {
    if names.len() > MAX_NAMES {
        return Err(Error::new(Wrong::InvalidValue, format!("name {MAX_NAMES} attributes at the most")));
    }
    let choices = names.iter().map(|name| {
        let invalid =
            |e: &dyn std::fmt::Display| Error::new(Wrong::InvalidValue, format!("`{name}` names no attribute: {e}"));
        let path: Path = name.parse().map_err(|e| invalid(&e))?;
        choice(of, &path).map_err(|e| invalid(&e))
    });
    Ok(choices.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// What a name chooses: what no schema has chooses nothing, and what nobody knows may be an attribute or a schema.
fn choice(of: &'static ResourceType, path: &Path) -> Result<Vec<Choice>, super::filter::FilterError> {
    let whole = |home| Choice { home, name: None, sub: None, filter: None };
    let (place, as_schema) = match of.find_path(path) {
        Found::Nothing => return Ok(Vec::new()),
        Found::Whole(home) => return Ok(vec![whole(home)]),
        Found::Attribute(place) => (place, None),
        Found::Foreign { attribute, whole: urn } => (attribute, Some(whole(Home::Extension(urn)))),
    };
    let (filter, behind) = match path {
        Path::Elements { filter, sub, .. } => (Some(bind_elements(filter.clone(), place.attribute)?), sub.as_ref()),
        Path::Schema(_) | Path::Attribute(_) => (None, None),
    };
    let sub = place.sub.map(|sub| sub.name).or_else(|| behind.map(|name| name.as_str().to_owned()));
    let chosen = Choice { home: place.home, name: Some(place.name), sub, filter };
    Ok(std::iter::once(chosen).chain(as_schema).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::schema::{GROUPS, USERS};
    use super::*;

    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    fn person() -> Value {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE], "id": "1", "userName": "ann",
            "name": { "givenName": "Ann", "familyName": "Lee" }, "password": "slipped in",
            "emails": [{ "value": "a@acme.com", "type": "work", "primary": true }, { "value": "a@home", "type": "home" }],
            ENTERPRISE: { "department": "Sales", "manager": { "value": "m", "$ref": "../m" } },
            "urn:example:Thing": { "Colour": "red", "n": 1 },
            "meta": { "resourceType": "User", "version": "W/\"1\"" },
        })
    }

    fn shown(attributes: Option<&str>, excluded: Option<&str>) -> Value {
        let projection = Projection::read(&USERS, attributes, excluded).unwrap_or_else(|e| panic!("{e}"));
        let Value::Object(person) = person() else { unreachable!("an object") };
        let mut shown = projection.apply(&USERS, person);
        // They are always there.
        assert_eq!(shown.shift_remove("id"), Some(json!("1")));
        assert!(shown.shift_remove("schemas").is_some());
        assert!(!shown.contains_key("password"));
        Value::Object(shown)
    }

    #[test]
    fn only_what_is_asked_for_is_shown() {
        for (attributes, expected) in [
            ("USERNAME", json!({ "userName": "ann" })),
            ("name.GivenName, userName", json!({ "userName": "ann", "name": { "givenName": "Ann" } })),
            ("emails.value", json!({ "emails": [{ "value": "a@acme.com" }, { "value": "a@home" }] })),
            (
                "emails.type,emails.primary",
                json!({ "emails": [{ "type": "work", "primary": true }, { "type": "home" }] }),
            ),
            (
                r#"emails[type eq "work"]"#,
                json!({ "emails": [{ "value": "a@acme.com", "type": "work", "primary": true }] }),
            ),
            (r#"emails[type eq "home" and value co ","].value"#, json!({})),
            (r#"emails[type eq "home"].value"#, json!({ "emails": [{ "value": "a@home" }] })),
            (ENTERPRISE, json!({ ENTERPRISE: { "department": "Sales", "manager": { "value": "m", "$ref": "../m" } } })),
            (&format!("{ENTERPRISE}:manager.value"), json!({ ENTERPRISE: { "manager": { "value": "m" } } })),
            ("urn:example:thing:colour", json!({ "urn:example:Thing": { "Colour": "red" } })),
            ("urn:example:Thing", json!({ "urn:example:Thing": { "Colour": "red", "n": 1 } })),
            ("meta.version", json!({ "meta": { "version": "W/\"1\"" } })),
            ("password", json!({})),
            ("shoeSize,id", json!({})),
        ] {
            assert_eq!(shown(Some(attributes), None), expected, "{attributes}");
        }
    }

    #[test]
    fn what_is_not_asked_for_is_left_out() {
        let without = |excluded: &str| shown(None, Some(excluded));
        let all = shown(None, None);
        assert_eq!(all.as_object().map(Map::len), Some(6));
        assert_eq!(without("id,schemas,nothing"), all, "what is always shown cannot be left out");
        let less = without(&format!("meta,name.familyName,emails.primary,{ENTERPRISE}:department,urn:example:Thing"));
        let expected = json!({
            "userName": "ann", "name": { "givenName": "Ann" },
            "emails": [{ "value": "a@acme.com", "type": "work" }, { "value": "a@home", "type": "home" }],
            ENTERPRISE: { "manager": { "value": "m", "$ref": "../m" } },
        });
        assert_eq!(less, expected);
    }

    #[test]
    fn members_are_read_only_for_who_is_shown_them() {
        let shows = |attributes, excluded| Projection::read(&GROUPS, attributes, excluded).unwrap().shows("members");
        assert!(shows(None, None));
        assert!(shows(Some("displayName,members.value"), None));
        assert!(shows(None, Some("members.display")));
        assert!(!shows(Some("displayName"), None));
        assert!(!shows(None, Some("MEMBERS")));
    }

    #[test]
    fn what_excludes_itself_or_cannot_be_read_is_refused() {
        let refused = |attributes, excluded| Projection::read(&USERS, attributes, excluded).unwrap_err().to_string();
        assert!(refused(Some("userName"), Some("name")).contains("exclude each other"));
        assert!(refused(Some("emails["), None).contains("`emails[` names no attribute"));
        assert!(refused(Some(&"a,".repeat(201)), None).contains("200 attributes"));
    }
}
