//! What single values mean: durations, sizes, days, role ARNs, addresses.

pub(crate) mod action;
pub(crate) mod address;
pub(crate) mod arn;
pub(crate) mod duration;
pub(crate) mod place;
pub(crate) mod postgres;
pub(crate) mod service;
pub(crate) mod size;
pub(crate) mod week;
