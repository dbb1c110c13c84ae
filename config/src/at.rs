//! Values as they are written, with their places.
//!
//! A raw struct says what may be written by its fields alone: `At<T>` must be there, `Option<At<T>>` may be,
//! `At<Vec<At<T>>>` is a list and `At<Named<T>>` a map whose keys are names. What is wrong inside an `At` is reported
//! by the reader and leaves it empty, so that everything around it is still read.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::document::NodeId;
use crate::reader::AT;

/// A value and where it stands; no value if what stands there was reported to be wrong.
#[derive(Debug)]
pub(crate) struct At<T> {
    /// Where. For a required key that is missing: the map that it is missing from.
    pub(crate) node: NodeId,
    /// What.
    pub(crate) value: Option<T>,
}

impl<T> At<T> {
    pub(crate) const fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }
}

impl<T> At<Vec<T>> {
    /// The items; none if there is no list.
    pub(crate) fn items(&self) -> &[T] {
        self.value.as_deref().unwrap_or_default()
    }
}

impl At<String> {
    /// The text; empty if there is none.
    pub(crate) fn text(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(AT, Located(PhantomData))
    }
}

/// Takes the two elements that the reader gives for [`AT`]: the node, then the value.
struct Located<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Located<T> {
    type Value = At<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its place")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<At<T>, A::Error> {
        let node = access.next_element()?.unwrap_or_default();
        // The reader has reported what is wrong before it says so here.
        let value = access.next_element().ok().flatten();
        Ok(At { node: NodeId(node), value })
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

/// A map whose keys are names, in the order in which it is written.
#[derive(Debug)]
pub(crate) struct Named<T>(Vec<(At<String>, At<T>)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Named<T> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&At<String>, &At<T>)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// The names as they are written, also of what is wrong inside.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.text())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
    type Value = Named<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Named<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Named(entries))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("named {}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        schemars::json_schema!({ "type": "object", "additionalProperties": value })
    }
}
