//! The wiring: one config → a broker, a lease cache in front of it, a proxy in front of that, and the issuer's documents.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use access::Clock;
use broker::Broker;
use config::Settings;
use lease::Leases;
use proxy::{Inherited, Parts, Proxy, authority, stand_ins};
use serve::{Drained, Hangups, Log, Shutdown, Stops};

use crate::broker::{self as served, IssuerDuty};
use crate::failure::{Exit, Failure};
use crate::files;
use crate::output::Printer;
use crate::reload::{self, Loaded, Reloads, Running};
use crate::telemetry::{Telemetry, health};

/// For so long leases serve although the store says nothing of what was taken back.
const MAX_SILENCE: Duration = Duration::from_secs(5 * 60);

/// A sidecar with its embedded broker, sockets bound, files written.
pub(crate) struct House {
    proxy: Proxy<Broker>,
    shutdown: Shutdown,
    telemetry: Option<Telemetry>,
    running: Running,
}

impl House {
    /// Opens everything; what programs have in their environment already is `inherited`.
    pub(crate) async fn open(
        settings: &Settings,
        clock: Clock,
        (inherited, duty): (Inherited, IssuerDuty),
    ) -> Result<Self, Failure> {
        let shutdown = Shutdown::new();
        let lessor = Arc::new(served::open(settings, clock.clone()).await?);
        served::serve(settings, &lessor, (&shutdown, duty)).await?;
        served::tend(&lessor, &shutdown);
        // Beside a command nobody reads `/readyz`, and what the command says on stderr is its own: there whoever needs a
        // source is told.
        if duty == IssuerDuty::Always {
            served::watch_sources(&lessor, &shutdown);
        }
        let leases = Arc::new(Leases::new(lessor.clone(), clock.clone(), shutdown.clone()));
        served::keep(&shutdown, lease::follow(leases.clone(), MAX_SILENCE));
        let root = authority(&settings.proxy.ca, stand_ins(&settings.endpoints), clock.now())
            .map_err(|error| Failure::from_error(Exit::Config, &error))?;
        let (broker, kept, counts) = (lessor.clone(), leases.clone(), Arc::new(Reloads::default()));
        let parts = Parts { root, lessor, leases, clock, shutdown: shutdown.clone(), inherited };
        let proxy = Proxy::bind(settings, parts).await.map_err(|error| cannot_start(&error))?;
        let health = health(&proxy, broker.clone()).counted(kept.tally()).counted(counts.clone());
        let telemetry = Telemetry::open(&settings.telemetry, health).await?;
        let running = Running { broker, leases: kept, control: proxy.control(), log: None, counts };
        Ok(Self { proxy, shutdown, telemetry, running })
    }

    /// Where health and numbers are served, if they are.
    pub(crate) fn telemetry(&self) -> Option<SocketAddr> {
        self.telemetry.as_ref().map(Telemetry::address)
    }

    /// The proxy, to ask it what programs need.
    pub(crate) const fn proxy(&self) -> &Proxy<Broker> {
        &self.proxy
    }

    /// Says when to stop.
    pub(crate) fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Takes changes of the config over, from now on.
    fn keep(self, loaded: Loaded, (log, hangups): (Option<Log>, Hangups)) -> Self {
        let Running { broker, leases, control, counts, .. } = &self.running;
        let running = Running {
            broker: broker.clone(),
            leases: leases.clone(),
            control: control.clone(),
            log,
            counts: counts.clone(),
        };
        self.shutdown.spawn(reload::keep(loaded, running, hangups, self.shutdown.clone()));
        self
    }

    /// Serves until the shutdown begins and everything has drained.
    pub(crate) async fn run(self) -> Drained {
        let drained = self.proxy.run().await;
        if let Some(telemetry) = self.telemetry {
            telemetry.close().await;
        }
        drained
    }
}

/// `countersign proxy`: runs until a signal.
pub(crate) async fn proxy(
    loaded: Loaded,
    (clock, log): (Clock, Option<Log>),
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    if let Some(log) = &log {
        let set = log.set(loaded.settings.telemetry.log.as_str());
        set.map_err(|error| Failure::from_error(Exit::Config, &error))?;
    }
    files::raise_limit(loaded.settings.proxy.limits.connections);
    // Before anything listens: a signal that came in between would end us.
    let hangups = Hangups::new().map_err(|error| Failure::from_error(Exit::Other, &error))?;
    let stops = Stops::new().map_err(|error| Failure::from_error(Exit::Other, &error))?;
    let house = House::open(&loaded.settings, clock, (|_| None, IssuerDuty::Always)).await?;
    let environment = loaded.settings.proxy.directory.join("program.env");
    printer.started((house.proxy().local_addr(), house.telemetry()), &environment);
    let signals = tokio::spawn(stops.begin(house.shutdown()));
    let drained = house.keep(loaded, (log, hangups)).run().await;
    signals.abort();
    if let Drained::Cut(connections) = drained {
        eprintln!("countersign: {connections} connections were still busy after the grace period and were cut");
    }
    Ok(ExitCode::SUCCESS)
}

/// `countersign issuer`: what must be found under the issuer URL, for whoever hosts it elsewhere.
pub(crate) async fn issuer(settings: &Settings, clock: Clock, printer: &Printer) -> Result<(), Failure> {
    let issuer = served::open(settings, clock).await?.issuer();
    let documents = issuer.documents();
    printer.json(&serde_json::json!({
        "issuer": issuer.name(),
        "discovery": parsed(&documents.discovery)?,
        "jwks": parsed(&documents.jwks)?,
    }))
}

fn parsed(document: &str) -> Result<serde_json::Value, Failure> {
    serde_json::from_str(document).map_err(|error| Failure::from_error(Exit::Other, &error))
}

fn cannot_start(error: &proxy::BindError) -> Failure {
    let exit = if matches!(error, proxy::BindError::Listen(_)) { Exit::Network } else { Exit::Other };
    Failure::from_error(exit, error)
}

/// How long what runs may take to end after the command that `run` started has ended.
pub(crate) const AFTER_THE_COMMAND: Duration = Duration::from_secs(2);
