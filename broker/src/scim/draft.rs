//! A document while it is written: one name after the other finds its attribute, and what is said goes there.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::attribute::{AttrPath, Urn};
use super::bound::{bind_elements, has_elements};
use super::change::{Change, said_elements};
use super::document::{Body, Document, key};
use super::error::{Error, Wrong};
use super::filter::ElementFilter;
use super::member::{MemberChange, ResourceId, members, named};
use super::patch::Verb;
use super::path::Path;
use super::schema::{Attribute, Found, Home, Kept, Mutability, Place, ResourceType, Schema, SubPlace};

/// The one relation that clients write.
const MEMBERS: &str = "members";
/// Most attributes and extensions of a resource, and most attributes of one extension. A name is looked for among all of
/// them, because letter case does not matter.
const MAX_NAMES: usize = 256;

/// A document in the making.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    of: &'static ResourceType,
    reading: Reading<'a>,
    document: Document,
    members: Vec<MemberChange>,
}

/// What is read.
#[derive(Debug, Clone, Copy)]
enum Reading<'a> {
    /// A whole resource: what is ours to say is passed over.
    Body,
    /// Changes to the resource of this id: what is ours to say is refused, unless it is what we say.
    Changes(&'a ResourceId),
}

/// Where a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// In a path: it is meant, and an error if it means nothing.
    Path,
    /// As a key of an object, among others: what no schema has is passed over (RFC 7644 §3.3).
    Key,
}

impl<'a> Draft<'a> {
    /// Reads a whole resource.
    pub(super) fn body(of: &'static ResourceType, body: Value) -> Result<Self, Error> {
        let mut draft = Self { of, reading: Reading::Body, document: Document::default(), members: Vec::new() };
        draft.keys(Verb::Replace, body)?;
        Ok(draft)
    }

    /// Begins to change a resource.
    pub(super) fn of(of: &'static ResourceType, id: &'a ResourceId, document: Document) -> Self {
        Self { of, reading: Reading::Changes(id), document, members: Vec::new() }
    }

    pub(super) fn into_body(mut self) -> Result<Body, Error> {
        self.document.prune();
        self.document.check(self.of, Wrong::InvalidValue)?;
        let members = self.members.pop().map(|change| match change {
            MemberChange::Add(members) | MemberChange::Replace(members) => members,
            MemberChange::Remove(_) | MemberChange::Clear => Vec::new(),
        });
        Ok(Body { document: self.document, members })
    }

    pub(super) fn into_changes(mut self) -> Result<(Document, Vec<MemberChange>), Error> {
        self.document.prune();
        // RFC 7644 §3.5.2.2: what is required cannot become unassigned.
        self.document.check(self.of, Wrong::Mutability)?;
        Ok((self.document, self.members))
    }

    /// Every key of an object is a name: `userName`, and also `name.givenName`, `urn:…:User:department` and
    /// `emails[type eq "work"].value`, as Entra sends them.
    pub(super) fn keys(&mut self, verb: Verb, object: Value) -> Result<(), Error> {
        let Value::Object(object) = object else {
            return Err(Error::new(Wrong::InvalidSyntax, "an object of attributes is expected here"));
        };
        let mut said = HashSet::with_capacity(object.len());
        for (name, value) in object {
            if !said.insert(name.to_lowercase()) {
                return Err(Error::new(Wrong::InvalidSyntax, format!("`{name}` is said twice")));
            }
            let Ok(path) = name.parse::<Path>() else { continue };
            self.write(verb, &path, Some(value), Named::Key)?;
        }
        Ok(())
    }

    /// What is said goes where `path` says.
    pub(super) fn write(&mut self, verb: Verb, path: &Path, value: Option<Value>, named: Named) -> Result<(), Error> {
        // Elements are an attribute's, whatever is said of them.
        let said = value.as_ref().filter(|_| !matches!(path, Path::Elements { .. }));
        match (self.settle(self.of.find_path(path), said), path) {
            (Meant::Nothing, _) if named == Named::Key => Ok(()),
            (Meant::Nothing, _) => {
                Err(Error::new(Wrong::InvalidPath, format!("a {} has no attribute `{path}`", self.of.name)))
            }
            (Meant::Whole(_), Path::Elements { .. }) => {
                Err(Error::new(Wrong::InvalidPath, "brackets stand behind an attribute, not behind a schema"))
            }
            (Meant::Whole(home), Path::Schema(_) | Path::Attribute(_)) => self.whole(verb, home, value),
            (Meant::Attribute(place), Path::Elements { filter, sub, .. }) => {
                let place = with_sub(place, sub.as_ref().map(super::attribute::Name::as_str))?;
                self.attribute(Operation { verb, place, filter: Some(filter), value, named })
            }
            (Meant::Attribute(place), Path::Schema(_) | Path::Attribute(_)) => {
                self.attribute(Operation { verb, place, filter: None, value, named })
            }
        }
    }

    /// What `urn:example:Thing` means, if nobody knows it. An object in a whole resource is everything of that schema;
    /// in a change, what the resource has by that name tells, and else what is said.
    fn settle(&self, found: Found, value: Option<&Value>) -> Meant {
        match found {
            Found::Nothing => Meant::Nothing,
            Found::Whole(home) => Meant::Whole(home),
            Found::Attribute(place) => Meant::Attribute(place),
            Found::Foreign { attribute, whole } => {
                let whole = Home::Extension(whole);
                let is_object = value.is_some_and(Value::is_object);
                let none_else = matches!(self.reading, Reading::Body) || self.document.at(&attribute.home).is_none();
                if self.document.at(&whole).is_some() || (is_object && none_else) {
                    return Meant::Whole(whole);
                }
                Meant::Attribute(attribute)
            }
        }
    }

    /// Everything of a schema at once.
    fn whole(&mut self, verb: Verb, home: Home, value: Option<Value>) -> Result<(), Error> {
        let Home::Extension(urn) = home else {
            return match (verb, value) {
                (Verb::Add | Verb::Replace, Some(value)) => self.keys(verb, value),
                _ => Err(Error::new(Wrong::NoTarget, "name the attribute to remove")),
            };
        };
        let object = match (verb, value) {
            (Verb::Remove, _) | (Verb::Replace, Some(Value::Null)) => {
                self.document.take_extension(&urn);
                return Ok(());
            }
            (Verb::Add, Some(Value::Null)) => return Ok(()),
            (_, Some(Value::Object(object))) => object,
            _ => return Err(Error::new(Wrong::InvalidValue, format!("`{urn}` must be an object"))),
        };
        match self.of.extension(&urn) {
            Some(schema) => self.extension(verb, schema, object),
            None => self.foreign(&Home::Extension(urn), object),
        }
    }

    /// Every key of a known extension is an attribute of its.
    fn extension(&mut self, verb: Verb, schema: &Schema, object: Map<String, Value>) -> Result<(), Error> {
        let is_known = |attr: &AttrPath| schema.attributes.iter().any(|known| attr.name.is(known.name));
        for (name, value) in object {
            let is_meant = |attr: &AttrPath| attr.urn.is_none() && (attr.sub.is_none() || is_known(attr));
            match AttrPath::new(&name).filter(is_meant) {
                Some(attr) => {
                    let path = Path::Attribute(AttrPath { urn: Urn::new(schema.urn), ..attr });
                    self.write(verb, &path, Some(value), Named::Key)?;
                }
                // No path could name it, but it is somebody's.
                None => self.foreign(&Home::Extension(schema.urn.to_owned()), Map::from_iter([(name, value)]))?,
            }
        }
        Ok(())
    }

    /// What nobody here knows is kept as it is. In a change, `null` removes.
    fn foreign(&mut self, home: &Home, object: Map<String, Value>) -> Result<(), Error> {
        few(object.len())?;
        let changes = matches!(self.reading, Reading::Changes(_)) && self.document.at(home).is_some();
        let parts = self.document.at_mut(home);
        for (name, value) in object {
            let name = key(parts, &name).unwrap_or(name);
            if changes && value.is_null() {
                parts.shift_remove(&name);
            } else {
                parts.insert(name, value);
            }
        }
        few(parts.len())?;
        few(self.document.parts().len())
    }

    fn attribute(&mut self, operation: Operation<'_>) -> Result<(), Error> {
        let Operation { verb, place, filter, value, named } = operation;
        if let Some(attribute) = place.attribute {
            match attribute.kept {
                Kept::Meta => return self.ours(attribute, value.as_ref(), named),
                Kept::Relation if attribute.name == MEMBERS => return self.member(verb, (&place, filter), value),
                Kept::Nowhere if verb == Verb::Remove => return Ok(()),
                Kept::Nowhere => return forgotten(attribute, value.as_ref()),
                Kept::Relation | Kept::Document => {}
            }
            if !self.may_write(attribute, place.sub.as_ref(), named)? {
                return Ok(());
            }
            if verb == Verb::Remove && attribute.required && place.sub.is_none() {
                return Err(Error::new(Wrong::Mutability, format!("`{}` is required", attribute.name)));
            }
        }
        let filter = match filter {
            None => None,
            Some(_) if !has_elements(&place) => {
                return Err(Error::new(Wrong::InvalidPath, format!("`{}` has no elements to choose from", place.name)));
            }
            Some(filter) => {
                let bound = bind_elements(filter.clone(), place.attribute);
                Some((filter, bound.map_err(|e| Error::new(Wrong::InvalidPath, e.to_string()))?))
            }
        };
        let parts = self.document.at_mut(&place.home);
        let name = key(parts, &place.name).unwrap_or_else(|| place.name.clone());
        let was = parts.get_mut(&name).map(Value::take);
        let change = Change { verb, attribute: place.attribute, sub: place.sub.as_ref(), filter, value };
        match change.apply(was)? {
            Some(value) => parts.insert(name, value),
            None => parts.shift_remove(&name),
        };
        few(parts.len())?;
        few(self.document.parts().len())
    }

    /// `id`, `meta` and `schemas`. Okta sends the id with every change of a group's name.
    fn ours(&self, attribute: &Attribute, value: Option<&Value>, named: Named) -> Result<(), Error> {
        let Reading::Changes(id) = self.reading else { return Ok(()) };
        let same = match attribute.name {
            "id" => value.and_then(Value::as_str) == Some(id.as_str()),
            // They follow from what is said.
            "schemas" => true,
            _ => named == Named::Key,
        };
        if same { Ok(()) } else { Err(read_only(attribute.name)) }
    }

    /// Whether what is said counts, or is passed over.
    fn may_write(&self, attribute: &Attribute, sub: Option<&SubPlace>, named: Named) -> Result<bool, Error> {
        if attribute.mutability == Mutability::ReadOnly {
            return if matches!(self.reading, Reading::Body) { Ok(false) } else { Err(read_only(attribute.name)) };
        }
        match sub.and_then(|sub| sub.attribute) {
            Some(part) if part.mutability == Mutability::ReadOnly => match named {
                Named::Key => Ok(false),
                Named::Path => Err(read_only(&format!("{}.{}", attribute.name, part.name))),
            },
            _ => Ok(true),
        }
    }

    /// Members come and go; nobody reads who is there.
    fn member(
        &mut self,
        verb: Verb,
        (place, filter): (&Place, Option<&ElementFilter>),
        value: Option<Value>,
    ) -> Result<(), Error> {
        if place.sub.is_some() {
            return Err(Error::new(Wrong::Mutability, "a member is added or removed, not changed"));
        }
        let change = match (verb, filter, value) {
            (Verb::Remove, Some(filter), _) => MemberChange::Remove(named(filter)?),
            (Verb::Remove, None, None) => MemberChange::Clear,
            (Verb::Remove, None, Some(said)) => {
                let said = members(Value::Array(said_elements(said)?))?;
                MemberChange::Remove(said.into_iter().map(|member| member.id).collect())
            }
            (_, _, None) => return Err(Error::new(Wrong::InvalidValue, "`value` is missing")),
            // In a whole resource it says nothing. In a change it may mean all or nobody, and the wrong guess is a breach.
            (_, _, Some(Value::Null)) if matches!(self.reading, Reading::Body) => return Ok(()),
            (_, _, Some(Value::Null)) => {
                return Err(Error::new(Wrong::InvalidValue, "`members` is null: an empty list means nobody"));
            }
            (_, Some(filter), Some(said)) => {
                let (ids, said) = (named(filter)?, members(said)?);
                if said.iter().any(|member| !ids.contains(&member.id)) {
                    return Err(Error::new(Wrong::Mutability, "a member is added or removed, not changed"));
                }
                MemberChange::Add(said)
            }
            (Verb::Add, None, Some(said)) => MemberChange::Add(members(said)?),
            (Verb::Replace, None, Some(said)) => match members(said)? {
                none if none.is_empty() => MemberChange::Clear,
                members => MemberChange::Replace(members),
            },
        };
        self.members.push(change);
        Ok(())
    }
}

/// What a name means here.
#[derive(Debug)]
enum Meant {
    Attribute(Place),
    Whole(Home),
    Nothing,
}

/// What is to be done where.
#[derive(Debug)]
struct Operation<'a> {
    verb: Verb,
    place: Place,
    filter: Option<&'a ElementFilter>,
    value: Option<Value>,
    named: Named,
}

/// The part behind the brackets. `emails.value[…]` has no meaning, and a part has no parts.
fn with_sub(mut place: Place, sub: Option<&str>) -> Result<Place, Error> {
    let wrong = |why: &str| Error::new(Wrong::InvalidPath, format!("`{}` {why}", place.name));
    if place.sub.is_some() {
        return Err(wrong("has brackets behind one of its parts; they stand behind the attribute"));
    }
    let Some(sub) = sub else { return Ok(place) };
    let part = place.attribute.and_then(|attribute| attribute.part(sub));
    if place.attribute.is_some() && part.is_none() {
        return Err(wrong("has no such part"));
    }
    let name = part.map_or(sub, |part| part.name).to_owned();
    place.sub = Some(SubPlace { name, attribute: part });
    Ok(place)
}

/// A password: nobody signs in with one here, so it is not kept, and nobody reads it.
fn forgotten(attribute: &Attribute, value: Option<&Value>) -> Result<(), Error> {
    match value {
        Some(Value::String(_) | Value::Null) => Ok(()),
        _ => Err(Error::new(Wrong::InvalidValue, format!("`{}` must be a text", attribute.name))),
    }
}

fn few(names: usize) -> Result<(), Error> {
    if names > MAX_NAMES {
        return Err(Error::new(Wrong::InvalidValue, format!("there may be {MAX_NAMES} attributes and extensions")));
    }
    Ok(())
}

fn read_only(name: &str) -> Error {
    Error::new(Wrong::Mutability, format!("`{name}` is read-only"))
}
