//! The sidecar as a whole: bound, running, drained.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use access::Clock;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use ca::{BundleError, LeafError, Root, TlsError};
use cloud::aws::sign_in::TOKEN_LASTS;
use config::{ProxySettings, Settings};
use lease::{DerivedCredentials, Leases, Lessor, SignInTokens};
use otel::Exporting;
use serve::{Accepted, Drained, Listener, Shutdown};

use crate::app::{App, Latest, limiter, span};
use crate::authority::AuthorityError;
use crate::books::access_log::{AccessLog, Writing};
use crate::books::ids::RequestIds;
use crate::books::metrics::{Metrics, Present};
use crate::books::reporter::{self, Filed};
use crate::books::telling::{Telling, TellingError};
use crate::calls::classify::Classifier;
use crate::calls::identify::TokenFile;
use crate::control::{Control, Place, inbound, shared};
use crate::entrances::accept::{self, Door};
use crate::program::{Inherited, ProgramError, Programs, default_target};
use crate::rates::Peers;
use crate::upstream::Upstreams;
use crate::vitals::Vitals;
use crate::wire::holding::Holding;

/// How long records may take to reach the lessor after the last connection has ended.
const LAST_RECORDS: Duration = Duration::from_secs(5);

/// What a proxy is made of besides its settings.
#[derive(Debug)]
pub struct Parts<L> {
    /// Certifies intercepted hosts; see [`crate::authority()`].
    pub root: Root,
    /// Who lends, and hears what was done.
    pub lessor: Arc<L>,
    /// What was lent.
    pub leases: Arc<Leases<L>>,
    /// The time.
    pub clock: Clock,
    /// When to stop.
    pub shutdown: Shutdown,
    /// What the programs' environment holds already: roots that they trust are kept.
    pub inherited: Inherited,
}

/// A proxy whose socket is bound and whose files are written.
#[derive(Debug)]
pub struct Proxy<L> {
    listener: Listener,
    others: Vec<(Listener, Door)>,
    latest: Arc<Latest<L>>,
    metrics: Arc<Metrics>,
    lessor: Arc<L>,
    filed: Filed,
    writing: Option<Writing>,
    exporting: Option<Exporting>,
    environment: Vec<(String, String)>,
    control: Arc<Control<L>>,
}

/// Why the proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The socket.
    #[error(transparent)]
    Listen(#[from] serve::BindError),
    /// What programs need.
    #[error(transparent)]
    Programs(#[from] ProgramError),
    /// Roots to trust upstream.
    #[error("destinations could not be verified")]
    Roots(#[source] BundleError),
    /// A root file of the operator's.
    #[error("cannot use `proxy.upstream.ca_file` {}", .0.display())]
    OwnRoots(PathBuf, #[source] BundleError),
    /// The leaf key.
    #[error("no certificates can be made")]
    Mint(#[source] LeafError),
    /// TLS towards programs.
    #[error("no TLS towards programs")]
    Inbound(#[source] TlsError),
    /// TLS of the shared proxy.
    #[error("the shared proxy cannot speak TLS")]
    Shared(#[source] serve::TlsError),
    /// TLS towards destinations.
    #[error("no TLS towards destinations")]
    Outbound(#[source] rustls::Error),
    /// The access log.
    #[error("the access log cannot be opened; may the process write to `telemetry.records.file`?")]
    AccessLog(#[source] std::io::Error),
    /// The collector of traces and records.
    #[error("nothing can be told to the collector that `telemetry.otlp` names")]
    Telling(#[from] TellingError),
    /// Another root cannot be had.
    #[error("no other root")]
    Authority(#[from] AuthorityError),
    /// The operating system has no randomness.
    #[error("this system gives no random numbers")]
    Random,
    /// It has ended.
    #[error("the proxy is stopping")]
    Stopping,
}

impl<L: Lessor> Proxy<L> {
    /// Binds the socket, and leaves what programs need in the settings' directory. Programs may connect from now on;
    /// they are served when the proxy runs.
    pub async fn bind(settings: &Settings, parts: Parts<L>) -> Result<Self, BindError> {
        let Parts { root, lessor, leases, clock, shutdown, inherited } = parts;
        let ours = &settings.proxy;
        let listener = Listener::bind(ours.listen, ours.limits.connections).await?;
        let address = listener.address();
        let others = others(ours).await?;
        let place = Place { address, inherited };
        let dialer = place.dialer(settings)?;
        let Programs { placeholders, environment } = place.programs(settings, &[root.certificate().clone()])?;

        let metrics = Arc::new(Metrics::default());
        let (log, writing) = match &settings.telemetry.records {
            Some(to) => AccessLog::open(to, &metrics).map(|(log, writing)| (Some(log), Some(writing))),
            None => Ok((None, None)),
        }
        .map_err(BindError::AccessLog)?;
        let telling = Telling::start(&settings.telemetry, &clock, &metrics.otlp)?;
        let (telling, exporting) = telling.map_or((None, None), |(telling, exporting)| (Some(telling), exporting));
        let (reporter, filed) = reporter::queue(&metrics, (log, telling));
        let latest = Latest::none();
        let app = App {
            latest: latest.clone(),
            tls: inbound(root, &clock)?,
            endpoints: settings.endpoints.clone(),
            egress: dialer.egress.clone(),
            shared: shared(ours)?,
            ids: Arc::new(RequestIds::new(random()?)),
            classifier: Classifier::new(placeholders),
            identity: Arc::new(TokenFile::new(ours.token_file.clone())),
            leases,
            derived: Arc::new(DerivedCredentials::new()),
            sign_ins: Arc::new(SignInTokens::new(TOKEN_LASTS)),
            default_target: default_target(settings).cloned(),
            upstreams: Upstreams::new(dialer, shutdown.clone()),
            skews: Arc::default(),
            distrust: Arc::default(),
            said: Arc::default(),
            reporter,
            metrics: metrics.clone(),
            holding: Arc::new(Holding::new(ours.limits.held_body_bytes)),
            limits: ours.limits.clone(),
            limiter: limiter(settings),
            clock,
            shutdown,
        };
        latest.store(Arc::new(app));
        let control = Arc::new(Control::new(&latest, place, settings));
        Ok(Self { listener, others, latest, metrics, lessor, filed, writing, exporting, environment, control })
    }

    /// Where it listens, with the real port if 0 was asked for.
    pub const fn local_addr(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Where the listener for several apps is, if there is one.
    pub fn shared_addr(&self) -> Option<SocketAddr> {
        self.others.iter().find(|(_, door)| *door == Door::Shared).map(|(listener, _)| listener.address())
    }

    /// What a program's environment must hold, name and value: proxy, trust and the default target's placeholder.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// What readiness and collectors ask of it.
    pub fn vitals(&self) -> Vitals<L> {
        Vitals::of(&self.latest)
    }

    /// What changes it while it runs.
    pub fn control(&self) -> Arc<Control<L>> {
        self.control.clone()
    }

    /// The counters; they go on counting while the proxy runs.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.metrics.clone()
    }

    /// Serves programs until the shutdown begins; then what runs may finish within the grace and is cut after it, and
    /// records get to the lessor, or are counted as lost.
    pub async fn run(self) -> Drained {
        let Self { listener, others, latest, lessor, mut filed, writing, exporting, .. } = self;
        let drained;
        {
            let reporting = filed.report(&*lessor);
            tokio::pin!(reporting);
            drained = tokio::select! {
                drained = serve(listener, others, latest) => drained,
                // Not before the last `Reporter` is gone, which `serve` holds.
                () = &mut reporting => Drained::Whole,
            };
            let stored = async {
                reporting.await;
                if let Some(writing) = writing {
                    writing.ended().await;
                }
            };
            let told = async {
                if let Some(exporting) = exporting {
                    exporting.ended().await;
                }
            };
            if tokio::join!(tokio::time::timeout(LAST_RECORDS, stored), told).0.is_ok() {
                return drained;
            }
        }
        filed.give_up();
        drained
    }
}

/// Accepts, and drains when it is time.
async fn serve<L: Lessor>(listener: Listener, others: Vec<(Listener, Door)>, latest: Arc<Latest<L>>) -> Drained {
    let Some(app) = latest.load() else { return Drained::Whole };
    let shutdown = app.shutdown.clone();
    let sweeping = app.clone();
    shutdown.spawn(async move { sweeping.upstreams.pool().sweep(&sweeping.shutdown).await });
    let peers = Arc::new(Peers::default());
    for (listener, door) in others {
        shutdown.spawn(accept(listener, (door, peers.clone()), (latest.clone(), app.clone())));
    }
    accept(listener, (Door::Beside, peers), (latest.clone(), app.clone())).await;
    let grace = latest.load().map_or(app.limits.grace, |app| app.limits.grace);
    let drained = shutdown.drain(span(grace)).await;
    latest.clear();
    drained
}

/// Accepts at one listener until the shutdown begins.
async fn accept<L: Lessor>(
    listener: Listener,
    (door, peers): (Door, Arc<Peers>),
    (latest, first): (Arc<Latest<L>>, Arc<App<L>>),
) {
    let shutdown = first.shutdown.clone();
    tracing::info!(address = %listener.address(), ?door, "proxy is listening");
    let app = || latest.load().unwrap_or_else(|| first.clone());
    let admit = |peer: SocketAddr| {
        let app = app();
        let guest = peers.admit(peer.ip().to_canonical(), app.limits.rates.connections_per_peer);
        if guest.is_none() {
            app.metrics.turned_away.add(1);
        }
        guest
    };
    while let Some((Accepted { stream, peer, place, wanted }, guest)) = listener.accept(&shutdown, admit).await {
        let app = app();
        shutdown.spawn(async move {
            app.metrics.accepted.add(1);
            let open = Present::count(&app.metrics, |metrics| &metrics.connections);
            accept::connection(app, stream, (peer, door), &wanted).await;
            drop((open, guest, place));
        });
    }
}

/// The listeners besides the usual one.
async fn others(settings: &ProxySettings) -> Result<Vec<(Listener, Door)>, BindError> {
    let mut others = Vec::new();
    for address in &settings.ways.transparent {
        others.push((Listener::bind(*address, settings.limits.connections).await?, Door::Redirected));
    }
    if let Some(shared) = &settings.ways.shared {
        others.push((Listener::bind(shared.listen, settings.limits.connections).await?, Door::Shared));
    }
    Ok(others)
}

fn random() -> Result<u64, BindError> {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).map_err(|_| BindError::Random)?;
    Ok(u64::from_be_bytes(bytes))
}
