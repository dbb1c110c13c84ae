//! The stage: everything around the product, on loopback, and nothing of the product itself.
//!
//! A cluster that issues tokens, a cloud that verifies every signature, a program that knows nothing but a proxy, a CA
//! file and placeholder keys; all of them written from the specifications, so that a mistake of ours is not shared by
//! what judges it. [`world::World`] puts the product between them.

pub(crate) mod certificates;
pub(crate) mod clock;
pub(crate) mod faults;
pub(crate) mod log;
pub(crate) mod served;
pub(crate) mod wire;

pub(crate) mod events;
pub(crate) mod jwt;
pub(crate) mod payload;
pub(crate) mod posting;
pub(crate) mod presigning;
pub(crate) mod sigv4;
pub(crate) mod sigv4a;

pub(crate) mod cloud;
pub(crate) mod cluster;
pub(crate) mod collector;
pub(crate) mod origin;
pub(crate) mod product;
pub(crate) mod program;
pub(crate) mod refusal;
pub(crate) mod streams;
pub(crate) mod temporary;
pub(crate) mod watch;
pub(crate) mod world;
