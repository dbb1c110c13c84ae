//! Changing a running proxy: everything is made ready first, and then put into force by one swap.
//!
//! Requests that have begun end as they began. The next request of an open connection, and every new connection, meets the
//! new settings: who asks is asked again, and where to. What goes through untouched goes on as it began.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use access::{Clock, Target};
use ca::{Bundle, Leaves, Mint, Root, ServerTls};
use config::{ProxySettings, Settings};
use rustls::pki_types::CertificateDer;

use crate::app::{App, Latest, Renewed, span};
use crate::calls::classify::Classifier;
use crate::entrances::shared::Shared;
use crate::places::egress::Egress;
use crate::program::{Inherited, Offer, Programs, default_target};
use crate::proxy::BindError;
use crate::succession::{Succession, Turn};
use crate::upstream::{Dialer, Era, Outbound, Seats, Via};
use crate::wire::protocol::Protocol;

/// Protocols that programs are offered (RFC 7301), unless their destination is found to speak HTTP/2.
const ALPN: [&[u8]; 1] = [Protocol::Http1.alpn()];

/// What stays as long as the proxy runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    pub(crate) inherited: Inherited,
}

impl Place {
    /// Writes what programs need, and says what the proxy has to know of it.
    pub(crate) fn programs(self, settings: &Settings, ours: &[CertificateDer<'static>]) -> Result<Programs, BindError> {
        let targets: Vec<&Target> = settings.rules.targets().map(|target| &**target).collect();
        let offer = Offer {
            directory: &settings.proxy.directory,
            address: self.address,
            targets: &targets,
            default_target: default_target(settings),
            inherited: self.inherited,
        };
        let system = Bundle::system().map_err(BindError::Roots)?;
        Ok(Programs::prepare(&offer, ours, system)?)
    }

    /// The way to destinations.
    pub(crate) fn dialer(self, settings: &Settings) -> Result<Dialer, BindError> {
        let ours = &settings.proxy;
        let mut roots = Bundle::system().map_err(BindError::Roots)?;
        if let Some(path) = &ours.upstream_roots {
            roots.add_path(path).map_err(|error| BindError::OwnRoots(path.clone(), error))?;
        }
        let tls = Outbound::new(&roots).map_err(BindError::Outbound)?;
        let via = ours.ways.via.as_ref().map(|via| Arc::new(Via::new(via, tls.http1().clone())));
        Ok(Dialer {
            era: Era::default(),
            tls,
            own: self.address,
            egress: Arc::new(Egress::new(&ours.ways, &settings.endpoints)),
            names: Arc::default(),
            seats: Arc::new(Seats::new(ours.limits.connections_per_host)),
            via,
            dialled: (!ours.ways.transparent.is_empty()).then(Arc::default),
            connect_timeout: span(ours.limits.connect_timeout),
            idle_timeout: span(ours.limits.idle_timeout),
        })
    }
}

/// What apps prove themselves to, if several share the proxy.
pub(crate) fn shared(settings: &ProxySettings) -> Result<Option<Arc<Shared>>, BindError> {
    let Some(shared) = &settings.ways.shared else { return Ok(None) };
    let tls = shared.tls.as_ref().map(|files| {
        serve::server_config_with_clients((&files.certificate, &files.key), shared.client_authorities.as_deref())
    });
    Ok(Some(Arc::new(Shared::new(shared, tls.transpose().map_err(BindError::Shared)?))))
}

/// TLS towards programs, certified by `root`.
pub(crate) fn inbound(root: impl Into<Arc<Root>>, clock: &Clock) -> Result<ServerTls, BindError> {
    let mint = Mint::new(root).map_err(BindError::Mint)?;
    let clock = clock.clone();
    let leaves = Leaves::new(mint, Arc::new(move || clock.now()));
    ServerTls::new(Arc::new(leaves), &ALPN).map_err(BindError::Inbound)
}

/// Changes a running proxy. It does not keep it alive.
#[derive(Debug)]
pub struct Control<L> {
    latest: Weak<Latest<L>>,
    place: Place,
    state: Mutex<State>,
}

/// What changes are made from. Only changes lock it, never a request.
#[derive(Debug)]
struct State {
    settings: Settings,
    roots: Succession,
}

/// Settings that are ready to come into force.
#[derive(Debug)]
pub struct Change<L> {
    app: Arc<App<L>>,
    state: State,
}

/// Where the app in force is kept, and that app.
type InForce<L> = (Arc<Latest<L>>, Arc<App<L>>);

impl<L> Control<L> {
    pub(crate) fn new(latest: &Arc<Latest<L>>, place: Place, settings: &Settings) -> Self {
        let state = State { settings: settings.clone(), roots: Succession::new(&settings.proxy.ca) };
        Self { latest: Arc::downgrade(latest), place, state: Mutex::new(state) }
    }

    /// Gets other settings ready, as [`Settings::taken_over`] gives them. Nothing is in force yet, but the files of programs
    /// that start from now on: they tell of targets and roots to come.
    pub fn prepare(&self, settings: &Settings) -> Result<Change<L>, BindError> {
        let (_, app) = self.running()?;
        let mut roots = self.state.lock().unwrap_or_else(PoisonError::into_inner).roots.clone();
        let given = (&settings.proxy.ca, &settings.endpoints);
        let turn = roots.review(app.tls.root(), given, app.clock.now())?;
        let next = self.next((&app, &roots), settings, turn)?;
        Ok(Change { app: Arc::new(next), state: State { settings: settings.clone(), roots } })
    }

    /// Puts a change into force.
    pub fn commit(&self, Change { app, state }: Change<L>) -> Result<(), BindError> {
        let (latest, _) = self.running()?;
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        latest.store(app);
        Ok(())
    }

    /// Does what time asks for: a root that we made is followed by another before it ends. Connections that are open go
    /// on.
    pub fn tend(&self) -> Result<(), BindError> {
        let (latest, app) = self.running()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { settings, roots } = &mut *state;
        let turn = roots.tend(app.tls.root(), (&settings.proxy.ca, &settings.endpoints), app.clock.now())?;
        match &turn {
            Turn::Stays => return Ok(()),
            Turn::Announced => tracing::info!("a root to come is announced; programs that start now trust it"),
            Turn::Replaced(root) => tracing::info!(until = %root.not_after(), "another root certifies from now on"),
        }
        // What programs were not told of must not take over.
        let next = self.next((&app, roots), settings, turn).inspect_err(|_| roots.withdraw())?;
        latest.store(Arc::new(next));
        Ok(())
    }

    fn next(&self, (app, roots): (&App<L>, &Succession), settings: &Settings, turn: Turn) -> Result<App<L>, BindError> {
        let tls = match turn {
            Turn::Stays | Turn::Announced => app.tls.clone(),
            Turn::Replaced(root) => inbound(root, &app.clock)?,
        };
        let programs = self.place.programs(settings, &roots.trusted(tls.root().certificate()))?;
        let renewed = Renewed {
            tls,
            classifier: Classifier::new(programs.placeholders),
            dialer: self.place.dialer(settings)?,
            shared: shared(&settings.proxy)?,
        };
        Ok(app.successor(settings, renewed))
    }

    fn running(&self) -> Result<InForce<L>, BindError> {
        let latest = self.latest.upgrade().ok_or(BindError::Stopping)?;
        let app = latest.load().ok_or(BindError::Stopping)?;
        Ok((latest, app))
    }
}
