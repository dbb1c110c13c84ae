//! HTTP/2 on both sides.

mod chosen;
mod destination;
mod flow;
mod frames;
mod hostile;
mod leaving;
pub(crate) mod program;
mod retried;
mod sockets;
mod streamed;

pub(crate) use destination::{Asked, Destination, localhost};
