//! Asking for, remembering and giving up temporary credentials.
//!
//! [`Lessor`] is the seam between whoever countersigns and whoever lends; [`Leases`] remembers what was lent, and
//! [`DerivedCredentials`] what a cloud gave to calls that were made with it.

mod book;
mod lessor;
mod recalled;

mod follow;
mod leases;
mod tally;

mod derived;
mod sign_ins;

pub use derived::{AnothersCredential, Derived, DerivedCredentials, Owner};
pub use follow::follow;
pub use leases::Leases;
pub use lessor::{Ask, Lessor, Need, ReportError};
pub use recalled::{Heard, Position, Recalled};
pub use sign_ins::{SignInToken, SignInTokens};
pub use tally::Tally;
