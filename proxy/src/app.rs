//! What every connection of the sidecar shares.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use access::{Clock, TargetName};
use arc_swap::ArcSwapOption;
use ca::ServerTls;
use config::{Endpoints, Limits, Settings};
use jiff::SignedDuration;
use lease::{DerivedCredentials, Leases, SignInTokens};
use serve::Shutdown;

use crate::books::ids::RequestIds;
use crate::books::metrics::Metrics;
use crate::books::record::Entry;
use crate::books::reporter::Reporter;
use crate::calls::classify::Classifier;
use crate::calls::echo::Said;
use crate::calls::identify::TokenFile;
use crate::calls::skews::Skews;
use crate::client::Client;
use crate::entrances::distrust::Distrust;
use crate::entrances::shared::Shared;
use crate::places::destination::Destination;
use crate::places::egress::Egress;
use crate::program::default_target;
use crate::rates::Limiter;
use crate::upstream::{Dialer, Upstreams};
use crate::wire::guard::Patience;
use crate::wire::holding::Holding;
use crate::wire::ledger::Ledger;

/// The parts that requests meet, in that order. It never changes: where the settings do, another takes its place, which
/// has the parts with a memory in common with it.
#[derive(Debug)]
pub(crate) struct App<L> {
    pub(crate) latest: Arc<Latest<L>>,
    pub(crate) tls: ServerTls,
    pub(crate) endpoints: Endpoints,
    pub(crate) egress: Arc<Egress>,
    /// What apps prove themselves to, if several share this proxy.
    pub(crate) shared: Option<Arc<Shared>>,
    pub(crate) ids: Arc<RequestIds>,
    pub(crate) classifier: Classifier,
    pub(crate) identity: Arc<TokenFile>,
    pub(crate) leases: Arc<Leases<L>>,
    pub(crate) derived: Arc<DerivedCredentials>,
    pub(crate) sign_ins: Arc<SignInTokens>,
    /// What calls are judged by that are made with credentials which a program has got without a placeholder.
    pub(crate) default_target: Option<TargetName>,
    pub(crate) upstreams: Upstreams,
    pub(crate) skews: Arc<Skews>,
    pub(crate) distrust: Arc<Distrust>,
    pub(crate) said: Arc<Said>,
    pub(crate) reporter: Reporter,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) holding: Arc<Holding>,
    pub(crate) limits: Limits,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) clock: Clock,
    pub(crate) shutdown: Shutdown,
}

/// The parts of an [`App`] that other settings change.
pub(crate) struct Renewed {
    pub(crate) tls: ServerTls,
    pub(crate) classifier: Classifier,
    pub(crate) dialer: Dialer,
    pub(crate) shared: Option<Arc<Shared>>,
}

/// The one that is in force.
pub(crate) struct Latest<L>(ArcSwapOption<App<L>>);

impl<L> Latest<L> {
    /// None yet.
    pub(crate) fn none() -> Arc<Self> {
        Arc::new(Self(ArcSwapOption::empty()))
    }

    pub(crate) fn load(&self) -> Option<Arc<App<L>>> {
        self.0.load_full()
    }

    /// Puts another into force: whatever begins from now on meets it.
    pub(crate) fn store(&self, app: Arc<App<L>>) {
        self.0.store(Some(app));
    }

    /// Lets go of it. Nothing begins any more; who has it goes on with it.
    pub(crate) fn clear(&self) {
        self.0.store(None);
    }
}

/// Whoever showed it would go round in a circle.
impl<L> std::fmt::Debug for Latest<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Latest")
    }
}

impl<L> App<L> {
    /// The one in force, if that is another than this.
    pub(crate) fn newer(self: &Arc<Self>) -> Option<Arc<Self>> {
        let latest = self.latest.0.load();
        latest.as_ref().filter(|latest| !Arc::ptr_eq(latest, self)).cloned()
    }

    /// What takes its place under other settings.
    pub(crate) fn successor(&self, settings: &Settings, renewed: Renewed) -> Self {
        let Renewed { tls, classifier, dialer, shared } = renewed;
        let ours = &settings.proxy;
        let same_room = ours.limits.held_body_bytes == self.limits.held_body_bytes;
        let same_token = self.identity.is_at(&ours.token_file);
        Self {
            latest: self.latest.clone(),
            tls,
            endpoints: settings.endpoints.clone(),
            egress: dialer.egress.clone(),
            shared,
            ids: self.ids.clone(),
            classifier,
            identity: if same_token {
                self.identity.clone()
            } else {
                Arc::new(TokenFile::new(ours.token_file.clone()))
            },
            leases: self.leases.clone(),
            derived: self.derived.clone(),
            sign_ins: self.sign_ins.clone(),
            default_target: default_target(settings).cloned(),
            upstreams: self.upstreams.through(dialer),
            skews: self.skews.clone(),
            distrust: self.distrust.clone(),
            said: self.said.clone(),
            reporter: self.reporter.clone(),
            metrics: self.metrics.clone(),
            holding: if same_room { self.holding.clone() } else { Arc::new(Holding::new(ours.limits.held_body_bytes)) },
            limits: ours.limits.clone(),
            limiter: Arc::new(self.limiter.renewed(ours.limits.rates, targets(settings))),
            clock: self.clock.clone(),
            shutdown: self.shutdown.clone(),
        }
    }

    /// Opens the record of a request whose head is here.
    pub(crate) fn record(&self, from: IpAddr, ledger: Arc<Ledger>) -> Box<Entry> {
        let now = self.clock.now();
        Box::new(Entry::open((self.ids.next(now), now), Some(from), ledger, self.reporter.clone()))
    }

    /// The same for what is no request: a tunnel, or a connection that does not get to one.
    pub(crate) fn record_of(&self, client: &Client, to: Option<&Destination>) -> Box<Entry> {
        let mut entry = self.record(client.address, Arc::default());
        entry.known(client.named());
        if let Some(to) = to {
            entry.to(to);
        }
        entry
    }

    /// How long programs may take.
    pub(crate) fn patience(&self) -> Patience {
        Patience { head: span(self.limits.head_timeout), idle: self.idle() }
    }

    /// How long nothing may happen.
    pub(crate) fn idle(&self) -> Duration {
        span(self.limits.idle_timeout)
    }
}

/// The limits of requests, as the settings say them.
pub(crate) fn limiter(settings: &Settings) -> Arc<Limiter> {
    Arc::new(Limiter::new(settings.proxy.limits.rates, targets(settings)))
}

fn targets(settings: &Settings) -> impl Iterator<Item = TargetName> {
    settings.rules.targets().map(|target| target.name.clone())
}

/// A length of time as tokio takes it. Settings are never negative; one that were would be over at once.
pub(crate) fn span(duration: SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or_default()
}
