//! Addresses of names, as the system's resolver finds them: a name is asked for once at a time, and nobody's slow names hold
//! up all others.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloud::aws::endpoints::is_cloud_host;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use moka::sync::Cache;
use tokio::sync::Semaphore;

/// Names that are asked for at once. The system's resolver keeps a thread for each, and goes on when nobody waits for it
/// any more.
const MAX_ASKED: usize = 64;

/// Of those, names of one domain: whoever has it says how long they take.
const MAX_OF_DOMAIN: usize = 8;

/// Domains that are remembered when none of their names is asked for.
const MAX_DOMAINS: usize = 256;

/// How long an answer is used again. The system's resolver does not tell; the shortest of AWS are good for five seconds.
const KEEP: Duration = Duration::from_secs(2);

/// Answers that are kept.
const MAX_KEPT: u64 = 1_000;

/// Addresses of a name that are looked at.
const MAX_FOUND: usize = 64;

/// Without a port, in the resolver's order.
type Found = Result<Arc<[SocketAddr]>, Arc<io::Error>>;

type Flight = BoxFuture<'static, Found>;

/// The system's resolver, or what stands for it.
type Resolver = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// Finds addresses.
#[derive(Debug)]
pub(crate) struct Names {
    kept: Cache<Box<str>, Arc<[SocketAddr]>>,
    asking: Mutex<Asking>,
    all: Arc<Semaphore>,
}

/// What is being asked for. It is locked for every connection that is dialled, not for every request.
#[derive(Debug, Default)]
struct Asking {
    flights: HashMap<Box<str>, WeakShared<Flight>>,
    domains: HashMap<Box<str>, Arc<Semaphore>>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            kept: Cache::builder().max_capacity(MAX_KEPT).time_to_live(KEEP).build(),
            asking: Mutex::default(),
            all: Arc::new(Semaphore::new(MAX_ASKED)),
        }
    }
}

impl Names {
    /// The addresses of `host` with `port`, as the system's resolver puts them in order.
    pub(crate) async fn look_up(self: &Arc<Self>, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let found = self.find(host, resolve).await.map_err(|error| io::Error::new(error.kind(), error))?;
        Ok(found.iter().copied().map(|address| with_port(address, port)).collect())
    }

    async fn find(self: &Arc<Self>, host: &str, resolver: Resolver) -> Found {
        match self.kept.get(host) {
            Some(found) => Ok(found),
            None => self.flight(host, resolver).await,
        }
    }

    /// Who asks for a name that is being asked for waits for the same answer.
    fn flight(self: &Arc<Self>, host: &str, resolver: Resolver) -> Shared<Flight> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = asking.flights.get(host).and_then(WeakShared::upgrade) {
            return flight;
        }
        asking.flights.retain(|_, flight| flight.upgrade().is_some());
        let (names, wanted, turn) = (self.clone(), Box::<str>::from(host), asking.domain(host));
        let flight = async move { names.ask(wanted, turn, resolver).await }.boxed().shared();
        if let Some(flight) = flight.downgrade() {
            asking.flights.insert(host.into(), flight);
        }
        flight
    }

    /// Waits for a turn and asks. The turn is over when the resolver has answered, however long anybody waits for it.
    async fn ask(&self, host: Box<str>, domain: Arc<Semaphore>, resolver: Resolver) -> Found {
        let failed = |error| Arc::new(io::Error::other(error));
        let of_domain = domain.acquire_owned().await.map_err(|error| Arc::new(io::Error::other(error)))?;
        // A cloud's names wait for none but each other.
        let of_all = match is_cloud_host(&host) {
            true => None,
            false => Some(self.all.clone().acquire_owned().await.map_err(failed)?),
        };
        let wanted = host.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let found = resolver(&wanted);
            drop((of_domain, of_all));
            found
        });
        let found = asked.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let found: Arc<[SocketAddr]> = found.map_err(Arc::new)?.into();
        self.kept.insert(host, found.clone());
        Ok(found)
    }
}

impl Asking {
    fn domain(&mut self, host: &str) -> Arc<Semaphore> {
        let domain = domain(host);
        if let Some(turns) = self.domains.get(domain) {
            return turns.clone();
        }
        if self.domains.len() >= MAX_DOMAINS {
            self.domains.retain(|_, turns| turns.available_permits() < MAX_OF_DOMAIN || Arc::strong_count(turns) > 1);
        }
        let turns = Arc::new(Semaphore::new(MAX_OF_DOMAIN));
        self.domains.insert(domain.into(), turns.clone());
        turns
    }
}

/// The last two labels. Where strangers have what stands before them (`co.uk`), they share a domain's turns.
fn domain(host: &str) -> &str {
    let host = host.trim_end_matches('.');
    host.rmatch_indices('.').nth(1).map_or(host, |(dot, _)| &host[dot + 1..])
}

fn resolve(host: &str) -> io::Result<Vec<SocketAddr>> {
    Ok((host, 0).to_socket_addrs()?.take(MAX_FOUND).collect())
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const FOUND: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 0);

    #[expect(clippy::unnecessary_wraps, reason = "it stands for one that may fail")]
    fn at_once(_: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![FOUND])
    }

    #[tokio::test]
    async fn name_is_asked_for_once_however_many_want_it() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let slowly: Resolver = |_| {
            ASKED.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(100));
            Ok(vec![FOUND])
        };
        let names = Arc::new(Names::default());
        let found = futures_util::future::join_all((0..50).map(|_| names.find("a.test", slowly))).await;
        assert!(found.iter().all(|found| found.as_ref().is_ok_and(|found| **found == [FOUND])));
        assert!(names.find("a.test", slowly).await.is_ok());
        assert_eq!(ASKED.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn failure_is_told_to_all_who_wait_and_not_kept() {
        let names = Arc::new(Names::default());
        let never: Resolver = |_| Err(io::ErrorKind::NotFound.into());
        let (one, other) = tokio::join!(names.find("a.test", never), names.find("a.test", never));
        assert_eq!(
            (one.unwrap_err().kind(), other.unwrap_err().kind()),
            (io::ErrorKind::NotFound, io::ErrorKind::NotFound)
        );
        assert!(names.find("a.test", at_once).await.is_ok());
    }

    /// The threads of look-ups that nobody waits for any more are as many as may be, and other domains have theirs.
    #[tokio::test]
    async fn slow_domain_holds_up_only_itself() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        let slowly: Resolver = |_| {
            RUNNING.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_secs(2));
            Ok(vec![FOUND])
        };
        let names = Arc::new(Names::default());
        for _ in 0..3 {
            let wanted: Vec<String> = (0..100).map(|number| format!("{number}.slow.test")).collect();
            let all = futures_util::future::join_all(wanted.iter().map(|name| names.find(name, slowly)));
            assert!(tokio::time::timeout(Duration::from_millis(100), all).await.is_err());
        }
        assert_eq!(RUNNING.load(Ordering::SeqCst), MAX_OF_DOMAIN);
        let other = tokio::time::timeout(Duration::from_millis(500), names.find("fast.test", at_once));
        assert!(other.await.is_ok());
    }

    #[tokio::test]
    async fn clouds_wait_for_nobody() {
        let names = Arc::new(Names::default());
        let _all = names.all.clone().acquire_many_owned(64).await.unwrap();
        let soon = Duration::from_millis(500);
        assert!(tokio::time::timeout(soon, names.find("sts.us-east-1.amazonaws.com", at_once)).await.is_ok());
        assert!(tokio::time::timeout(soon, names.find("a.test", at_once)).await.is_err());
    }

    #[test]
    fn domain_is_the_last_two_labels() {
        for (host, expected) in
            [("a.b.c.test", "c.test"), ("c.test", "c.test"), ("host", "host"), ("a.c.test.", "c.test")]
        {
            assert_eq!(domain(host), expected);
        }
    }
}
