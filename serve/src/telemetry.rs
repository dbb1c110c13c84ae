//! Logs: structured, on stderr, because stdout carries only what was asked for.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, registry, reload};

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person.
    Human,
    /// One JSON object a line.
    Json,
}

/// What is to be logged cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no log filter")]
pub struct InvalidFilter(String, #[source] ParseError);

/// Changes what is logged.
#[derive(Debug, Clone)]
pub struct Log(reload::Handle<EnvFilter, Registry>);

impl Log {
    /// Logs by another filter from now on.
    pub fn set(&self, level: &str) -> Result<(), InvalidFilter> {
        if self.0.reload(filter(level)?).is_err() {
            tracing::debug!("logging has ended");
        }
        Ok(())
    }
}

/// Turns logging on for the process, at `level` (a `tracing` filter such as `info` or `proxy=debug`). Values that are
/// secret have no `Debug` that shows them (`access::Secret`), so there is nothing to redact here. Calling it twice keeps
/// the first.
pub fn telemetry(format: LogFormat, level: &str) -> Result<Log, InvalidFilter> {
    let (filter, handle) = reload::Layer::new(filter(level)?);
    // Colours are for terminals; in a file or a collector they are noise.
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let set = match format {
        LogFormat::Human => registry().with(filter).with(lines.with_target(false)).try_init(),
        LogFormat::Json => registry().with(filter).with(lines.json()).try_init(),
    };
    if let Err(error) = set {
        tracing::debug!(%error, "logging is on already");
    }
    Ok(Log(handle))
}

fn filter(level: &str) -> Result<EnvFilter, InvalidFilter> {
    EnvFilter::try_new(level).map_err(|error| InvalidFilter(level.to_owned(), error))
}
