//! The identity broker: sources, decisions, tokens, exchange, audit.
//!
//! ```text
//! store → audit → tokens, sources → exchange, issuer, scim → broker
//! ```
//!
//! An arrow reads "is used by", and none points back. [`Broker`] is what others hold: it lends
//! ([`lease::Lessor`]), its [`issuer`] tells clouds with which keys it signs, its [`audit`] book tells people what it
//! lent and what it refused.

mod store;

pub mod audit;

mod outbound;
mod sources;
mod tokens;

pub mod directory;
mod exchange;
pub mod issuer;
pub mod scim;

mod broker;

pub mod api;
pub mod http;
mod scribe;

pub use broker::{Broker, NotReady, OpenError, Prepared};
pub use exchange::{Narrowed, narrowed};
pub use outbound::OutboundError;
pub use sources::{Once, SourceState, Sources, SourcesError, State, Verified};
pub use store::{Organisation, StoreError};
pub use tokens::{KeysError, PlanError, SealError};
