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
mod rates;
mod vitals;

mod entrances;
mod pipeline;

mod calls;
mod places;

mod answers;
mod upstream;

mod books;
mod wire;

pub use authority::{AuthorityError, authority};
pub use books::metrics::Metrics;
pub use control::{Change, Control};
pub use entrances::shared::AppCredential;
pub use program::{Inherited, ProgramError};
pub use proxy::{BindError, Parts, Proxy};
pub use succession::stand_ins;
pub use vitals::Vitals;
pub use wire::{framing, socks};
