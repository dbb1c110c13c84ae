//! Reads raw structs out of a [`Document`], and goes on after what is wrong.
//!
//! It is a `serde::Deserializer`, so that one derived struct is both what is read and what the JSON Schema says.
//! Three things make it go on: [`At`](crate::at::At) contains failures; a struct is handed *all* its fields, those
//! that are missing too; and unknown keys are reported from the list of fields that serde passes, then left out.
//!
//! An enum stands for alternatives: its variants are named for kinds of nodes (`$text`, `$number`, `$flag`, `$list`,
//! `$map`), and the node's kind chooses, so there is never a guess and never a lost position.

mod access;

use std::cell::RefCell;
use std::fmt;

use serde::Deserialize;

use crate::document::{Document, Kind, NodeId, Scalar, resolve, shown};
use crate::finding::Code;
use crate::flaw::{Flaw, Wrong};
use crate::later;
use crate::nearest::{did_you_mean, nearest};

/// The newtype name under which [`At`](crate::at::At) asks for node and value.
pub(crate) const AT: &str = "$at";
/// The newtype name of what must be `${env:…}` or `${file:…}`.
const REFERENCE: &str = "Reference";

/// What was read, and what is wrong with it.
pub(crate) struct Read<T> {
    pub(crate) value: Option<T>,
    pub(crate) flaws: Vec<Flaw>,
}

/// Reads a `T` from the whole document.
pub(crate) fn read<'d, T: Deserialize<'d>>(document: &'d Document) -> Read<T> {
    let reader = Reader { document, flaws: RefCell::default() };
    let value = T::deserialize(Cursor { reader: &reader, what: What::Node(document.root()) });
    let value = value.map_err(|refused| reader.report(refused, document.root())).ok();
    Read { value, flaws: reader.flaws.into_inner() }
}

struct Reader<'d> {
    document: &'d Document,
    flaws: RefCell<Vec<Flaw>>,
}

/// The answer to whoever asked for what is not there; `None` if the flaw is already in the list.
#[derive(Debug)]
struct Refused(Option<Wrong>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref().map_or("reported", |wrong| &wrong.message))
    }
}

impl std::error::Error for Refused {}

impl serde::de::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Some(Wrong::value(message)))
    }
}

impl Reader<'_> {
    fn flaw(&self, node: NodeId, wrong: Wrong) {
        self.flaws.borrow_mut().push(wrong.at(node));
    }

    fn report(&self, refused: Refused, node: NodeId) {
        if let Some(wrong) = refused.0 {
            self.flaw(node, wrong);
        }
    }
}

#[derive(Clone, Copy)]
enum What {
    Node(NodeId),
    /// A field that is not written, and the map in which it is not.
    Missing(NodeId, &'static str),
    /// The same, but a key that was reported is most likely meant to be it.
    Misspelt(NodeId),
}

#[derive(Clone, Copy)]
struct Cursor<'r, 'd> {
    reader: &'r Reader<'d>,
    what: What,
}

impl<'r, 'd> Cursor<'r, 'd> {
    const fn to(self, node: NodeId) -> Self {
        Self { reader: self.reader, what: What::Node(node) }
    }

    /// The node to read; a field that is missing is reported when something asks for its value.
    fn node(self) -> Result<NodeId, Refused> {
        match self.what {
            What::Node(node) => Ok(node),
            What::Missing(within, field) => {
                Err(self.refuse(within, Wrong::new(Code::MissingKey, format!("`{field}` is missing here"))))
            }
            What::Misspelt(_) => Err(Refused(None)),
        }
    }

    fn refuse(self, node: NodeId, wrong: Wrong) -> Refused {
        self.reader.flaw(node, wrong);
        Refused(None)
    }

    fn kind(self, node: NodeId) -> &'d Kind {
        self.reader.document.kind(node)
    }

    fn other_type(self, node: NodeId, expected: &str) -> Refused {
        let kind = self.kind(node);
        let wrong = Wrong::new(Code::WrongType, format!("expected {expected}, found {}", described(kind)));
        self.refuse(node, wrong.maybe_help(type_help(kind, expected)))
    }

    fn scalar(self, node: NodeId, expected: &str) -> Result<(&'d str, Scalar), Refused> {
        match self.kind(node) {
            Kind::Scalar { text, plain } => Ok((text, resolve(text, *plain))),
            Kind::List(_) | Kind::Map(_) => Err(self.other_type(node, expected)),
        }
    }

    fn text(self, node: NodeId) -> Result<&'d str, Refused> {
        match self.scalar(node, "text")? {
            (text, Scalar::Text) if has_reference(text) => {
                let wrong =
                    Wrong::new(Code::MisplacedReference, format!("{} stands where no secret does", shown(text)));
                Err(self.refuse(node, wrong.help("write the value itself; references are for keys and passwords")))
            }
            (text, Scalar::Text) => Ok(text),
            _ => Err(self.other_type(node, "text")),
        }
    }

    /// A reference to a secret. A literal one is refused and not repeated.
    fn reference(self, node: NodeId) -> Result<&'d str, Refused> {
        let text = self.reader.document.text(node);
        if is_reference(text) {
            return Ok(text);
        }
        let wrong = Wrong::new(Code::LiteralSecret, "a secret must not stand in the config");
        Err(self.refuse(node, wrong.help("put it in a variable or a file and write ${env:NAME} or ${file:PATH}")))
    }

    /// The fields of a struct, in the order of the file, then those that are not written.
    fn fields(self, node: NodeId, (shape, known): (&str, &'static [&'static str])) -> Result<Vec<Field>, Refused> {
        let Kind::Map(entries) = self.kind(node) else { return Err(self.other_type(node, "a map")) };
        let document = self.reader.document;
        let mut fields = Vec::with_capacity(known.len());
        let mut misspelt = Vec::new();
        for &(key, value) in entries {
            let name = document.text(key);
            if let Some(field) = known.iter().find(|known| **known == name) {
                fields.push((*field, What::Node(value)));
            } else {
                misspelt.extend(nearest(name, known.iter().copied()));
                self.reader.flaw(key, unknown_key(shape, name, known));
            }
        }
        let missing = known.iter().filter(|known| !fields.iter().any(|(field, _)| field == *known));
        let missing = missing.map(|field| match misspelt.contains(field) {
            true => (*field, What::Misspelt(node)),
            false => (*field, What::Missing(node, field)),
        });
        let missing: Vec<_> = missing.collect();
        Ok(fields.into_iter().chain(missing).collect())
    }
}

type Field = (&'static str, What);

fn unknown_key(shape: &str, name: &str, known: &[&str]) -> Wrong {
    if let Some(wrong) = later::key(shape, name) {
        return wrong;
    }
    let wrong = Wrong::new(Code::UnknownKey, format!("unknown key {}", shown(name)));
    if name == "<<" {
        return wrong.help("YAML 1.2 has no merge keys; write the keys out");
    }
    wrong.help(did_you_mean(name, known.iter().copied()))
}

/// Whether the whole text is one reference.
fn is_reference(text: &str) -> bool {
    (text.starts_with("${env:") || text.starts_with("${file:")) && text.find('}') == Some(text.len() - 1)
}

fn has_reference(text: &str) -> bool {
    text.contains("${env:") || text.contains("${file:")
}

fn described(kind: &Kind) -> String {
    let Kind::Scalar { text, plain } = kind else {
        return if matches!(kind, Kind::List(_)) { "a list".to_owned() } else { "a map".to_owned() };
    };
    match resolve(text, *plain) {
        Scalar::Null => "nothing".to_owned(),
        Scalar::Flag(flag) => flag.to_string(),
        Scalar::Number(_) | Scalar::OtherNumber => format!("the number {text}"),
        Scalar::Text => format!("the text {}", shown(text)),
    }
}

fn type_help(kind: &Kind, expected: &str) -> Option<String> {
    let Kind::Scalar { text, plain } = kind else { return None };
    match (resolve(text, *plain), expected) {
        (Scalar::Null, _) => Some("write a value, or take the key out".to_owned()),
        (Scalar::Number(_) | Scalar::OtherNumber | Scalar::Flag(_), "text") => {
            Some(format!("put it in quotes: \"{text}\""))
        }
        (Scalar::Text, "true or false") => Some("YAML 1.2 knows only true and false, without quotes".to_owned()),
        (Scalar::Text, "a list") => Some(format!("write it as a list: [{}]", shown(text))),
        _ => None,
    }
}
