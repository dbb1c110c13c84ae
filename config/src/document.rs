//! YAML as a tree of nodes that know where they stand.
//!
//! The parser's events become nodes in one vector; a node's id is its index. An alias is the id of what it stands
//! for, so that it costs nothing here; what it would cost whoever walks the tree is counted against [`MAX_NODES`].

mod build;

use std::ops::Range;

use crate::finding::Code;

/// Largest file: a thousand times the length of a config that a person writes.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;
/// Deepest nesting; ours is 7 levels deep.
const MAX_DEPTH: usize = 32;
/// Most nodes, each alias counted with all that it stands for: ten aliases of ten aliases … end here.
const MAX_NODES: usize = 100_000;

/// A node of a [`Document`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(pub(crate) u32);

/// What a node is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Text, a number, a truth value or nothing: see [`Scalar`].
    Scalar { text: String, plain: bool },
    /// A sequence.
    List(Vec<NodeId>),
    /// A mapping, in the order in which it is written; no key twice.
    Map(Vec<(NodeId, NodeId)>),
}

/// What a scalar is under the core schema (YAML 1.2.2 §10.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Null,
    Flag(bool),
    /// A whole number that is not negative and fits.
    Number(u64),
    /// A number that we have no use for: negative, too large, or with a fraction.
    OtherNumber,
    Text,
}

/// Where a node hangs.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// It is the value of this key, or the key.
    Key(NodeId),
    Index(usize),
}

#[derive(Debug)]
struct Node {
    kind: Kind,
    span: Range<usize>,
    within: Option<(NodeId, Step)>,
}

/// A YAML document.
#[derive(Debug)]
pub(crate) struct Document {
    nodes: Vec<Node>,
    root: NodeId,
    /// Bytes of values whose keys stood there already.
    dropped: Vec<Range<usize>>,
}

/// Something wrong with the YAML itself.
#[derive(Debug)]
pub(crate) struct Malformed {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) help: Option<&'static str>,
    /// Bytes of the text.
    pub(crate) span: Range<usize>,
}

impl Document {
    /// Reads the only document of `text`. Duplicate keys do not stop it: the first counts, the others are reported.
    pub(crate) fn parse(text: &str) -> Result<(Self, Vec<Malformed>), Malformed> {
        build::document(text)
    }

    pub(crate) const fn root(&self) -> NodeId {
        self.root
    }

    pub(crate) fn kind(&self, id: NodeId) -> &Kind {
        &self.node(id).kind
    }

    /// The text of a scalar, empty for anything else.
    pub(crate) fn text(&self, id: NodeId) -> &str {
        match self.kind(id) {
            Kind::Scalar { text, .. } => text,
            Kind::List(_) | Kind::Map(_) => "",
        }
    }

    /// What to point at for a node: a scalar itself, and for a list or a map the key that it stands under.
    pub(crate) fn pointing_at(&self, id: NodeId) -> Range<usize> {
        let node = self.node(id);
        match (&node.kind, node.within) {
            (Kind::List(_) | Kind::Map(_), Some((_, Step::Key(key)))) => self.node(key).span.clone(),
            _ => node.span.clone(),
        }
    }

    /// All bytes of a node, what is inside included.
    pub(crate) fn whole(&self, id: NodeId) -> Range<usize> {
        let span = &self.node(id).span;
        let inside = match self.kind(id) {
            Kind::Scalar { .. } => None,
            Kind::List(items) => items.last().copied(),
            Kind::Map(entries) => entries.last().map(|(_, value)| *value),
        };
        // An alias may stand for what is elsewhere: it is never earlier than its node here.
        span.start..inside.map_or(span.end, |last| self.whole(last).end.max(span.end))
    }

    /// Bytes of values that are no part of the tree: their keys stood there already.
    pub(crate) fn dropped(&self) -> &[Range<usize>] {
        &self.dropped
    }

    pub(crate) fn is_scalar(&self, id: NodeId) -> bool {
        matches!(self.kind(id), Kind::Scalar { .. })
    }

    /// The value of a node that is a key.
    pub(crate) fn value_of(&self, key: NodeId) -> Option<NodeId> {
        let Kind::Map(entries) = self.kind(self.parent(key)?) else { return None };
        entries.iter().find(|(id, _)| *id == key).map(|(_, value)| *value)
    }

    /// The map or list that a node stands in.
    pub(crate) fn parent(&self, id: NodeId) -> Option<NodeId> {
        self.node(id).within.map(|(parent, _)| parent)
    }

    /// Whether a node is inside another, at any depth.
    pub(crate) fn is_inside(&self, id: NodeId, outer: NodeId) -> bool {
        std::iter::successors(self.parent(id), |parent| self.parent(*parent)).any(|parent| parent == outer)
    }

    /// Whether the node is the key of an entry.
    pub(crate) fn is_key(&self, id: NodeId) -> bool {
        matches!(self.node(id).within, Some((_, Step::Key(key))) if key == id)
    }

    /// The way from the root: `grants[1].to`.
    pub(crate) fn path(&self, id: NodeId) -> String {
        let mut steps = Vec::new();
        let mut at = id;
        while let Some((parent, step)) = self.node(at).within {
            steps.push(step);
            at = parent;
        }
        let mut path = String::new();
        for step in steps.into_iter().rev() {
            match step {
                Step::Index(index) => path.push_str(&format!("[{index}]")),
                Step::Key(key) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(&quoted_if_needed(self.text(key)));
                }
            }
        }
        path
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }
}

/// Longest key that a path shows in full.
const MAX_SHOWN_KEY: usize = 80;

fn quoted_if_needed(key: &str) -> String {
    let simple = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(simple) && key.len() <= MAX_SHOWN_KEY {
        return key.to_owned();
    }
    shown(key)
}

/// A text from the file as messages show it: in quotes, control characters escaped, not endless.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN_KEY) {
        None => format!("{text:?}"),
        Some((cut, _)) => format!("{:?}", format!("{}…", &text[..cut])),
    }
}

/// Resolves a scalar. Only plain ones can be anything but text.
pub(crate) fn resolve(text: &str, plain: bool) -> Scalar {
    if !plain {
        return Scalar::Text;
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "true" | "True" | "TRUE" => Scalar::Flag(true),
        "false" | "False" | "FALSE" => Scalar::Flag(false),
        _ if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().map_or(Scalar::OtherNumber, Scalar::Number),
        _ if is_other_number(text) => Scalar::OtherNumber,
        _ => Scalar::Text,
    }
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`, and the hexadecimal, octal and endless ones.
fn is_other_number(text: &str) -> bool {
    let radix = |prefix: &str, radix: u32| {
        text.strip_prefix(prefix).is_some_and(|d| !d.is_empty() && d.chars().all(|c| c.is_digit(radix)))
    };
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let starts_as_one = unsigned.starts_with(|c: char| c.is_ascii_digit())
        || unsigned.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let endless = [".inf", ".Inf", ".INF"].contains(&unsigned) || [".nan", ".NaN", ".NAN"].contains(&text);
    radix("0x", 16) || radix("0o", 8) || endless || (starts_as_one && text.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Document {
        Document::parse(text).expect("YAML").0
    }

    fn refused(text: &str) -> Code {
        Document::parse(text).expect_err("not acceptable").code
    }

    #[test]
    fn scalars_resolve_as_the_core_schema_says() {
        for text in ["1e3", "-1", "+1", ".5", "1.", "0x1F", "0o17", ".inf", "-.INF", ".nan", "99999999999999999999"] {
            assert_eq!(resolve(text, true), Scalar::OtherNumber, "{text}");
        }
        for text in ["yes", "09:00", "1h", "0x", "inf", "nan", "1_000", "e3", ".", "-", "mon-fri"] {
            assert_eq!(resolve(text, true), Scalar::Text, "{text}");
        }
        assert_eq!(resolve("012345678901", true), Scalar::Number(12_345_678_901));
        assert_eq!(resolve("true", false), Scalar::Text);
    }

    #[test]
    fn a_path_names_keys_and_places_in_lists() {
        let document = read("a:\n  - b: 1\n    \"*.c\": 2\n");
        let Kind::Map(top) = document.kind(document.root()) else { panic!("a map") };
        let Kind::List(items) = document.kind(top[0].1) else { panic!("a list") };
        let Kind::Map(inner) = document.kind(items[0]) else { panic!("a map") };
        assert_eq!(document.path(inner[0].1), "a[0].b");
        assert_eq!(document.path(inner[1].0), "a[0].\"*.c\"");
        assert!(document.is_key(inner[1].0) && !document.is_key(inner[1].1));
    }

    #[test]
    fn aliases_that_multiply_are_refused_before_they_do() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..8 {
            let alias = format!("*a{}", level - 1);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", ")));
        }
        assert_eq!(refused(&text), Code::TooLarge);
    }

    #[test]
    fn an_alias_of_what_it_stands_in_is_refused() {
        assert_eq!(refused("a: &a [*a]\n"), Code::TooLarge);
    }

    #[test]
    fn nesting_without_end_is_refused() {
        assert_eq!(refused(&"[".repeat(100_000)), Code::TooLarge);
        assert_eq!(refused(&"- ".repeat(50_000)), Code::TooLarge);
    }

    #[test]
    fn a_second_document_a_tag_and_an_empty_file_are_refused() {
        assert_eq!(refused("a: 1\n---\nb: 2\n"), Code::Syntax);
        assert_eq!(refused("a: !!binary aGk=\n"), Code::Syntax);
        assert_eq!(refused("# only a comment\n"), Code::Syntax);
        assert_eq!(refused("[a, b]: c\n"), Code::Syntax);
        assert_eq!(refused("a: *nowhere\n"), Code::Syntax);
    }

    #[test]
    fn of_a_key_that_stands_twice_the_first_counts_and_the_second_is_reported() {
        let (document, malformed) = Document::parse("a: 1\na: 2\n").expect("YAML");
        let Kind::Map(entries) = document.kind(document.root()) else { panic!("a map") };
        assert_eq!((entries.len(), document.text(entries[0].1)), (1, "1"));
        assert_eq!((malformed.len(), malformed[0].code, malformed[0].span.clone()), (1, Code::Duplicate, 5..6));
    }
}
