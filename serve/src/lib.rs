//! How our servers run: listen, TLS, drain, health, numbers, logs. Nothing here knows what is served.
//!
//! The contract of stopping: [`Shutdown::begin`] → listeners stop accepting → what runs finishes →
//! after the grace it is cut. A second signal exits at once.

mod shutdown;

mod listen;
mod tls;

mod http;

mod health;
pub mod metrics;
mod telemetry;

pub use health::{Checking, Finding, Health};
pub use http::{HEAD_TIMEOUT, router};
pub use listen::{Accepted, BindError, Listener, Wanted};
pub use shutdown::{Drained, Hangups, Shutdown, Stops};
pub use telemetry::{InvalidFilter, Log, LogFormat, telemetry};
pub use tls::{TlsError, server_config, server_config_with_clients};
