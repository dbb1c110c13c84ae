//! Claims of a token as JSON, read strictly: no name twice, no deep nesting, nothing but an object.

use std::fmt;

use access::{Refusal, RefusalCode};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Map, Number, Value};

use super::jws::Rules;
use super::shown;

/// Deeper than the claims of any issuer.
const MAX_DEPTH: usize = 16;

/// All claims of a token.
#[derive(Debug)]
pub(super) struct Claims(Value);

/// RFC 7519 §4.1.3.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Claims {
    /// What a kind of token has in it, typed; a refusal says what is missing or of another type.
    pub(super) fn read<T: DeserializeOwned>(&self, rules: &Rules) -> Result<T, Refusal> {
        T::deserialize(&self.0).map_err(|error| {
            Refusal::new(
                RefusalCode::EvidenceInvalid,
                format!("the {} is not {}: {}", rules.noun, rules.whole, plainly(&error)),
            )
            .help(rules.obtain)
        })
    }

    /// The value at a path of names.
    pub(super) fn at(&self, path: &[String]) -> Option<&Value> {
        path.iter().try_fold(&self.0, |value, name| value.get(name))
    }
}

/// What serde says, without the marks that are ours to set.
fn plainly(error: &serde_json::Error) -> String {
    const LONGEST: usize = 200;
    error.to_string().chars().take(LONGEST).filter(|c| !c.is_control()).collect()
}

impl Audience {
    pub(super) fn contains(&self, wanted: &str) -> bool {
        match self {
            Self::One(audience) => audience == wanted,
            Self::Many(audiences) => audiences.iter().any(|audience| audience == wanted),
        }
    }

    pub(super) fn shown(&self) -> String {
        match self {
            Self::One(audience) => shown(audience),
            Self::Many(audiences) => shown(&audiences.join(", ")),
        }
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Strict { depth: 0 }.deserialize(deserializer)?;
        if value.is_object() { Ok(Self(value)) } else { Err(D::Error::custom("claims are an object")) }
    }
}

/// Reads any JSON, but not a name twice: RFC 7519 §4 lets readers choose which one counts, and two that choose
/// differently see two tokens.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn inside<E: de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom("claims are nested too deep"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is none"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inside)?;
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a claim stands there twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Claims, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_wherever_it_stands() {
        for json in [r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"b":2}}"#, r#"{"a":[{"b":1,"b":2}]}"#, r#"{"a":1,"\u0061":2}"#]
        {
            assert!(read(json).unwrap_err().contains("twice"), "{json}");
        }
        assert!(read(r#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn nesting_has_an_end_and_claims_are_an_object() {
        let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert!(read(&nested(MAX_DEPTH)).is_ok());
        assert!(read(&nested(MAX_DEPTH + 1)).unwrap_err().contains("deep"));
        for json in ["1", "[]", "null", "\"a\"", "", "{", "{}x"] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_path_leads_to_members_only() {
        let claims = read(r#"{"a":{"b/c":[1]},"d":"e"}"#).unwrap();
        let at = |path: &[&str]| claims.at(&path.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>()).cloned();
        assert_eq!(at(&["a", "b/c"]), Some(serde_json::json!([1])));
        assert_eq!(at(&["d", "e"]), None);
        assert_eq!(at(&["a", "b/c", "0"]), None, "an index is no name");
    }
}
