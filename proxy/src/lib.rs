//! The sidecar: every outbound call, from the program's socket to the cloud.
//!
//! ```text
//! accept → intercept → classify → identify → lease (authorise + credential) → sign → forward → record
//! ```
//!
//! It decides nothing and keeps no credential: [`lease`] does, and what is lent there proves that it may be used.
//! What is not a call to a cloud goes through as it came, and is counted.

mod proxy;

mod control;
mod succession;

mod authority;
mod program;

mod app;
mod client;
mod egress;
mod rates;

mod accept;
mod asked;
mod destination;
mod distrust;
mod echo;
mod hello;
mod intercept;
mod meeting;
mod pipe;
mod redirect;
mod shared;
pub mod socks;
mod socks_entrance;
mod tunnel;
mod words;

mod ahead;
mod arriving;
mod connection;
mod form;
mod framing;
mod guard;
mod head;
mod ledger;
mod pour;
mod protocol;
mod silence;
mod streams;

mod pipeline;

mod aim;
mod classify;
mod derive;
mod expect;
mod holding;
mod identify;
mod interim;
mod sign;
mod skews;
mod standing;

mod answer;
mod body;
mod hop;
mod switched;
mod upstream;

mod refuse;
mod trouble;

mod access_log;
mod flood;
mod ids;
mod metrics;
mod record;
mod reporter;
mod vitals;

pub use authority::{AuthorityError, authority};
pub use control::{Change, Control};
pub use metrics::Metrics;
pub use program::{Inherited, ProgramError};
pub use proxy::{BindError, Parts, Proxy};
pub use shared::AppCredential;
pub use succession::stand_ins;
pub use vitals::Vitals;
