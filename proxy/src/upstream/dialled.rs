//! Connections that were dialled just now, by both their ends: one of them that comes back to us goes round in a circle.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long one is remembered. A connection that is redirected to us is here as soon as it stands.
const REMEMBER: Duration = Duration::from_secs(5);

/// How many are.
const MAX: usize = 4096;

/// Kept only where connections are redirected: a rule that forgets to leave us out would lead ours back here.
#[derive(Debug, Default)]
pub(crate) struct Dialled(Mutex<VecDeque<(Instant, Ends)>>);

/// Our end and the other.
type Ends = (SocketAddr, SocketAddr);

impl Dialled {
    /// Remembers a connection from `here` to `there`.
    pub(crate) fn note(&self, here: SocketAddr, there: SocketAddr) {
        let now = Instant::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while all.len() >= MAX || all.front().is_some_and(|(at, _)| now.duration_since(*at) > REMEMBER) {
            all.pop_front();
        }
        all.push_back((now, (here, there)));
    }

    /// Whether a connection with these ends is one of ours.
    pub(crate) fn contains(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let ends = (plain(from), plain(to));
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().any(|(_, (here, there))| (plain(*here), plain(*there)) == ends)
    }
}

/// A socket of both families shows IPv4 addresses as IPv6 ones.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connection_is_known_by_both_ends_and_for_a_while() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (here, there) = (address("10.0.0.1:40000"), address("192.0.2.1:443"));
        let dialled = Dialled::default();
        dialled.note(here, there);
        assert!(dialled.contains(here, there) && dialled.contains(address("[::ffff:10.0.0.1]:40000"), there));
        assert!(
            !dialled.contains(here, address("192.0.2.2:443")) && !dialled.contains(address("10.0.0.1:40001"), there)
        );
        tokio::time::advance(2 * REMEMBER).await;
        dialled.note(there, here);
        assert!(!dialled.contains(here, there));
        (0..2 * MAX).for_each(|_| dialled.note(there, here));
        assert!(dialled.0.lock().unwrap().len() <= MAX);
    }
}
