//! Asking for, remembering and giving up temporary credentials.

mod lessor;

pub use lessor::{Ask, Lessor, ReportError};
