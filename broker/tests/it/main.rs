//! The broker as others use it: a real store, a real issuer of pod tokens and a real STS on loopback, a clock that is
//! turned by hand.

// Helpers of tests may unwrap as tests may: clippy knows them by this.
#![cfg(test)]

mod api;
mod audit;
mod directory;
mod keys;
mod kinds;
mod lend;
mod scim;
mod sources;
mod stage;
mod standing;
mod stores;
