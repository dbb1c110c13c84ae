//! The product of a world: broker, issuer and proxy, wired as `countersign proxy` wires them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use broker::Broker;
use config::Settings;
use lease::Leases;
use proxy::{Control, Parts, Proxy, Vitals};
use serve::{Drained, Listener, Shutdown};
use tokio::task::JoinHandle;

use super::clock::Clock;
use super::program::{Keys, Program};

/// The product at work.
pub(super) struct Product {
    pub(super) broker: Arc<Broker>,
    pub(super) vitals: Vitals<Broker>,
    pub(super) leases: Arc<Leases<Broker>>,
    pub(super) control: Arc<Control<Broker>>,
    pub(super) program: Program,
    pub(super) shared: Option<SocketAddr>,
    /// Where the issuer's documents are served.
    pub(super) issuer: SocketAddr,
    pub(super) shutdown: Shutdown,
    pub(super) running: JoinHandle<Drained>,
}

impl Product {
    /// Starts broker, issuer and proxy, as `countersign proxy` does, and a program that reads what the proxy leaves.
    pub(super) async fn start(settings: &Settings, clock: &Clock) -> Self {
        let shutdown = Shutdown::new();
        let broker = Arc::new(Broker::open(settings, clock.for_product()).await.expect("the broker opens"));
        let issuer = serve_issuer(&broker, &shutdown).await;
        let leases = Arc::new(Leases::new(broker.clone(), clock.for_product(), shutdown.clone()));
        let proxy = bind_proxy(settings, (&broker, clock), (leases.clone(), &shutdown)).await;
        let (vitals, control, shared) = (proxy.vitals(), proxy.control(), proxy.shared_addr());
        let left = &settings.proxy.directory;
        let pem = std::fs::read(left.join("ca.pem")).expect("the proxy leaves its root");
        let program = Program::new(proxy.local_addr(), (keys(&left.join("program.env")), &pem), clock);
        let running = tokio::spawn(proxy.run());
        Self { broker, vitals, leases, control, program, shared, issuer, shutdown, running }
    }
}

async fn serve_issuer(broker: &Broker, shutdown: &Shutdown) -> SocketAddr {
    let listener = Listener::bind("127.0.0.1:0".parse().expect("an address"), 100).await.expect("a free port");
    let (address, routes) = (listener.address(), broker::issuer::routes(&broker.issuer()));
    let stopping = shutdown.clone();
    shutdown.spawn(serve::router(listener, routes, None, stopping));
    address
}

async fn bind_proxy(
    settings: &Settings,
    (broker, clock): (&Arc<Broker>, &Clock),
    (leases, shutdown): (Arc<Leases<Broker>>, &Shutdown),
) -> Proxy<Broker> {
    let now = clock.for_product();
    let parts = Parts {
        root: proxy::authority(&settings.proxy.ca, [], now.now()).expect("a certificate authority"),
        lessor: broker.clone(),
        leases,
        clock: now,
        shutdown: shutdown.clone(),
        inherited: |_| None,
    };
    Proxy::bind(settings, parts).await.expect("the proxy binds")
}

/// The keys in a file of `export NAME='value'` lines.
pub(super) fn keys(environment: &Path) -> Keys {
    let text = std::fs::read_to_string(environment).expect("the proxy leaves an environment");
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("export {name}='")));
        line.and_then(|rest| rest.strip_suffix('\'')).unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
    };
    Keys { id: value("AWS_ACCESS_KEY_ID"), secret: value("AWS_SECRET_ACCESS_KEY") }
}
