//! Idle connections to destinations, whoever used them last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serve::Shutdown;
use serve::metrics::Counter;
use tokio::time::Instant;

use super::dial::Era;
use super::hub::Hub;
use super::line::Line;
use super::slot::Slot;
use super::windows::Shared;
use crate::places::destination::Destination;

/// Idle connections kept to one origin. A program with more requests at once than this dials anew.
const MAX_IDLE_PER_ORIGIN: usize = 64;

/// Idle connections kept altogether: each holds a socket and about 30 KB.
const MAX_IDLE: usize = 512;

/// How long one is kept. Below what AWS's front ends take (S3: about 20 s), so that requests seldom meet a closing one.
const KEEP: Duration = Duration::from_secs(15);

/// How long a program's connection keeps its line to itself after an answer.
const KEEP_IN_SLOT: Duration = Duration::from_secs(1);

/// Destinations remembered for programs that speak HTTP/2. Of more, those that nobody uses are forgotten early.
const MAX_HUBS: usize = 1024;

/// How often old ones are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// Idle connections by origin. It is locked when a program's connection begins and ends, not per request.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: Mutex<Idle>,
    slots: Mutex<Vec<Weak<Slot>>>,
    /// Requests that were sent on a connection made for them.
    pub(crate) fresh: Counter,
    /// Requests that were sent on one that was there.
    pub(crate) reused: Counter,
    /// Requests for which none could be made.
    pub(crate) failed: Counter,
    /// Requests that were sent once more, because their connection was closed before it brought an answer.
    pub(crate) repeated: Counter,
    hubs: Mutex<HashMap<Destination, Arc<Hub>>>,
    windows: Shared,
}

#[derive(Debug, Default)]
struct Idle {
    #[expect(clippy::vec_box, reason = "a line is moved with every request: as a pointer, not as a kilobyte")]
    lines: HashMap<Destination, Vec<Box<Line>>>,
    count: usize,
}

impl Pool {
    /// The line to `origin` that was used last. Those of another era are closed.
    pub(crate) fn take(&self, origin: &Destination, era: Era) -> Option<Box<Line>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let Idle { lines, count } = &mut *idle;
        let same = lines.get_mut(origin)?;
        loop {
            let line = same.pop()?;
            *count -= 1;
            if line.serves(origin, era) {
                return Some(line);
            }
        }
    }

    /// Keeps a line, unless there are enough, or somebody waits for its end. One that somebody has logged in on is nobody
    /// else's.
    pub(crate) fn put(&self, line: Box<Line>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if line.is_bound() || line.is_in_the_way() || idle.count >= MAX_IDLE {
            return;
        }
        let same = idle.lines.entry(line.origin().clone()).or_default();
        if same.len() < MAX_IDLE_PER_ORIGIN {
            same.push(line);
            idle.count += 1;
        }
    }

    /// How many are idle, but for those that programs' connections keep to themselves.
    pub(crate) fn idle(&self) -> usize {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    /// What is known of `origin`, as it is reached now.
    pub(crate) fn hub(&self, origin: &Destination, era: Era) -> Arc<Hub> {
        let mut hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hub) = hubs.get(origin).filter(|hub| hub.serves(origin, era)) {
            return hub.clone();
        }
        if hubs.len() >= MAX_HUBS {
            hubs.retain(|_, hub| Arc::strong_count(hub) > 1);
        }
        let hub = Arc::new(Hub::new((origin.clone(), era), self.windows.clone()));
        hubs.insert(origin.clone(), hub.clone());
        hub
    }

    /// Looks after a program's slot, too: a line that rests there comes back here.
    pub(crate) fn watch(&self, slot: &Arc<Slot>) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(slot));
    }

    /// Drops what is idle for too long, until the shutdown begins.
    pub(crate) async fn sweep(&self, shutdown: &Shutdown) {
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                now = ticks.tick() => self.sweep_at(now),
                () = shutdown.begun() => return,
            }
        }
    }

    fn sweep_at(&self, now: Instant) {
        let long_ago = now.checked_sub(KEEP_IN_SLOT).unwrap_or(now);
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).retain(|slot| match slot.upgrade() {
            Some(slot) => {
                slot.give_back(long_ago);
                true
            }
            None => false,
        });
        let mut hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        hubs.retain(|_, hub| Arc::strong_count(hub) > 1 || hub.is_known());
        drop(hubs);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        for lines in idle.lines.values_mut() {
            // Somebody may have begun to wait just after one was put here.
            lines.retain(|line| now.duration_since(line.idle_since()) < KEEP && !line.is_in_the_way());
        }
        idle.lines.retain(|_, lines| !lines.is_empty());
        idle.count = idle.lines.values().map(Vec::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::super::slot::{Early, Found};
    use super::super::wire::{Io, Wire};
    use super::*;
    use crate::wire::pipe::Pipe;
    use crate::wire::protocol::Protocol;

    /// Lines to destinations that nobody is at, over sockets that somebody is.
    struct Place(TcpListener);

    impl Place {
        async fn new() -> Self {
            Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
        }

        async fn line(&self, host: &str) -> Box<Line> {
            let tcp = TcpStream::connect(self.0.local_addr().unwrap()).await.unwrap();
            // The other end may go: nobody asks here whether a line is alive.
            drop(self.0.accept().await.unwrap());
            let wire = Wire::new(Io::Clear(Pipe::Clear(tcp)), Duration::from_secs(60));
            Line::new((origin(host), Era::default()), wire).await.unwrap()
        }
    }

    fn origin(host: &str) -> Destination {
        Destination::of_url(&format!("http://{host}").parse().unwrap())
    }

    #[tokio::test]
    async fn idle_lines_have_a_limit_for_each_origin_and_one_for_all() {
        let (place, pool) = (Place::new().await, Pool::default());
        for _ in 0..=MAX_IDLE_PER_ORIGIN {
            pool.put(place.line("a.test").await);
        }
        assert_eq!(pool.idle(), MAX_IDLE_PER_ORIGIN);
        for number in 0..MAX_IDLE {
            pool.put(place.line(&format!("n{number}.test")).await);
        }
        assert_eq!(pool.idle(), MAX_IDLE);
        assert!(pool.take(&origin("a.test"), Era::default()).is_some());
        assert!(pool.take(&origin("a.test"), Era::default().next()).is_none(), "of other settings");
        assert_eq!(pool.idle(), MAX_IDLE - MAX_IDLE_PER_ORIGIN);
    }

    #[tokio::test]
    async fn line_that_nobody_has_used_for_a_while_is_closed() {
        let (place, pool) = (Place::new().await, Pool::default());
        let mut used = place.line("a.test").await;
        pool.put(place.line("a.test").await);
        let began = used.idle_since();
        tokio::time::sleep(Duration::from_millis(20)).await;
        used.rest();
        pool.put(used);
        pool.sweep_at(began + KEEP - Duration::from_millis(1));
        assert_eq!(pool.idle(), 2);
        pool.sweep_at(began + KEEP + Duration::from_millis(15));
        assert_eq!(pool.idle(), 1, "the one that was used last stays");
        pool.sweep_at(began + 2 * KEEP);
        assert_eq!(pool.idle(), 0);
    }

    #[tokio::test]
    async fn line_that_a_program_keeps_to_itself_comes_back_when_it_rests() {
        let (place, pool) = (Place::new().await, Arc::new(Pool::default()));
        let slot = Arc::new(Slot::new(pool.clone(), Protocol::Http1));
        pool.watch(&slot);
        slot.put(place.line("a.test").await);
        let now = Instant::now();
        pool.sweep_at(now);
        assert_eq!(pool.idle(), 0);
        pool.sweep_at(now + KEEP_IN_SLOT);
        assert_eq!(pool.idle(), 1);
        assert!(slot.take(&origin("a.test"), Era::default()).is_none());

        slot.put(place.line("b.test").await);
        drop(slot);
        assert_eq!(pool.idle(), 2, "its program has gone");
    }

    #[tokio::test]
    async fn line_that_was_dialled_early_and_is_not_asked_for_comes_back_too() {
        let (place, pool) = (Place::new().await, Arc::new(Pool::default()));
        let slot = Arc::new(Slot::new(pool.clone(), Protocol::Http1));
        pool.watch(&slot);
        let line = place.line("a.test").await;
        let mut early = Early::new((origin("a.test"), Era::default()), async { Ok(Found::Line(line)) });
        std::future::poll_fn(|cx| {
            early.poll_on(cx);
            std::task::Poll::Ready(())
        })
        .await;
        slot.put_early(early);
        pool.sweep_at(Instant::now() + KEEP_IN_SLOT);
        assert_eq!(pool.idle(), 1);
        let never = Early::new((origin("a.test"), Era::default()), std::future::pending());
        slot.put_early(never);
        pool.sweep_at(Instant::now() + KEEP_IN_SLOT);
        assert!(!slot.has_early(&origin("a.test"), Era::default()), "it stood still");
        assert_eq!(pool.idle(), 1);
    }
}
