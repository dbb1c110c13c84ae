//! A program that works: on a connection that it keeps, and on fresh ones. How long its requests take is how it fares.

use std::cell::Cell;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::lane::Lane;
use crate::stage::HOST;

/// Between two requests on the connection that is kept, and between two fresh connections.
const PACE: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(50)];

/// No request may take longer, whatever happens.
const NEVER: Duration = Duration::from_secs(60);

/// The program.
pub(crate) struct Program {
    lane: Lane,
}

/// How long its requests took, in milliseconds.
#[derive(Default)]
pub(crate) struct Waits {
    kept: Vec<f64>,
    fresh: Vec<f64>,
}

impl Program {
    pub(crate) const fn new(lane: Lane) -> Self {
        Self { lane }
    }

    /// Where the proxy is that it uses.
    pub(crate) const fn proxy(&self) -> SocketAddr {
        self.lane.route.address
    }

    /// Works as long as something happens, and lets its last requests be answered.
    pub(crate) async fn works_while<T>(
        &self,
        happening: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<(Waits, T)> {
        let over = Cell::new(false);
        let happening = async {
            let happened = happening.await;
            over.set(true);
            happened
        };
        let (kept, fresh, happened) = tokio::try_join!(self.keeps(&over), self.comes_again(&over), happening)?;
        Ok((Waits { kept, fresh }, happened))
    }

    async fn keeps(&self, over: &Cell<bool>) -> anyhow::Result<Vec<f64>> {
        let (mut times, mut connection) = (Vec::new(), self.lane.route.connect(HOST).await?);
        while !over.get() {
            let get = self.lane.resigned().get(HOST);
            let took = tokio::time::timeout(NEVER, connection.exchange(&get)).await;
            times.push(took.context("no answer on the connection that is kept")??.as_secs_f64() * 1e3);
            tokio::time::sleep(PACE[0]).await;
        }
        Ok(times)
    }

    async fn comes_again(&self, over: &Cell<bool>) -> anyhow::Result<Vec<f64>> {
        let mut times = Vec::new();
        while !over.get() {
            let (get, begun) = (self.lane.resigned().get(HOST), Instant::now());
            let request = async { self.lane.route.connect(HOST).await?.exchange(&get).await };
            tokio::time::timeout(NEVER, request).await.context("no answer on a fresh connection")??;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            tokio::time::sleep(PACE[1]).await;
        }
        Ok(times)
    }
}

impl Waits {
    /// The longest of all.
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_secs_f64(self.kept.iter().chain(&self.fresh).copied().fold(0.0, f64::max) / 1e3)
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kept, fresh] = [&self.kept, &self.fresh].map(|times| {
            let mut times = times.clone();
            times.sort_by(f64::total_cmp);
            let (middle, last) = (times.get(times.len() / 2), times.last());
            format!("{:.1} ms, {:.1} at most", middle.copied().unwrap_or_default(), last.copied().unwrap_or_default())
        });
        write!(f, "a request takes {kept}; one on a fresh connection {fresh}")
    }
}
