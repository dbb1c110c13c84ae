//! Flaws that only follow from others are not told: whoever mends the first mends them too.

use crate::document::{Document, NodeId};
use crate::finding::{Code, Severity};
use crate::flaw::Flaw;

/// Drops what only follows from other flaws.
pub(crate) fn silence(document: &Document, flaws: &mut Vec<Flaw>) {
    let later: Vec<NodeId> =
        flaws.iter().filter(|flaw| flaw.wrong.code == Code::NotYet).map(|flaw| flaw.node).collect();
    flaws.retain(|flaw| flaw.wrong.code == Code::NotYet || !follows_from_later(document, flaw, &later));
    let misread = flaws.iter().any(|flaw| keeps_uses_unread(flaw.wrong.code));
    flaws.retain(|flaw| !(misread && flaw.wrong.code.severity() == Severity::Warning));
}

/// A thing of a kind to come has keys to come; and a key to come stands for one that is missing.
fn follows_from_later(document: &Document, flaw: &Flaw, later: &[NodeId]) -> bool {
    later.iter().any(|later| match document.parent(*later) {
        Some(map) if document.is_key(*later) => flaw.node == map && flaw.wrong.code == Code::MissingKey,
        Some(map) => flaw.node == map || document.is_inside(flaw.node, map),
        None => false,
    })
}

/// Whether it is unknown what is used, because something that may use it could not be read.
const fn keeps_uses_unread(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownKey | Code::MissingKey | Code::WrongType | Code::NoSuchName | Code::NotYet | Code::Duplicate
    )
}
