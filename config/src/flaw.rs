//! A finding before its place is worked out: it knows the node, not yet the line.

use std::fmt;

use crate::document::NodeId;
use crate::finding::Code;

/// Why a value is not what it should be; whoever knows where it stands makes a [`Flaw`] of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Wrong {
    pub(crate) fn new(code: Code, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string(), help: None }
    }

    /// The right type, but not what is expected.
    pub(crate) fn value(message: impl fmt::Display) -> Self {
        Self::new(Code::BadValue, message)
    }

    pub(crate) fn help(mut self, help: impl fmt::Display) -> Self {
        self.help = Some(help.to_string());
        self
    }

    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    pub(crate) const fn at(self, node: NodeId) -> Flaw {
        Flaw { node, wrong: self }
    }
}

/// What is wrong, and at which node.
#[derive(Debug, Clone)]
pub(crate) struct Flaw {
    pub(crate) node: NodeId,
    pub(crate) wrong: Wrong,
}
