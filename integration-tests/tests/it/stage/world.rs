//! A whole world in one call: a cluster, a cloud, a program, and the product between them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use broker::Broker;
use broker::audit::{Entry, Filter};
use config::Settings;
use jiff::SignedDuration;
use lease::Leases;
use proxy::{Control, Vitals};
use rustls::ServerConfig;
use serve::{Drained, Shutdown};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::certificates::Authority;
use super::clock::Clock;
use super::cloud::{Cloud, Provider};
use super::cluster::{CHECKOUT, Cluster, Token};
use super::faults::Faults;
use super::product::{Product, keys};
use super::program::{Keys, Program, soon};

/// The `iss` of the broker's tokens. It leads nowhere; the cloud is told where to go instead, as DNS would tell it.
const ISSUER: &str = "https://countersign.acme.test";

/// The bucket that tests use, as SDKs address it.
pub(crate) const BUCKET: &str = "acme-receipts.s3.us-east-1.amazonaws.com";

/// What may be reached, if a test says nothing else.
pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/Receipts";

/// Another role that trusts us.
pub(crate) const OTHER_ROLE: &str = "arn:aws:iam::123456789012:role/Archive";

/// How long the cloud lets a session of the role be.
const LONGEST_SESSION: SignedDuration = SignedDuration::from_hours(1);

/// How long a test waits for the audit: records are handed over in batches.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is granted, if a test says nothing else: everything, to the pods of the checkout service.
const GRANTS: &str = r#"
grants:
  - { name: checkout-uses-receipts, from: checkout, to: receipts, allow: ["*"] }
"#;

const TARGETS: &str = r#"
targets:
  receipts: { kind: aws, role: "arn:aws:iam::123456789012:role/Receipts" }
"#;

/// A world to be.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    grants: Option<String>,
    targets: Option<String>,
    callers: Option<String>,
    limits: Option<String>,
    clusters: Option<String>,
    telemetry: Option<String>,
    shared: Option<String>,
    cloud: Tls,
    ahead: SignedDuration,
}

/// How the cloud is reached.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    /// In clear text, on loopback.
    #[default]
    Off,
    /// Over TLS, with a certificate that the product is told to trust.
    Trusted,
    /// The same, speaking HTTP/2 with whoever offers it.
    Http2,
    /// Over TLS, with a certificate that nobody has told it of.
    Unknown,
    /// Over TLS, with a trusted certificate for another host.
    OtherName,
}

/// Everything at once.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) faults: Arc<Faults>,
    pub(crate) cluster: Cluster,
    pub(crate) cloud: Cloud,
    pub(crate) authority: Authority,
    pub(crate) program: Program,
    pub(crate) broker: Arc<Broker>,
    pub(crate) vitals: Vitals<Broker>,
    /// Where programs that are not beside the product come in, if they may.
    shared: Option<SocketAddr>,
    leases: Arc<Leases<Broker>>,
    control: Arc<Control<Broker>>,
    shutdown: Shutdown,
    running: Option<JoinHandle<Drained>>,
    settings: Settings,
    directory: TempDir,
}

impl Plan {
    /// `conditions` and `grants`, as YAML.
    pub(crate) fn grants(self, yaml: &str) -> Self {
        Self { grants: Some(yaml.to_owned()), ..self }
    }

    /// `targets`, as YAML.
    pub(crate) fn targets(self, yaml: &str) -> Self {
        Self { targets: Some(yaml.to_owned()), ..self }
    }

    /// What its source says of the callers besides who they are: `groups`, `roles`, as YAML in one line.
    pub(crate) fn callers(self, yaml: &str) -> Self {
        Self { callers: Some(yaml.to_owned()), ..self }
    }

    /// What stands in `proxy.limits`, as YAML in braces.
    pub(crate) fn limits(self, yaml: &str) -> Self {
        Self { limits: Some(yaml.to_owned()), ..self }
    }

    /// What stands in `eks_clusters`, as YAML in braces.
    pub(crate) fn clusters(self, yaml: &str) -> Self {
        Self { clusters: Some(yaml.to_owned()), ..self }
    }

    /// What stands in `telemetry`, as YAML in braces.
    pub(crate) fn telemetry(self, yaml: &str) -> Self {
        Self { telemetry: Some(yaml.to_owned()), ..self }
    }

    /// What stands in `proxy.shared` besides an address, as YAML without braces.
    pub(crate) fn shared(self, yaml: &str) -> Self {
        Self { shared: Some(yaml.to_owned()), ..self }
    }

    /// How the cloud is reached.
    pub(crate) fn cloud(self, cloud: Tls) -> Self {
        Self { cloud, ..self }
    }

    /// How far the cloud's clock is ahead of everybody else's.
    pub(crate) fn ahead(self, ahead: SignedDuration) -> Self {
        Self { ahead, ..self }
    }

    /// The config file of this world.
    fn yaml(&self, directory: &Path, (cluster, cloud): (&Cluster, &str)) -> String {
        let issuer = cluster.issuer();
        let (targets, grants) = (self.targets.as_deref().unwrap_or(TARGETS), self.grants.as_deref().unwrap_or(GRANTS));
        let callers = self.callers.as_ref().map_or(String::new(), |yaml| format!("    {yaml}"));
        let limits = self.limits.as_deref().unwrap_or("{}");
        let clusters = self.clusters.as_deref().unwrap_or("{}");
        let telemetry = self.telemetry.as_deref().unwrap_or("{}");
        let shared = self.shared.as_ref();
        let shared = shared.map_or(String::new(), |yaml| format!("  shared: {{ listen: 127.0.0.1:0, {yaml} }}\n"));
        let trusted = matches!(self.cloud, Tls::Trusted | Tls::Http2 | Tls::OtherName);
        let upstream = if trusted { "  upstream: { ca_file: stage.pem }\n" } else { "" };
        let directory = directory.display();
        format!(
            "version: 1\nrealm: acme\n\
             sources:\n  checkout:\n    kind: kubernetes/service-account\n    issuer: {issuer}\n    \
             match: {{ namespace: shop, service_account: checkout }}\n\
             {callers}\n{targets}\n{grants}\neks_clusters: {clusters}\n\
             endpoints:\n  \"*.amazonaws.com\": {cloud}\n  \"*.signin.aws.amazon.com\": {cloud}\n  \
             signin.aws.amazon.com: {cloud}\n  signin.amazonaws-us-gov.com: {cloud}\n  signin.amazonaws.cn: {cloud}\n\
             proxy:\n  listen: 127.0.0.1:0\n  directory: {directory}/proxy\n  token_file: {directory}/token\n\
             {upstream}{shared}  limits: {limits}\n\
             telemetry: {telemetry}\n\
             broker:\n  issuer: {ISSUER}\n  listen: 127.0.0.1:0\n  store: {directory}/broker.db\n"
        )
    }

    /// Starts it.
    pub(crate) async fn start(self) -> World {
        let directory = directory();
        let (clock, faults) = (Clock::new(), Arc::new(Faults::default()));
        let authority = Authority::new(&clock);
        let cluster = Cluster::start(&clock, &faults).await;
        let tls = match self.cloud {
            Tls::Off => None,
            Tls::Trusted | Tls::Unknown => Some(authority.server("127.0.0.1").0),
            Tls::Http2 => Some(speaking_http2(authority.server("127.0.0.1").0)),
            Tls::OtherName => Some(authority.server("stage.test").0),
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let cloud = Cloud::start(&clock.off_by(self.ahead), &faults, tls).await;
        let settings = {
            let path = directory.path().join("countersign.yaml");
            let elsewhere = format!("{scheme}://{}", cloud.address());
            write(&directory.path().join("stage.pem"), authority.pem());
            write(&path, &self.yaml(directory.path(), (&cluster, &elsewhere)));
            config::load(&path, &|_| None).unwrap_or_else(|errors| panic!("{errors}"))
        };
        write(&directory.path().join("token"), &cluster.token(&CHECKOUT).text());
        let product = Product::start(&settings, &clock).await;
        let Product { broker, vitals, leases, control, program, shared, issuer, shutdown, running } = product;
        cloud.trust(provider(issuer));
        let running = Some(running);
        World {
            clock,
            faults,
            cluster,
            cloud,
            authority,
            program,
            broker,
            vitals,
            shared,
            leases,
            control,
            shutdown,
            running,
            settings,
            directory,
        }
    }
}

fn speaking_http2(tls: Arc<ServerConfig>) -> Arc<ServerConfig> {
    let mut tls = Arc::unwrap_or_clone(tls);
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(tls)
}

/// The broker, as somebody has registered it in IAM.
fn provider(address: SocketAddr) -> Provider {
    let roles = [ROLE, OTHER_ROLE].map(|role| (role.to_owned(), LONGEST_SESSION));
    Provider { issuer: ISSUER.to_owned(), address, audience: "sts.amazonaws.com".to_owned(), roles: roles.into() }
}

/// In memory where there is such a place: nothing here has to outlive the machine, and databases wait for disks.
fn directory() -> TempDir {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    in_memory.or_else(|_| tempfile::tempdir()).expect("a directory that can be written to")
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a directory that can be written to");
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

impl World {
    /// A world in which the checkout pods may do everything that their role may.
    pub(crate) async fn new() -> Self {
        Plan::default().start().await
    }

    /// Stops the product: what runs finishes, records are handed over.
    pub(crate) async fn stop(&mut self) -> Drained {
        self.shutdown.begin();
        let running = self.running.take().expect("it is stopped once");
        soon(running).await.expect("the proxy does not panic")
    }

    /// Starts it again on what it left.
    pub(crate) async fn start_again(&mut self) {
        let product = Product::start(&self.settings, &self.clock).await;
        let Product { broker, vitals, leases, control, program, shared, issuer, shutdown, running } = product;
        self.cloud.trust(provider(issuer));
        (self.broker, self.program, self.shutdown, self.running) = (broker, program, shutdown, Some(running));
        (self.vitals, self.leases, self.control, self.shared) = (vitals, leases, control, shared);
    }

    /// Changes the config while the product runs, as `countersign proxy` does when its file has changed.
    pub(crate) async fn change_config(&mut self, from: &str, to: &str) {
        let (settings, waiting) = self.changed_settings(from, to);
        let in_broker = self.broker.prepare(&settings).expect("the broker takes it");
        let in_proxy = self.control.prepare(&settings).expect("the proxy takes it");
        self.broker.commit(in_broker, (b"text", &waiting)).await.expect("the book takes it");
        self.leases.recall(|permit| self.broker.upholds(permit, &self.settings.sources));
        self.control.commit(in_proxy).expect("the proxy runs");
        self.settings = settings;
    }

    /// What the running product can take over of a config with `to` in the place of `from`, and what it cannot.
    pub(crate) fn changed_settings(&self, from: &str, to: &str) -> (Settings, Vec<&'static str>) {
        let path = self.directory.path().join("countersign.yaml");
        let text = std::fs::read_to_string(&path).expect("the config of this world");
        assert!(text.contains(from), "no {from} in {text}");
        write(&path, &text.replacen(from, to, 1));
        let checked = config::check(&path, &|_| None);
        let settings = checked.settings.unwrap_or_else(|| panic!("{}", checked.report));
        settings.taken_over(&self.settings)
    }

    /// A program that starts now, and reads what the proxy has left for programs by now.
    pub(crate) fn another_program(&self) -> Program {
        let left = self.left_for_programs();
        let pem = std::fs::read(left.join("ca.pem")).expect("the proxy leaves its root");
        Program::new(self.program.proxy(), (keys(&left.join("program.env")), &pem), &self.clock)
    }

    /// A program elsewhere, which shows `authorization` to the listener that programs share.
    pub(crate) fn program_elsewhere(&self, authorization: &str) -> Program {
        self.program.sharing(self.shared.expect("a world with a shared listener"), authorization)
    }

    /// Lets the product see to its root.
    pub(crate) fn tend_root(&self) {
        self.control.tend().expect("the proxy runs");
    }

    /// The program with the keys of another target, out of the file that the proxy leaves for SDKs.
    pub(crate) fn program_for(&self, target: &str) -> Program {
        let text = std::fs::read_to_string(self.left_for_programs().join("aws/credentials")).expect("a file for SDKs");
        let profile = text.split_once(&format!("[{target}]\n")).unwrap_or_else(|| panic!("no {target} in {text}")).1;
        let value = |name: &str| {
            let line = profile.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
            line.unwrap_or_else(|| panic!("no {name} in {profile}")).to_owned()
        };
        self.program.with_keys(Keys { id: value("aws_access_key_id"), secret: value("aws_secret_access_key") })
    }

    /// Puts another token into the projected file, and lets the second pass after which it is seen.
    pub(crate) async fn project(&self, token: &Token) {
        self.project_text(&token.text()).await;
    }

    /// The same, with any text.
    pub(crate) async fn project_text(&self, text: &str) {
        let (path, next) = (self.directory.path().join("token"), self.directory.path().join("token.next"));
        write(&next, text);
        std::fs::rename(next, path).expect("a rename within a directory");
        pass(Duration::from_secs(2)).await;
    }

    /// The directory in which the proxy leaves what programs need.
    pub(crate) fn left_for_programs(&self) -> &Path {
        &self.settings.proxy.directory
    }

    /// Everything that the product has written to disk, as one string of bytes.
    pub(crate) fn written(&self) -> Vec<u8> {
        let (mut folders, mut bytes) = (vec![self.directory.path().to_owned()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder of this world") {
                let path = entry.expect("a readable folder").path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("token") {
                    bytes.extend(std::fs::read(path).expect("a readable file"));
                }
            }
        }
        bytes
    }

    /// Waits until something holds, but not for ever.
    pub(crate) async fn until(&self, holds: impl Fn() -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !holds() {
            assert!(tokio::time::Instant::now() < deadline, "it does not come to hold");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Events of the audit that `filter` finds, oldest first, as soon as there are `count`.
    pub(crate) async fn audit(&self, filter: Filter, count: usize) -> Vec<Entry> {
        let book = self.broker.book();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let mut found = book.search(&filter).await.expect("the audit can be read").entries;
            if found.len() >= count {
                found.reverse();
                return found;
            }
            assert!(tokio::time::Instant::now() < deadline, "the audit has {found:#?}, and not {count} of {filter:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Lets time pass for timers, and for nothing else.
pub(crate) async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
