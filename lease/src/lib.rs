//! Asking for, remembering and giving up temporary credentials.
//!
//! [`Lessor`] is the seam between whoever countersigns and whoever lends; [`Leases`] remembers what was lent.

mod book;
mod lessor;

mod leases;
mod tally;

pub use leases::Leases;
pub use lessor::{Ask, Lessor, ReportError};
pub use tally::Tally;
