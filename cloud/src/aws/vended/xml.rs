//! The values of an XML answer: what stands in elements that hold text alone.

use access::Secret;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::{MAX_DEPTH, MAX_VALUES, Unreadable, Value};
use crate::aws::sts_answer::resolve;

/// An element that is open.
struct Open {
    number: usize,
    name: String,
    /// Where its content begins.
    from: usize,
    text: String,
    has_children: bool,
}

pub(super) fn values(body: &[u8]) -> Result<Vec<Value>, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::Syntax)?;
    let mut reader = Reader::from_str(text);
    let (mut open, mut values, mut elements) = (Vec::<Open>::new(), Vec::new(), 0);
    loop {
        let before = position(&reader)?;
        match reader.read_event().map_err(|_| Unreadable::Syntax)? {
            Event::Start(start) => {
                elements += 1;
                if let Some(parent) = open.last_mut() {
                    parent.has_children = true;
                }
                let name = start.local_name().into_inner().to_ascii_lowercase();
                let from = position(&reader)?;
                open.push(Open { number: elements, name, from, text: String::new(), has_children: false });
            }
            Event::End(_) => {
                let Open { name, from, text, has_children, .. } = open.pop().ok_or(Unreadable::Syntax)?;
                if !has_children {
                    let parent = open.last().map_or(0, |around| around.number);
                    values.push(Value { parent, name, text: Secret::new(text), at: from..before });
                }
            }
            Event::Text(part) => append(&mut open, &part.xml10_content()),
            Event::CData(part) => append(&mut open, &part.xml10_content()),
            Event::GeneralRef(reference) => {
                let character = resolve(&reference).ok_or(Unreadable::Syntax)?;
                append(&mut open, character.encode_utf8(&mut [0; 4]));
            }
            // Nobody needs entities of a document's own, and they are how XML readers are attacked. A comment within a
            // value would be two values to some.
            Event::DocType(_) => return Err(Unreadable::Syntax),
            Event::Comment(_) | Event::PI(_) if open.len() > 1 => return Err(Unreadable::Syntax),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
        if open.len() > MAX_DEPTH || values.len() > MAX_VALUES {
            return Err(Unreadable::TooMuch);
        }
    }
    if open.is_empty() && elements > 0 { Ok(values) } else { Err(Unreadable::Syntax) }
}

fn append(open: &mut [Open], part: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(part);
    }
}

fn position(reader: &Reader<&[u8]>) -> Result<usize, Unreadable> {
    usize::try_from(reader.buffer_position()).map_err(|_| Unreadable::TooMuch)
}
