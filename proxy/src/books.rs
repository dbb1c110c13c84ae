//! What is told of each request: to the audit book, to the access log, to the counters.

pub(crate) mod access_log;
pub(crate) mod flood;
pub(crate) mod ids;
pub(crate) mod metrics;
pub(crate) mod record;
pub(crate) mod reporter;
pub(crate) mod telling;
