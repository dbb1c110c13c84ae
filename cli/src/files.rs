//! How many files and sockets the process may have open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Each connection of a program has one to its destination; the rest is for the store, the log and whoever asks how it goes.
const PER_CONNECTION: u64 = 2;
const BESIDES: u64 = 256;

/// Raises the limit to what the system allows: the usual soft one, 1,024, is for programs that call `select`. Says so where
/// `connections` would not fit.
pub(crate) fn raise_limit(connections: usize) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    let needed = connections as u64 * PER_CONNECTION + BESIDES;
    if let Some(allowed) = getrlimit(Resource::Nofile).current.filter(|allowed| *allowed < needed) {
        tracing::warn!(
            allowed,
            needed,
            "fewer files may be open than `proxy.limits.connections` needs; raise the limit (`ulimit -Hn`) or lower the key"
        );
    }
}
