//! HTTP and its neighbours as bytes: read, judged, held, poured. Knows no cloud, no caller and no rule.

pub(crate) mod ahead;
pub(crate) mod arriving;
pub(crate) mod aside;
pub(crate) mod body;
pub(crate) mod expect;
pub mod framing;
pub(crate) mod guard;
pub(crate) mod head;
pub(crate) mod hello;
pub(crate) mod holding;
pub(crate) mod hop;
pub(crate) mod interim;
pub(crate) mod ledger;
pub(crate) mod lent;
pub(crate) mod pipe;
pub(crate) mod pour;
pub(crate) mod protocol;
pub(crate) mod silence;
pub mod socks;
