//! The private certificate authority: root, leaves, trust stores.
//!
//! ```text
//! Root (loaded or generated) --> Mint --> Leaves (cached by name) --> ServerTls (what a connection is accepted with)
//! Bundle (system roots and the user's own) + Root --> TrustFiles --> the variables a child program reads
//! ```
//!
//! A root that we generate may sign only for the hosts it was generated for, and says so in a critical extension.
//! Its private key cannot be read out of a [`Root`]: there is no function for it. The time is always an argument.

mod anchor;
mod host;
mod key;
mod profile;
mod scope;

mod leaf;
mod resolver;
mod root;
mod tls;

mod bundle;
mod file;
mod java;
mod subject;
mod trust;
mod variables;

#[cfg(test)]
mod stage;

pub use bundle::{Bundle, BundleError};
pub use host::{Host, InvalidHost};
pub use java::JavaStoreError;
pub use leaf::{Leaf, LeafError, Mint};
pub use profile::Unusable;
pub use resolver::{Clock, LeafCounts, Leaves};
pub use root::{Root, RootError};
pub use scope::{EmptyScope, Scope};
pub use subject::subject_names;
pub use tls::{ServerTls, TlsError};
pub use trust::{TrustError, TrustFiles};
pub use variables::{inherited, variables, where_set};
