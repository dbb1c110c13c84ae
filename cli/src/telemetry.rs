//! Health and numbers on a listener of their own, which outlives the proxy: until the last request has drained, somebody
//! may ask how it goes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use broker::{Broker, SourceState, State};
use config::TelemetrySettings;
use proxy::Proxy;
use serve::metrics::{Counted, Family, Kind, Page};
use serve::{Health, Listener, Shutdown};

use crate::failure::{Exit, Failure};

/// A kubelet, a collector and a person with `curl`; more than this is an attack.
const CONNECTIONS: usize = 64;

/// How long whoever asks at the very end may take to read the answer.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The listener at work.
pub(crate) struct Telemetry {
    address: SocketAddr,
    shutdown: Shutdown,
}

impl Telemetry {
    /// Binds and serves, if the settings say where.
    pub(crate) async fn open(settings: &TelemetrySettings, health: Health) -> Result<Option<Self>, Failure> {
        let Some(address) = settings.listen else { return Ok(None) };
        let bound = Listener::bind(address, CONNECTIONS).await;
        let listener = bound.map_err(|error| {
            Failure::from_error(Exit::Network, &error)
                .help("`telemetry.listen` says the address; take it out to do without")
        })?;
        let (address, shutdown) = (listener.address(), Shutdown::new());
        shutdown.spawn(serve::router(listener, health.routes(), None, shutdown.clone()));
        Ok(Some(Self { address, shutdown }))
    }

    /// Where it listens, with the real port if 0 was asked for.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it.
    pub(crate) async fn close(self) {
        self.shutdown.drain(LAST_ANSWERS).await;
    }
}

/// Ready is who can lend and serve: the proxy accepts, the pod's token can be read, the broker could lend.
pub(crate) fn health(proxy: &Proxy<Broker>, broker: Arc<Broker>) -> Health {
    let vitals = proxy.vitals();
    let (serves, evidence) = (vitals.clone(), vitals.clone());
    let health = Health::default()
        .check("proxy", move || Box::pin(std::future::ready(serves.serves())))
        .check("token", move || Box::pin(std::future::ready(evidence.has_evidence())))
        .counted(Arc::new(vitals));
    broker_health(health, broker)
}

/// Ready is a broker that could lend.
pub(crate) fn broker_health(health: Health, broker: Arc<Broker>) -> Health {
    let sources = broker.clone();
    health
        .check("broker", move || {
            let broker = broker.clone();
            Box::pin(async move { broker.ready().await.map_err(|error| error.to_string()) })
        })
        .notes(move || sources.sources().iter().filter_map(failed).collect())
        .counted(Arc::new(Build))
}

/// A line for a source that does not work. It does not make the process unready: no restart would mend it.
fn failed(source: &SourceState) -> Option<String> {
    match &source.state {
        State::Failed { why, since } => Some(format!("source {}: failed since {since:.0}: {why}", source.name)),
        State::Idle | State::Ready => None,
    }
}

/// What this is.
struct Build;

impl Counted for Build {
    fn tell(&self, page: &mut Page) {
        page.family(&BUILD, [(&[("version", env!("CARGO_PKG_VERSION"))][..], 1)]);
    }
}

const BUILD: Family =
    Family { name: "countersign_build_info", kind: Kind::Gauge, help: "Always 1; the label says which version runs" };
