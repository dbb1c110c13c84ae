//! Members of a JSON body, by path, without reading the rest of it into memory.
//!
//! A member that stands twice, or once more in other letter case, is no answer: readers differ on which one counts.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// More are not collected: no operation takes as many resources, and each costs a decision.
pub(super) const MOST: usize = 1000;

/// `TransactItems[].Put.TableName` → `TransactItems`, `[]`, `Put`, `TableName`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step<'p> {
    /// This member.
    Member(&'p str),
    /// Each item of a list.
    Each,
    /// Each key of a map.
    Keys,
}

/// `a[].b{}` as steps.
pub(super) fn steps(path: &str) -> Vec<Step<'_>> {
    let step = |part| -> Vec<Step<'_>> {
        let (name, after) = match part {
            part if str::ends_with(part, "[]") => (&part[..part.len() - 2], Some(Step::Each)),
            part if str::ends_with(part, "{}") => (&part[..part.len() - 2], Some(Step::Keys)),
            part => (part, None),
        };
        std::iter::once(Step::Member(name)).chain(after).collect()
    };
    path.split('.').flat_map(step).collect()
}

/// Every text at the path, in order; `None` where the path ends before it, as in a list item without the member.
///
/// `Err`: the body is not JSON, a member stands twice, something else than text is there, or there are too many.
pub(super) fn find(body: &[u8], path: &[Step<'_>]) -> Result<Vec<Option<String>>, serde_json::Error> {
    let mut found = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(body);
    Seek { path, found: &mut found }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(found)
}

/// Collects what is at the rest of a path.
struct Seek<'s, 'p> {
    path: &'s [Step<'p>],
    found: &'s mut Vec<Option<String>>,
}

impl Seek<'_, '_> {
    fn take<E: Error>(self, text: Option<String>) -> Result<(), E> {
        if self.found.len() >= MOST {
            return Err(E::custom("too many resources"));
        }
        self.found.push(text);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Seek<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member that names a resource")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match self.path {
            [] | [Step::Member(_), ..] => self.take(None),
            [Step::Each | Step::Keys, ..] => Ok(()),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if self.path.is_empty() { self.take(Some(text.to_owned())) } else { Err(E::custom("text in the way")) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let [Step::Each, rest @ ..] = self.path else { return Err(A::Error::custom("a list in the way")) };
        while items.next_element_seed(Seek { path: rest, found: self.found })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let (name, rest) = match self.path {
            [Step::Keys] => {
                while let Some(key) = entries.next_key::<String>()? {
                    Seek { path: &[], found: self.found }.take(Some(key))?;
                    entries.next_value::<IgnoredAny>()?;
                }
                return Ok(());
            }
            [Step::Member(name), rest @ ..] => (*name, rest),
            _ => return Err(A::Error::custom("a map in the way")),
        };
        let mut is_there = false;
        while let Some(key) = entries.next_key::<String>()? {
            if !key.eq_ignore_ascii_case(name) {
                entries.next_value::<IgnoredAny>()?;
                continue;
            }
            if key != name || std::mem::replace(&mut is_there, true) {
                return Err(A::Error::custom("a member stands twice"));
            }
            entries.next_value_seed(Seek { path: rest, found: self.found })?;
        }
        match rest {
            _ if is_there => Ok(()),
            [Step::Each | Step::Keys, ..] => Ok(()),
            _ => self.take(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(path: &str, body: &str) -> Result<Vec<Option<String>>, String> {
        find(body.as_bytes(), &steps(path)).map_err(|error| error.to_string())
    }

    fn texts(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned())).collect()
    }

    #[test]
    fn members_are_found_by_path() {
        assert_eq!(at("TableName", r#"{"Key":{"TableName":"no"},"TableName":"orders"}"#), Ok(texts(&["orders"])));
        assert_eq!(at("T{}", r#"{"T":{"a":[1],"b":{}}}"#), Ok(texts(&["a", "b"])));
        assert_eq!(at("N[]", r#"{"N":["a","b"],"x":null}"#), Ok(texts(&["a", "b"])));
        let items = r#"{"I":[{"Put":{"T":"a"}},{"Get":{"T":"b"}},{"Put":{}}]}"#;
        assert_eq!(at("I[].Put.T", items), Ok(vec![Some("a".into()), None, None]));
        assert_eq!(at("N", r#"{"n0":1}"#), Ok(vec![None]));
        assert_eq!(at("N[]", "{}"), Ok(vec![]));
        assert_eq!(at("N", r#"{"\u004e":"a"}"#), Ok(texts(&["a"])), "an escaped name is the same name");
    }

    #[test]
    fn what_readers_could_read_differently_is_no_answer() {
        for body in [
            r#"{"N":"a","N":"b"}"#,
            r#"{"N":"a","n":"b"}"#,
            r#"{"n":"a"}"#,
            r#"{"N":"a"} x"#,
            r#"{"N":["a"]}"#,
            r#"{"N":1}"#,
            r#"["N"]"#,
            r#"N=a"#,
            "",
        ] {
            assert!(at("N", body).is_err(), "{body}");
        }
        let many = format!(r#"{{"N":[{}"a"]}}"#, r#""a","#.repeat(MOST));
        assert!(at("N[]", &many).is_err());
    }

    proptest! {
        #[test]
        fn any_body_is_answered_without_panic(body in "[{}\\[\\]\":,a-cN0-9 ]{0,40}") {
            for path in ["N", "N[]", "N{}", "N[].a", "a.N"] {
                let _answer = at(path, &body);
            }
        }
    }
}
