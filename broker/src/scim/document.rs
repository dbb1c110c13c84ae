//! What clients have said about a resource, in its normal form.

use serde_json::{Map, Value};

use super::draft::Draft;
use super::error::{Error, Wrong};
use super::member::Member;
use super::schema::{Home, Kept, ResourceType};

/// Largest document, as JSON: certificates and a small picture fit in. What is added bit by bit has the same bound.
pub const MAX_BYTES: usize = 256 * 1024;

/// Deepest document: what is kept must be read again, and readers of JSON have their bounds.
const MAX_DEPTH: usize = 32;

/// A resource without what is ours to say (`id`, `meta`, `schemas`), what stands between resources (`members`,
/// `groups`) and what is not kept (`password`).
///
/// Attributes of known schemas are of their types and under their names; those of unknown extensions are as they came.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document(Map<String, Value>);

/// A whole resource, as a client sends it to create or to replace one.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// What is kept.
    pub document: Document,
    /// Who is to be in the group. `None`: nothing is said of that, and whoever is in it stays.
    pub members: Option<Vec<Member>>,
}

impl Document {
    /// Reads the body of POST or PUT. What is ours to say is passed over (RFC 7644 §3.3), as is what no schema has.
    pub fn read(of: &'static ResourceType, body: Value) -> Result<Body, Error> {
        Draft::body(of, body)?.into_body()
    }

    /// Reads what [`Document::to_text`] has written.
    pub fn from_text(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    /// As it is kept.
    pub fn to_text(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    /// What replaces this one when a client has sent `body` to replace it.
    ///
    /// Who leaves `active` out says nothing about it: nobody is let in again by a client that does not know the word.
    pub fn replaced_by(&self, body: Self) -> Self {
        let mut document = body;
        if let (None, Some(active)) = (document.active(), self.active()) {
            document.0.insert("active".to_owned(), active.into());
        }
        document
    }

    /// What is kept of a new person: who is created may do something, unless the client says otherwise.
    pub fn created(mut self, of: &ResourceType) -> Self {
        let has_standing = of.schema.attributes.iter().any(|attribute| attribute.name == "active");
        if has_standing && self.active().is_none() {
            self.0.insert("active".to_owned(), true.into());
        }
        self
    }

    /// Attributes and extensions.
    pub const fn parts(&self) -> &Map<String, Value> {
        &self.0
    }

    /// `userName`.
    pub fn user_name(&self) -> Option<&str> {
        self.text("userName")
    }

    /// `displayName`.
    pub fn display_name(&self) -> Option<&str> {
        self.text("displayName")
    }

    /// `externalId`.
    pub fn external_id(&self) -> Option<&str> {
        self.text("externalId")
    }

    /// `active`; `None`: nothing is said.
    pub fn active(&self) -> Option<bool> {
        self.0.get("active").and_then(Value::as_bool)
    }

    /// `emails.value`, in order.
    pub fn mails(&self) -> impl Iterator<Item = &str> {
        let emails = self.0.get("emails").and_then(Value::as_array).into_iter().flatten();
        emails.filter_map(|email| email.get("value").and_then(Value::as_str))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// The names of what differs from `before`: `userName`, `urn:…:User:department`.
    pub fn changed_since(&self, before: &Self) -> Vec<String> {
        let mut changed = Vec::new();
        differences(&before.0, &self.0, |name, before, after| match (before, after) {
            _ if !name.contains(':') => changed.push(name.to_owned()),
            (before, after) => {
                let (none, before, after) =
                    (Map::new(), before.and_then(Value::as_object), after.and_then(Value::as_object));
                differences(before.unwrap_or(&none), after.unwrap_or(&none), |sub, _, _| {
                    changed.push(format!("{name}:{sub}"))
                });
            }
        });
        changed.sort_unstable();
        changed
    }

    /// The schemas that it has attributes of: the core schema first.
    pub fn schemas<'a>(&'a self, of: &'a ResourceType) -> impl Iterator<Item = &'a str> {
        std::iter::once(of.schema.urn).chain(self.0.keys().map(String::as_str).filter(|key| key.contains(':')))
    }

    /// What stands in one home.
    pub(super) fn at(&self, home: &Home) -> Option<&Map<String, Value>> {
        match home {
            Home::Core => Some(&self.0),
            Home::Extension(urn) => key(&self.0, urn).and_then(|key| self.0[&key].as_object()),
        }
    }

    /// What stands in one home, which is made if there is none.
    pub(super) fn at_mut(&mut self, home: &Home) -> &mut Map<String, Value> {
        let Home::Extension(urn) = home else { return &mut self.0 };
        let key = key(&self.0, urn).unwrap_or_else(|| urn.clone());
        let extension = self.0.entry(key).or_insert_with(|| Map::new().into());
        if !extension.is_object() {
            *extension = Map::new().into();
        }
        extension.as_object_mut().expect("it was made one above")
    }

    /// Takes a whole extension out.
    pub(super) fn take_extension(&mut self, urn: &str) -> Option<Value> {
        let key = key(&self.0, urn)?;
        self.0.shift_remove(&key)
    }

    /// Leaves out extensions in which nothing is said.
    pub(super) fn prune(&mut self) {
        self.0.retain(|key, value| !(key.contains(':') && value.as_object().is_some_and(Map::is_empty)));
    }

    /// Whether it may be kept: what is required is there, and there is not too much of it.
    pub(super) fn check(&self, of: &ResourceType, missing: Wrong) -> Result<(), Error> {
        for required in of.required().filter(|attribute| attribute.kept == Kept::Document) {
            if self.0.get(required.name).is_none_or(|value| value == "") {
                return Err(Error::new(missing, format!("`{}` is required of every {}", required.name, of.name)));
            }
        }
        if !self.0.values().all(|value| is_shallow(value, MAX_DEPTH)) {
            return Err(Error::new(
                Wrong::InvalidValue,
                format!("a {} may be nested {MAX_DEPTH} levels deep", of.name),
            ));
        }
        if serde_json::to_vec(&self.0).map_or(usize::MAX, |text| text.len()) > MAX_BYTES {
            return Err(Error::new(Wrong::InvalidValue, format!("a {} may have {MAX_BYTES} bytes of JSON", of.name)));
        }
        Ok(())
    }
}

fn is_shallow(value: &Value, depth: usize) -> bool {
    let deeper = |value: &Value| depth > 0 && is_shallow(value, depth - 1);
    match value {
        Value::Array(elements) => elements.iter().all(deeper),
        Value::Object(parts) => parts.values().all(deeper),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// The key under which an object has `name`, whatever the letter case.
pub(super) fn key(object: &Map<String, Value>, name: &str) -> Option<String> {
    if object.contains_key(name) {
        return Some(name.to_owned());
    }
    object.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned()
}

fn differences(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    mut differs: impl FnMut(&str, Option<&Value>, Option<&Value>),
) {
    for (name, value) in before {
        if after.get(name) != Some(value) {
            differs(name, Some(value), after.get(name));
        }
    }
    for (name, value) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
        differs(name, None, Some(value));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::schema::USERS;
    use super::*;

    fn refused(body: Value) -> Error {
        Document::read(&USERS, body).expect_err("it should be refused")
    }

    #[test]
    fn a_document_has_its_bounds() {
        let note = "x".repeat(60_000);
        let most = json!({ "userName": "a", "title": note, "locale": note, "urn:x:Y": { "a": note, "b": note } });
        assert!(Document::read(&USERS, most.clone()).is_ok());
        let mut more = most;
        more["urn:x:Y"]["c"] = json!(note);
        assert!(refused(more).to_string().contains("262144 bytes"));

        assert!(refused(json!({ "userName": "a".repeat(1_025) })).to_string().contains("1024 bytes"));
        assert!(refused(json!({ "userName": "a", "title": "x".repeat(65_537) })).to_string().contains("65536 bytes"));
        let named = |count| (0..count).map(|n| (format!("n{n}"), json!(n))).collect::<Map<_, _>>();
        assert!(Document::read(&USERS, json!({ "userName": "a", "urn:x:Y": named(256) })).is_ok());
        assert!(refused(json!({ "userName": "a", "urn:x:Y": named(257) })).to_string().contains("256 attributes"));
        let mut extensions: Map<_, _> = (0..256).map(|n| (format!("urn:x:Y{n}"), json!({ "a": 1 }))).collect();
        extensions.insert("userName".to_owned(), json!("a"));
        assert!(refused(Value::Object(extensions)).to_string().contains("256 attributes"));
        let many = vec![json!({ "value": "x" }); 1_001];
        assert!(refused(json!({ "userName": "a", "roles": many })).to_string().contains("1000 elements"));

        let deep = |depth| (0..depth).fold(json!(1), |inner, _| json!([inner]));
        assert!(Document::read(&USERS, json!({ "userName": "a", "urn:x:Y": { "a": deep(31) } })).is_ok());
        assert!(refused(json!({ "userName": "a", "urn:x:Y": { "a": deep(32) } })).to_string().contains("32 levels"));
    }

    #[test]
    fn schemas_follow_from_what_is_said() {
        let body = json!({ "schemas": [], "userName": "a", "urn:example:Thing": { "x": 1 } });
        let document = Document::read(&USERS, body).unwrap().document;
        let schemas: Vec<_> = document.schemas(&USERS).collect();
        assert_eq!(schemas, ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:example:Thing"]);
    }

    #[test]
    fn a_password_is_nowhere_to_be_found() {
        let body = Document::read(&USERS, json!({ "userName": "a", "password": "correct horse" })).unwrap();
        assert!(!format!("{body:?}").contains("horse"));
    }

    #[test]
    fn addresses_are_told_in_order() {
        let body = json!({ "userName": "a", "emails": [{ "value": "b@x" }, { "type": "home" }, { "value": "a@x" }] });
        let document = Document::read(&USERS, body).unwrap().document;
        assert_eq!(document.mails().collect::<Vec<_>>(), ["b@x", "a@x"]);
    }
}
