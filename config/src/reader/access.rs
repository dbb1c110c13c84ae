//! The `serde` side of the reader: which question is answered how.

use serde::de::value::{StrDeserializer, U32Deserializer};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess};
use serde::de::{SeqAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::{AT, Cursor, Field, REFERENCE, Refused, What};
use crate::document::{Kind, NodeId, Scalar};

impl<'de> Deserializer<'de> for Cursor<'_, 'de> {
    type Error = Refused;

    /// Nothing of ours asks this: raw types say what they expect.
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        Err(Refused::custom("this shape has no type"))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Refused> {
        match name {
            AT => visitor.visit_seq(Located { cursor: self, told: false }),
            REFERENCE => {
                let text = self.reference(self.node()?)?;
                visitor.visit_newtype_struct(StrDeserializer::new(text))
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.what {
            What::Missing(..) | What::Misspelt(_) => visitor.visit_none(),
            What::Node(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let fields = self.fields(self.node()?, (name, fields))?;
        visitor.visit_map(Fields { cursor: self, fields: fields.into_iter(), next: None })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let node = self.node()?;
        let Kind::Map(entries) = self.kind(node) else { return Err(self.other_type(node, "a map")) };
        visitor.visit_map(Entries { cursor: self, entries: entries.iter(), next: None })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let node = self.node()?;
        let Kind::List(items) = self.kind(node) else { return Err(self.other_type(node, "a list")) };
        visitor.visit_seq(Items { cursor: self, items: items.iter() })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let node = self.node()?;
        let variant = self.variant(node);
        if variants.contains(&variant) {
            return visitor.visit_enum(Alternative { cursor: self.to(node), variant });
        }
        let names: Vec<_> = variants.iter().map(|variant| in_words(variant)).collect();
        Err(self.other_type(node, &names.join(" or ")))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_borrowed_str(self.text(self.node()?)?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_string(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let node = self.node()?;
        match self.scalar(node, "a whole number")? {
            (_, Scalar::Number(number)) => visitor.visit_u64(number),
            _ => Err(self.other_type(node, "a whole number")),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let node = self.node()?;
        match self.scalar(node, "true or false")? {
            (_, Scalar::Flag(flag)) => visitor.visit_bool(flag),
            _ => Err(self.other_type(node, "true or false")),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

impl Cursor<'_, '_> {
    /// The name of the variant that stands for the node's kind.
    fn variant(self, node: NodeId) -> &'static str {
        match self.kind(node) {
            Kind::List(_) => "$list",
            Kind::Map(_) => "$map",
            Kind::Scalar { text, plain } => match crate::document::resolve(text, *plain) {
                Scalar::Text => "$text",
                Scalar::Number(_) => "$number",
                Scalar::Flag(_) => "$flag",
                Scalar::Null | Scalar::OtherNumber => "$nothing",
            },
        }
    }
}

fn in_words(variant: &str) -> &'static str {
    match variant {
        "$text" => "text",
        "$number" => "a whole number",
        "$flag" => "true or false",
        "$list" => "a list",
        _ => "a map",
    }
}

/// First the node, then the value; a value that is refused is in the list of flaws before the refusal is returned.
struct Located<'r, 'd> {
    cursor: Cursor<'r, 'd>,
    told: bool,
}

impl<'de> SeqAccess<'de> for Located<'_, 'de> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        let (What::Node(node) | What::Missing(node, _) | What::Misspelt(node)) = self.cursor.what;
        if !std::mem::replace(&mut self.told, true) {
            let id: U32Deserializer<Refused> = node.0.into_deserializer();
            return seed.deserialize(id).map(Some);
        }
        seed.deserialize(self.cursor).map(Some).map_err(|refused| {
            self.cursor.reader.report(refused, node);
            Refused(None)
        })
    }
}

struct Items<'r, 'd> {
    cursor: Cursor<'r, 'd>,
    items: std::slice::Iter<'d, NodeId>,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        self.items.next().map(|item| seed.deserialize(self.cursor.to(*item))).transpose()
    }
}

struct Fields<'r, 'd> {
    cursor: Cursor<'r, 'd>,
    fields: std::vec::IntoIter<Field>,
    next: Option<What>,
}

impl<'de> MapAccess<'de> for Fields<'_, 'de> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        let Some((field, what)) = self.fields.next() else { return Ok(None) };
        self.next = Some(what);
        seed.deserialize(StrDeserializer::new(field)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let what = self.next.take().ok_or_else(|| Refused::custom("a value without its key"))?;
        seed.deserialize(Cursor { reader: self.cursor.reader, what })
    }
}

struct Entries<'r, 'd> {
    cursor: Cursor<'r, 'd>,
    entries: std::slice::Iter<'d, (NodeId, NodeId)>,
    next: Option<NodeId>,
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.next = Some(*value);
        seed.deserialize(self.cursor.to(*key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let value = self.next.take().ok_or_else(|| Refused::custom("a value without its key"))?;
        seed.deserialize(self.cursor.to(value))
    }
}

struct Alternative<'r, 'd> {
    cursor: Cursor<'r, 'd>,
    variant: &'static str,
}

impl<'de> EnumAccess<'de> for Alternative<'_, 'de> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refused> {
        let variant = seed.deserialize(StrDeserializer::<Refused>::new(self.variant))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Alternative<'_, 'de> {
    type Error = Refused;

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        seed.deserialize(self.cursor)
    }

    fn unit_variant(self) -> Result<(), Refused> {
        Err(Refused::custom("an alternative holds a value"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Refused> {
        self.unit_variant().and_then(|()| Err(Refused(None)))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Refused> {
        self.unit_variant().and_then(|()| Err(Refused(None)))
    }
}
