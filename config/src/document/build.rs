//! From the parser's events to nodes.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, options};

use super::{Document, Kind, MAX_DEPTH, MAX_NODES, Malformed, Node, NodeId, Step, shown};
use crate::finding::Code;

pub(super) fn document(text: &str) -> Result<(Document, Vec<Malformed>), Malformed> {
    let limits = options! {
        disallow_directives: true,
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder { text, ..Builder::default() };
    for event in Parser::new_from_str_with_options(text, limits) {
        let (event, span) = event.map_err(|error| unscannable(text, &error))?;
        builder.take(event, &span)?;
    }
    let nothing = || malformed(Code::Syntax, "the file says nothing", 0..0);
    let root = builder.root.ok_or_else(nothing)?;
    if matches!(&builder.nodes[root.0 as usize].kind, Kind::Scalar { text, plain: true } if text.is_empty()) {
        return Err(nothing());
    }
    Ok((Document { nodes: builder.nodes, root, dropped: builder.dropped }, builder.duplicates))
}

/// A list or map whose end has not come yet.
struct Open {
    id: NodeId,
    anchor: usize,
    /// The key whose value comes next.
    key: Option<NodeId>,
    /// Keys so far.
    keys: HashSet<String>,
    /// Whether the entry that is being read repeats a key.
    repeated: bool,
    /// Nodes inside, aliases counted with what they stand for.
    size: usize,
}

#[derive(Default)]
struct Builder<'t> {
    text: &'t str,
    nodes: Vec<Node>,
    open: Vec<Open>,
    /// Finished nodes that have an anchor, and their size.
    anchors: HashMap<usize, (NodeId, usize)>,
    /// Nodes so far, aliases counted with what they stand for.
    total: usize,
    root: Option<NodeId>,
    duplicates: Vec<Malformed>,
    /// Values of repeated keys.
    dropped: Vec<Range<usize>>,
    /// Where the last event ended.
    end: usize,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Malformed> {
        let bytes = self.bytes(span);
        self.end = bytes.end;
        if event.tag().is_some() {
            return Err(malformed(Code::Syntax, "tags (`!…`) mean nothing in a config", bytes));
        }
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let kind = Kind::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                let id = self.add(kind, bytes)?;
                self.anchors.insert(anchor, (id, 1));
                self.place(id, 1)
            }
            Event::SequenceStart(_, anchor, _) => self.start(Kind::List(Vec::new()), anchor, bytes),
            Event::MappingStart(_, anchor, _) => self.start(Kind::Map(Vec::new()), anchor, bytes),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, bytes),
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(malformed(Code::Syntax, "a config is one document; a second one starts here", bytes))
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, kind: Kind, anchor: usize, bytes: Range<usize>) -> Result<(), Malformed> {
        let id = self.add(kind, bytes)?;
        self.open.push(Open { id, anchor, key: None, keys: HashSet::new(), repeated: false, size: 1 });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Malformed> {
        let Some(done) = self.open.pop() else { return Ok(()) };
        self.anchors.insert(done.anchor, (done.id, done.size));
        self.place(done.id, done.size)
    }

    fn alias(&mut self, anchor: usize, bytes: Range<usize>) -> Result<(), Malformed> {
        let Some(&(id, size)) = self.anchors.get(&anchor) else {
            return Err(malformed(Code::TooLarge, "this alias stands inside what it stands for", bytes));
        };
        self.count(size, bytes.clone())?;
        // A key is one for its path and its place: an alias as a key is a node of its own.
        if self.awaits_key() {
            let Kind::Scalar { text, plain } = &self.nodes[id.0 as usize].kind else { return Err(odd_key(bytes)) };
            let copy = Kind::Scalar { text: text.clone(), plain: *plain };
            let id = self.add(copy, bytes)?;
            return self.place(id, 1);
        }
        self.place(id, size)
    }

    fn add(&mut self, kind: Kind, span: Range<usize>) -> Result<NodeId, Malformed> {
        self.count(1, span.clone())?;
        // `MAX_NODES` is far below what 32 bits count.
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(Node { kind, span, within: None });
        Ok(id)
    }

    fn count(&mut self, nodes: usize, at: Range<usize>) -> Result<(), Malformed> {
        self.total = self.total.saturating_add(nodes);
        if self.total > MAX_NODES {
            let message = format!("more than {MAX_NODES} values, aliases counted with what they stand for");
            return Err(malformed(Code::TooLarge, message, at));
        }
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        self.open.last().is_some_and(|open| {
            open.key.is_none() && !open.repeated && matches!(self.nodes[open.id.0 as usize].kind, Kind::Map(_))
        })
    }

    /// Puts a finished node where it belongs: at the root, into the open list, as a key or as a value.
    fn place(&mut self, id: NodeId, size: usize) -> Result<(), Malformed> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(id);
            return Ok(());
        };
        open.size = open.size.saturating_add(size);
        let parent = open.id;
        let step = match &mut self.nodes[parent.0 as usize].kind {
            Kind::List(items) => {
                items.push(id);
                Step::Index(items.len() - 1)
            }
            Kind::Map(_) if open.key.is_none() && !open.repeated => return self.key(id),
            Kind::Map(entries) => {
                let Some(key) = open.key.take() else {
                    open.repeated = false;
                    self.dropped.push(self.nodes[id.0 as usize].span.start..self.end);
                    return Ok(());
                };
                entries.push((key, id));
                Step::Key(key)
            }
            Kind::Scalar { .. } => return Ok(()),
        };
        // An aliased node keeps the place of its anchor: that is where it can be changed.
        self.nodes[id.0 as usize].within.get_or_insert((parent, step));
        Ok(())
    }

    fn key(&mut self, id: NodeId) -> Result<(), Malformed> {
        let node = &mut self.nodes[id.0 as usize];
        let span = node.span.clone();
        let (Kind::Scalar { text, .. }, Some(open)) = (&node.kind, self.open.last_mut()) else {
            return Err(odd_key(span));
        };
        if open.keys.insert(text.clone()) {
            node.within = Some((open.id, Step::Key(id)));
            open.key = Some(id);
        } else {
            let message = format!("the key {} stands here twice", shown(text));
            self.duplicates.push(malformed(Code::Duplicate, message, span));
            open.repeated = true;
        }
        Ok(())
    }

    fn bytes(&self, span: &Span) -> Range<usize> {
        span.byte_range().unwrap_or(self.text.len()..self.text.len())
    }
}

fn odd_key(span: Range<usize>) -> Malformed {
    malformed(Code::Syntax, "a key must be text", span)
}

fn malformed(code: Code, message: impl Into<String>, span: Range<usize>) -> Malformed {
    Malformed { code, message: message.into(), help: None, span }
}

fn unscannable(text: &str, error: &ScanError) -> Malformed {
    let marker = error.marker();
    let at = marker.byte_offset().or_else(|| text.char_indices().nth(marker.index()).map(|(byte, _)| byte));
    let at = at.unwrap_or(text.len());
    let code = match error.kind() {
        ErrorKind::RecursionLimitExceeded => Code::TooLarge,
        _ => Code::Syntax,
    };
    let line = text.get(..at).and_then(|before| before.rsplit('\n').next()).unwrap_or_default();
    let indent_has_tab = line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t');
    let help = indent_has_tab.then_some("YAML indents with spaces, never with tabs");
    Malformed { code, message: format!("this is not YAML: {}", error.info()), help, span: at..at }
}
