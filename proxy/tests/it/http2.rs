//! HTTP/2 on both sides.

mod chosen;
mod destination;
mod flow;
mod hostile;
pub(crate) mod program;
mod retried;
mod sockets;
mod streamed;

pub(crate) use destination::{Asked, Destination, localhost};
