//! Where a request wants to go, and whether it may.

pub(crate) mod aim;
pub(crate) mod destination;
pub(crate) mod egress;
