//! The proxy on loopback: a program on one side, a destination on the other, and a lessor that tests can turn.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bodies;
mod calls;
mod destination;
mod events;
mod http2;
mod lines;
mod passing;
mod program;
mod records;
mod refusals;
mod smuggling;
mod stage;
mod tunnels;
