//! PATCH: changes to a resource, all or none of them (RFC 7644 §3.5.2).
//!
//! What identity providers really send is read as it is meant: `Add` for `add`, `"False"` for `false`, keys with dots and
//! URNs, a filter that fits nothing for an element to be made, members to be removed as a list.

use serde_json::{Map, Value};

use super::document::Document;
use super::draft::{Draft, Named};
use super::error::{Error, Wrong};
use super::member::{MemberChange, ResourceId};
use super::path::Path;
use super::schema::ResourceType;

/// The schema of PATCH requests.
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// Most operations in one request; Entra sends some dozens.
pub const MAX_OPERATIONS: usize = 1_000;

/// A PATCH request.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    operations: Vec<Operation>,
}

#[derive(Debug, Clone, PartialEq)]
struct Operation {
    verb: Verb,
    path: Option<Path>,
    /// `Some(null)` is not `None`: somebody has said so.
    value: Option<Value>,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Adds to what is there.
    Add,
    /// Takes the place of what is there.
    Replace,
    /// Removes what is there.
    Remove,
}

/// What a PATCH makes of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Patched {
    /// The resource afterwards.
    pub document: Document,
    /// The names of what has changed in it: `userName`, `urn:…:User:department`. Empty: nothing to write.
    pub changed: Vec<String>,
    /// Who comes and goes, in order.
    pub members: Vec<MemberChange>,
}

impl Patch {
    /// Reads the body of a request.
    pub fn read(body: Value) -> Result<Self, Error> {
        let Value::Object(mut body) = body else { return Err(syntax("the body must be an object")) };
        let schemas = take(&mut body, "schemas");
        let is_patch = |schema: &Value| schema.as_str().is_some_and(|schema| schema.eq_ignore_ascii_case(PATCH_OP));
        if schemas.is_some_and(|schemas| !schemas.as_array().is_some_and(|schemas| schemas.iter().any(is_patch))) {
            return Err(syntax(&format!("`schemas` must name {PATCH_OP}")));
        }
        let Some(Value::Array(operations)) = take(&mut body, "Operations") else {
            return Err(syntax("`Operations` must be a list"));
        };
        if operations.is_empty() || operations.len() > MAX_OPERATIONS {
            return Err(syntax(&format!("`Operations` must have 1 to {MAX_OPERATIONS} operations")));
        }
        let read = |(n, operation)| Operation::read(operation).map_err(|e| e.within(&place(n)));
        Ok(Self { operations: operations.into_iter().enumerate().map(read).collect::<Result<_, _>>()? })
    }

    /// What becomes of the resource of that id. Nothing is changed if anything is refused.
    pub fn apply(self, of: &'static ResourceType, id: &ResourceId, before: &Document) -> Result<Patched, Error> {
        let mut draft = Draft::of(of, id, before.clone());
        for (n, operation) in self.operations.into_iter().enumerate() {
            operation.apply(&mut draft).map_err(|e| e.within(&place(n)))?;
        }
        let (document, members) = draft.into_changes()?;
        Ok(Patched { changed: document.changed_since(before), document, members })
    }
}

impl Operation {
    fn read(operation: Value) -> Result<Self, Error> {
        let Value::Object(mut operation) = operation else { return Err(syntax("it must be an object")) };
        let verb = match take(&mut operation, "op") {
            Some(Value::String(verb)) => Verb::read(&verb),
            _ => None,
        };
        let Some(verb) = verb else { return Err(syntax("`op` must be add, replace or remove")) };
        let path = match take(&mut operation, "path") {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) => {
                let read = path.parse().map_err(|e| Error::new(Wrong::InvalidPath, format!("`path`, {e}")));
                Some(read?)
            }
            Some(_) => return Err(Error::new(Wrong::InvalidPath, "`path` must be a text")),
        };
        Ok(Self { verb, path, value: take(&mut operation, "value") })
    }

    fn apply(self, draft: &mut Draft<'_>) -> Result<(), Error> {
        match (self.path, self.value) {
            (Some(path), value) => draft.write(self.verb, &path, value, Named::Path),
            (None, _) if self.verb == Verb::Remove => {
                Err(Error::new(Wrong::NoTarget, "`path` must say what to remove"))
            }
            (None, Some(value)) => draft.keys(self.verb, value),
            (None, None) => Err(Error::new(Wrong::InvalidValue, "`value` is missing")),
        }
    }
}

impl Verb {
    /// Letter case does not matter: Entra writes `Add`.
    fn read(text: &str) -> Option<Self> {
        let named = [("add", Self::Add), ("replace", Self::Replace), ("remove", Self::Remove)];
        named.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, verb)| verb)
    }
}

fn take(object: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let key = super::document::key(object, name)?;
    object.remove(&key)
}

fn syntax(what: &str) -> Error {
    Error::new(Wrong::InvalidSyntax, what)
}

fn place(n: usize) -> String {
    format!("operation {}", n + 1)
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
