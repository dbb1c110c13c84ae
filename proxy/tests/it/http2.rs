//! HTTP/2 on both sides.

mod chosen;
mod destination;
mod flow;
mod hostile;
mod program;
mod retried;
mod sockets;
mod streamed;

pub(crate) use destination::localhost;
