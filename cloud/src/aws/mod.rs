//! Amazon Web Services: what a request would do, and how it is signed.

pub mod authorization;
pub mod endpoints;
pub mod partition;

pub mod placeholder;
pub mod verify;

pub mod key;
pub mod host;
pub mod payload;
pub mod sign;
pub mod strip;
pub mod uri;

pub mod body;
pub mod chain;
pub mod chunk;
pub mod digest;

mod endpoint_rules;

mod canonical;
mod date;
mod trailer;
