//! The proxy on loopback: a program on one side, a destination on the other, and a lessor that tests can turn.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bodies;
mod calls;
mod chain;
mod changing;
mod destination;
mod egress;
mod events;
mod faults;
mod http2;
mod interim;
mod lines;
mod passing;
mod patience;
mod pinning;
mod program;
mod rates;
mod records;
mod refusals;
mod shared;
mod smuggling;
mod socks;
mod stage;
mod tunnels;
mod vitals;
mod websockets;
