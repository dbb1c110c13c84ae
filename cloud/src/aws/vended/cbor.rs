//! The values of a CBOR answer (RFC 8949, as Smithy's RPC v2 uses it): texts and numbers under their names in maps.

use access::Secret;

use super::{MAX_DEPTH, MAX_VALUES, Unreadable, Value};

const TEXT: u8 = 3;
const BREAK: u8 = 0xff;

/// A walk through an item and those in it.
struct Walk<'a> {
    whole: &'a [u8],
    at: usize,
    maps: usize,
    values: Vec<Value>,
}

pub(super) fn values(body: &[u8]) -> Result<Vec<Value>, Unreadable> {
    let mut walk = Walk { whole: body, at: 0, maps: 0, values: Vec::new() };
    walk.item((0, ""), 0)?;
    if walk.at == body.len() { Ok(walk.values) } else { Err(Unreadable::Syntax) }
}

/// A text as one item (§3.1, major type 3).
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    let length = text.len();
    match u16::try_from(length) {
        Ok(short @ 0..=23) => out.push(TEXT << 5 | short.to_le_bytes()[0]),
        Ok(short @ 24..=255) => out.extend([TEXT << 5 | 24, short.to_le_bytes()[0]]),
        Ok(short) => {
            out.push(TEXT << 5 | 25);
            out.extend(short.to_be_bytes());
        }
        Err(_) => {
            out.push(TEXT << 5 | 27);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(text.as_bytes());
}

/// The head of an item: its major type, the low bits of its first byte, and its argument (`None`: of no told length).
struct Head {
    major: u8,
    low: u8,
    argument: Option<u64>,
}

impl<'a> Walk<'a> {
    fn take(&mut self, length: u64) -> Result<&'a [u8], Unreadable> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let bytes = end.and_then(|end| self.whole.get(self.at..end)).ok_or(Unreadable::Syntax)?;
        self.at += bytes.len();
        Ok(bytes)
    }

    fn head(&mut self) -> Result<Head, Unreadable> {
        let first = self.take(1)?[0];
        let (major, low) = (first >> 5, first & 31);
        let argument = match low {
            0..=23 => Some(u64::from(low)),
            24..=27 => Some(self.take(1 << (low - 24))?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))),
            31 if matches!(major, 2..=5) => None,
            _ => return Err(Unreadable::Syntax),
        };
        Ok(Head { major, low, argument })
    }

    fn ends(&mut self) -> bool {
        let ends = self.whole.get(self.at) == Some(&BREAK);
        self.at += usize::from(ends);
        ends
    }

    fn item(&mut self, (parent, name): (usize, &str), depth: usize) -> Result<(), Unreadable> {
        if depth > MAX_DEPTH || self.values.len() > MAX_VALUES {
            return Err(Unreadable::TooMuch);
        }
        let from = self.at;
        let head = self.head()?;
        match (head.major, head.argument) {
            (0, Some(number)) => self.push((parent, name), from, number.to_string()),
            (1, Some(_)) => {}
            (2, _) => drop(self.string(&head)?),
            (TEXT, _) => {
                let text = String::from_utf8(self.string(&head)?).map_err(|_| Unreadable::Syntax)?;
                self.push((parent, name), from, text);
            }
            (4, length) => self.each(length, |walk| walk.item((parent, name), depth + 1))?,
            (5, length) => {
                self.maps += 1;
                let this = self.maps;
                self.each(length, |walk| walk.member(this, depth))?;
            }
            // A tag: of times, the number within counts.
            (6, Some(_)) => self.item((parent, name), depth + 1)?,
            (7, Some(bits)) if head.low == 27 => self.push((parent, name), from, f64::from_bits(bits).to_string()),
            (7, Some(bits)) if head.low == 26 => {
                let bits = u32::try_from(bits).map_err(|_| Unreadable::Syntax)?;
                self.push((parent, name), from, f32::from_bits(bits).to_string());
            }
            (7, Some(_)) => {}
            _ => return Err(Unreadable::Syntax),
        }
        Ok(())
    }

    fn member(&mut self, map: usize, depth: usize) -> Result<(), Unreadable> {
        let head = self.head()?;
        if head.major != TEXT {
            return Err(Unreadable::Syntax);
        }
        let name = String::from_utf8(self.string(&head)?).map_err(|_| Unreadable::Syntax)?;
        self.item((map, &name.to_ascii_lowercase()), depth + 1)
    }

    fn each(
        &mut self,
        length: Option<u64>,
        mut one: impl FnMut(&mut Self) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        match length {
            // Every item has a byte at least, so a length that lies ends with the bytes.
            Some(length) => (0..length).try_for_each(|_| one(self)),
            None => {
                while !self.ends() {
                    one(self)?;
                }
                Ok(())
            }
        }
    }

    /// The content of a string, whole or in pieces (§3.2.3).
    fn string(&mut self, head: &Head) -> Result<Vec<u8>, Unreadable> {
        if let Some(length) = head.argument {
            return self.take(length).map(<[u8]>::to_vec);
        }
        let mut whole = Vec::new();
        while !self.ends() {
            let piece = self.head()?;
            let length = piece.argument.filter(|_| piece.major == head.major).ok_or(Unreadable::Syntax)?;
            whole.extend_from_slice(self.take(length)?);
        }
        Ok(whole)
    }

    fn push(&mut self, (parent, name): (usize, &str), from: usize, text: String) {
        self.values.push(Value { parent, name: name.to_owned(), text: Secret::new(text), at: from..self.at });
    }
}
