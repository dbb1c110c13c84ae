//! The values of a JSON answer (RFC 8259): texts and numbers.

use access::Secret;
use serde_json::value::RawValue;

use super::super::object::{Object, Text};
use super::{MAX_DEPTH, MAX_VALUES, Unreadable, Value};

/// A walk through a document.
struct Walk<'a> {
    whole: &'a str,
    objects: usize,
    values: Vec<Value>,
}

pub(super) fn values(body: &[u8]) -> Result<Vec<Value>, Unreadable> {
    let whole = std::str::from_utf8(body).map_err(|_| Unreadable::Syntax)?;
    let raw: &RawValue = serde_json::from_str(whole).map_err(|_| Unreadable::Syntax)?;
    let mut walk = Walk { whole, objects: 0, values: Vec::new() };
    walk.on((0, ""), raw, 0)?;
    Ok(walk.values)
}

impl Walk<'_> {
    fn on(&mut self, (parent, name): (usize, &str), raw: &RawValue, depth: usize) -> Result<(), Unreadable> {
        if depth > MAX_DEPTH || self.values.len() > MAX_VALUES {
            return Err(Unreadable::TooMuch);
        }
        let syntax = |_| Unreadable::Syntax;
        let written = raw.get();
        match written.as_bytes().first() {
            Some(b'{') => {
                self.objects += 1;
                let this = self.objects;
                let Object(members) = serde_json::from_str(written).map_err(syntax)?;
                for (name, value) in members {
                    self.on((this, &name.to_ascii_lowercase()), value, depth + 1)?;
                }
            }
            Some(b'[') => {
                for item in serde_json::from_str::<Vec<&RawValue>>(written).map_err(syntax)? {
                    self.on((parent, name), item, depth + 1)?;
                }
            }
            Some(b'"') => {
                let Text(text) = serde_json::from_str(written).map_err(syntax)?;
                self.push((parent, name), written, text.into_owned());
            }
            Some(b'-' | b'0'..=b'9') => self.push((parent, name), written, written.to_owned()),
            // `true`, `false`, `null`
            Some(_) | None => {}
        }
        Ok(())
    }

    fn push(&mut self, (parent, name): (usize, &str), written: &str, text: String) {
        // A raw value borrows from the document that it was read from.
        let from = written.as_ptr() as usize - self.whole.as_ptr() as usize;
        let at = from..from + written.len();
        self.values.push(Value { parent, name: name.to_owned(), text: Secret::new(text), at });
    }
}
