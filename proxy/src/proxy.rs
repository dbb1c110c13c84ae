//! The sidecar as a whole: bound, running, drained.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use access::{Clock, Target, TargetName};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use ca::{Bundle, BundleError, LeafError, Leaves, Mint, Root, ServerTls, TlsError};
use config::{ProxySettings, Settings};
use lease::{Leases, Lessor};
use serve::{Accepted, Drained, Listener, Shutdown};

use crate::accept;
use crate::app::{App, span};
use crate::classify::Classifier;
use crate::holding::Holding;
use crate::identify::TokenFile;
use crate::ids::RequestIds;
use crate::metrics::{Metrics, Present};
use crate::program::{Inherited, Offer, ProgramError, Programs};
use crate::protocol::Protocol;
use crate::reporter::{self, Filed};
use crate::skews::Skews;
use crate::upstream::{Dialer, Outbound, Upstreams};
use crate::vitals::Vitals;

/// How long records may take to reach the lessor after the last connection has ended.
const LAST_RECORDS: Duration = Duration::from_secs(5);

/// Protocols that programs are offered (RFC 7301), unless their destination is found to speak HTTP/2.
const ALPN: [&[u8]; 1] = [Protocol::Http1.alpn()];

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
    app: Arc<App<L>>,
    lessor: Arc<L>,
    filed: Filed,
    environment: Vec<(String, String)>,
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
    #[error("cannot use `upstream_roots` {}", .0.display())]
    OwnRoots(PathBuf, #[source] BundleError),
    /// The leaf key.
    #[error("no certificates can be made")]
    Mint(#[source] LeafError),
    /// TLS towards programs.
    #[error("no TLS towards programs")]
    Inbound(#[source] TlsError),
    /// TLS towards destinations.
    #[error("no TLS towards destinations")]
    Outbound(#[source] rustls::Error),
    /// The operating system has no randomness.
    #[error("this system gives no random numbers")]
    Random,
}

impl<L: Lessor> Proxy<L> {
    /// Binds the socket, and leaves what programs need in the settings' directory. Programs may connect from now on;
    /// they are served when the proxy runs.
    pub async fn bind(settings: &Settings, parts: Parts<L>) -> Result<Self, BindError> {
        let Parts { root, lessor, leases, clock, shutdown, inherited } = parts;
        let ours = &settings.proxy;
        let listener = Listener::bind(ours.listen, ours.limits.connections).await?;
        let address = listener.address();
        let system = Bundle::system().map_err(BindError::Roots)?;

        let targets: Vec<&Target> = settings.rules.targets().map(|target| &**target).collect();
        let default_target = default_target(ours, &targets);
        let offer = Offer { directory: &ours.directory, address, targets: &targets, default_target, inherited };
        let Programs { placeholders, environment } = Programs::prepare(&offer, &root, system.clone())?;

        let metrics = Arc::new(Metrics::default());
        let (reporter, filed) = reporter::queue(&metrics);
        let outbound = Outbound::new(&roots(ours, system)?).map_err(BindError::Outbound)?;
        let app = App {
            tls: inbound(root, &clock)?,
            endpoints: settings.endpoints.clone(),
            ids: RequestIds::new(random()?),
            classifier: Classifier::new(placeholders),
            identity: TokenFile::new(ours.token_file.clone()),
            leases,
            upstreams: upstreams(ours, (address, outbound), shutdown.clone()),
            skews: Skews::default(),
            reporter,
            metrics,
            holding: Holding::new(ours.limits.held_body_bytes),
            limits: ours.limits.clone(),
            clock,
            shutdown,
        };
        Ok(Self { listener, app: Arc::new(app), lessor, filed, environment })
    }

    /// Where it listens, with the real port if 0 was asked for.
    pub const fn local_addr(&self) -> SocketAddr {
        self.listener.address()
    }

    /// What a program's environment must hold, name and value: proxy, trust and the default target's placeholder.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// What readiness and collectors ask of it.
    pub fn vitals(&self) -> Vitals<L> {
        Vitals::of(&self.app)
    }

    /// The counters; they go on counting while the proxy runs.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.app.metrics.clone()
    }

    /// Serves programs until the shutdown begins; then what runs may finish within the grace and is cut after it, and
    /// records get to the lessor, or are counted as lost.
    pub async fn run(self) -> Drained {
        let Self { listener, app, lessor, mut filed, .. } = self;
        let drained;
        {
            let reporting = filed.report(&*lessor);
            tokio::pin!(reporting);
            drained = tokio::select! {
                drained = serve(listener, app) => drained,
                // Not before the last `Reporter` is gone, which `serve` holds.
                () = &mut reporting => Drained::Whole,
            };
            if tokio::time::timeout(LAST_RECORDS, reporting).await.is_ok() {
                return drained;
            }
        }
        filed.give_up();
        drained
    }
}

/// Accepts, and drains when it is time.
async fn serve<L: Lessor>(listener: Listener, app: Arc<App<L>>) -> Drained {
    let shutdown = app.shutdown.clone();
    tracing::info!(address = %listener.address(), "proxy is listening");
    let sweeping = app.clone();
    shutdown.spawn(async move { sweeping.upstreams.pool().sweep(&sweeping.shutdown).await });
    while let Some(Accepted { stream, peer, place }) = listener.accept(&shutdown).await {
        let app = app.clone();
        shutdown.spawn(async move {
            app.metrics.accepted.add(1);
            let open = Present::count(&app.metrics, |metrics| &metrics.connections);
            accept::connection(app, stream, peer.ip().to_canonical()).await;
            drop((open, place));
        });
    }
    drop(listener);
    shutdown.drain(span(app.limits.grace)).await
}

/// The target that was named, or the only one.
fn default_target<'a>(settings: &'a ProxySettings, targets: &[&'a Target]) -> Option<&'a TargetName> {
    match (&settings.default_target, targets) {
        (Some(named), _) => Some(named),
        (None, [only]) => Some(&only.name),
        (None, _) => None,
    }
}

fn roots(settings: &ProxySettings, mut roots: Bundle) -> Result<Bundle, BindError> {
    if let Some(path) = &settings.upstream_roots {
        roots.add_path(path).map_err(|error| BindError::OwnRoots(path.clone(), error))?;
    }
    Ok(roots)
}

fn inbound(root: Root, clock: &Clock) -> Result<ServerTls, BindError> {
    let mint = Mint::new(root).map_err(BindError::Mint)?;
    let clock = clock.clone();
    let leaves = Leaves::new(mint, Arc::new(move || clock.now()));
    ServerTls::new(Arc::new(leaves), &ALPN).map_err(BindError::Inbound)
}

fn upstreams(settings: &ProxySettings, (own, tls): (SocketAddr, Outbound), shutdown: Shutdown) -> Upstreams {
    let dialer = Dialer {
        tls,
        own,
        connect_timeout: span(settings.limits.connect_timeout),
        idle_timeout: span(settings.limits.idle_timeout),
    };
    Upstreams::new(dialer, shutdown)
}

fn random() -> Result<u64, BindError> {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).map_err(|_| BindError::Random)?;
    Ok(u64::from_be_bytes(bytes))
}
