//! Bodies that are signed piece by piece: what goes in verifies, what comes out verifies too, for any way that the bytes
//! arrive.

#![expect(clippy::unwrap_used, reason = "clippy knows test functions, not the functions that they share")]

mod chunks;
mod events;
mod peer;
