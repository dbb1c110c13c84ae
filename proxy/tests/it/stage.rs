//! A world in one call: a running proxy, its lessor, its clock.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use access::{
    Assurance, AwsCredential, Call, Caller, Clock, Cloud, Context, Credential, Evidence, Grant, GrantName, Lease,
    LeaseId, Outcome, Pattern, Record, Refusal, RefusalCode, Rules, Secret, SourceName, Target, TargetName, Who,
    decide,
};
use config::{
    BrokerSettings, CaSettings, Endpoints, Limits, ProxySettings, Settings, Surroundings, TelemetrySettings, Ways,
};
use jiff::{SignedDuration, Timestamp};
use lease::{Ask, Leases, Lessor, ReportError};
use proxy::{Control, Metrics, Parts, Proxy, Vitals};
use serve::metrics::{Counted, Page};
use serve::{Drained, Shutdown};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// The key that AWS would know.
pub(crate) const REAL_KEY: &str = "ASIAREALREALREALREAL";
pub(crate) const REAL_SECRET: &str = "really-secret";
pub(crate) const REAL_TOKEN: &str = "real-token";

/// Now, for everyone.
pub(crate) fn noon() -> Timestamp {
    "2026-07-05T12:00:00Z".parse().unwrap()
}

pub(crate) struct Stage {
    pub(crate) proxy: SocketAddr,
    pub(crate) shared: Option<SocketAddr>,
    pub(crate) lessor: Arc<StubLessor>,
    pub(crate) metrics: Arc<Metrics>,
    vitals: Vitals<StubLessor>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) shutdown: Shutdown,
    pub(crate) running: JoinHandle<Drained>,
    pub(crate) settings: Settings,
    control: Arc<Control<StubLessor>>,
    pub(crate) token: PathBuf,
    pub(crate) directory: TempDir,
}

/// What tests may want otherwise.
pub(crate) struct Wish {
    pub(crate) endpoints: Vec<(&'static str, String)>,
    pub(crate) limits: Limits,
    pub(crate) upstream_roots: Option<PathBuf>,
    pub(crate) ways: Ways,
    pub(crate) telemetry: TelemetrySettings,
}

impl Wish {
    /// All of AWS is at `destination`.
    pub(crate) fn aws_at(destination: SocketAddr) -> Self {
        let seconds = SignedDuration::from_secs;
        Self {
            endpoints: vec![("*amazonaws.com", format!("http://{destination}"))],
            limits: Limits {
                connections: 100,
                connections_per_host: 100,
                held_body_bytes: 64 * 1024,
                head_timeout: seconds(10),
                connect_timeout: seconds(5),
                idle_timeout: seconds(30),
                grace: seconds(5),
                rates: config::Rates::default(),
            },
            upstream_roots: None,
            ways: Ways::default(),
            telemetry: TelemetrySettings::default(),
        }
    }
}

impl Stage {
    pub(crate) async fn new(destination: SocketAddr) -> Self {
        Self::with(Wish::aws_at(destination)).await
    }

    pub(crate) async fn with(wish: Wish) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        std::fs::write(&token, "header.payload.signature").unwrap();
        let settings = settings(&directory, token.clone(), wish);
        let (clock, shutdown) = (Clock::new(noon), Shutdown::new());
        let lessor = Arc::new(StubLessor::default());
        let parts = Parts {
            root: proxy::authority(&settings.proxy.ca, [], noon()).unwrap(),
            leases: Arc::new(Leases::new(lessor.clone(), clock.clone(), shutdown.clone())),
            lessor: lessor.clone(),
            clock,
            shutdown: shutdown.clone(),
            inherited: |_| None,
        };
        let proxy = Proxy::bind(&settings, parts).await.unwrap();
        let (address, metrics, vitals) = (proxy.local_addr(), proxy.metrics(), proxy.vitals());
        let (shared, control) = (proxy.shared_addr(), proxy.control());
        let environment = proxy.environment().to_vec();
        let running = tokio::spawn(proxy.run());
        Self {
            proxy: address,
            shared,
            lessor,
            metrics,
            vitals,
            environment,
            shutdown,
            running,
            settings,
            control,
            token,
            directory,
        }
    }

    /// Puts changed settings into force.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings.clone();
        change(&mut settings);
        let ready = self.control.prepare(&settings).unwrap();
        self.control.commit(ready).unwrap();
    }

    /// The default target's placeholder, as programs get it.
    pub(crate) fn placeholder(&self) -> (String, String) {
        let value = |wanted: &str| self.environment.iter().find(|(name, _)| name == wanted).unwrap().1.clone();
        (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"))
    }

    /// The next record that the lessor hears of.
    pub(crate) async fn record(&self) -> Record {
        let heard = async {
            loop {
                if let Some(record) = self.lessor.records.lock().unwrap().pop_front() {
                    return record;
                }
                self.lessor.heard.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), heard).await.expect("a record within seconds")
    }

    /// Requests that were sent once more.
    pub(crate) fn repeated(&self) -> u64 {
        self.number("countersign_upstream_requests_repeated_total")
    }

    /// A number as it is told outside, by its name and labels.
    pub(crate) fn number(&self, name: &str) -> u64 {
        let mut page = Page::default();
        self.vitals.tell(&mut page);
        let page = page.into_text();
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
    }

    pub(crate) async fn outcome(&self) -> Outcome {
        self.record().await.outcome
    }
}

fn settings(directory: &TempDir, token_file: PathBuf, wish: Wish) -> Settings {
    let endpoints = wish.endpoints.into_iter().map(|(host, url)| (Pattern::new(host).unwrap(), url.parse().unwrap()));
    Settings {
        realm: "test".into(),
        sources: Vec::new(),
        rules: rules(),
        endpoints: Endpoints::new(endpoints.collect()),
        proxy: ProxySettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            directory: directory.path().join("run"),
            token_file,
            default_target: None,
            ca: CaSettings::Ephemeral { lifetime: SignedDuration::from_hours(1) },
            upstream_roots: wish.upstream_roots,
            ways: wish.ways,
            limits: wish.limits,
        },
        broker: BrokerSettings {
            store: config::Store::File(directory.path().join("store")),
            issuer: "https://broker.test".parse().unwrap(),
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: None,
            encryption_key: None,
            key_lifetime: SignedDuration::from_hours(1),
            key_publish_ahead: SignedDuration::from_hours(1),
            aws_audience: "sts.amazonaws.com".into(),
        },
        telemetry: wish.telemetry,
    }
}

/// What stands under `proxy` in a config, as the ways that it means.
pub(crate) fn ways(yaml: &str) -> Ways {
    let text = format!("version: 1\nrealm: a\nproxy: {{{yaml}}}\nbroker: {{issuer: \"https://b.test\"}}\n");
    let nothing = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    let surroundings = Surroundings {
        directory: Path::new("/"),
        env: &|name| (name == "UPSTREAM").then(|| "us:hunter2".to_owned()),
        read: &nothing,
    };
    config::parse("test", text.as_bytes(), &surroundings).into_result().unwrap().proxy.ways
}

pub(crate) fn rules() -> Rules {
    let target = Target {
        name: TargetName::new("receipts").unwrap(),
        cloud: Cloud::Aws,
        role: "arn:aws:iam::123456789012:role/receipts".into(),
        service: None,
        resources: Vec::new(),
        region: "us-east-1".into(),
        session: SignedDuration::from_hours(1),
    };
    let grant = Grant {
        name: GrantName::new("billing-receipts").unwrap(),
        from: vec![Who::Source(SourceName::new("pods").unwrap())],
        to: target.name.clone(),
        allow: vec![Pattern::new("*").unwrap().into()],
        deny: Vec::new(),
        conditions: Vec::new(),
        session: None,
        policies: Vec::new(),
    };
    Rules::new([target], [grant])
}

/// Lends to everyone, unless told to refuse; keeps what it hears.
#[derive(Debug, Default)]
pub(crate) struct StubLessor {
    pub(crate) refuse: Mutex<Option<Refusal>>,
    pub(crate) asked: Mutex<Vec<Ask>>,
    /// How often it was shown a token.
    pub(crate) shown: Mutex<usize>,
    /// So many reports fail.
    pub(crate) deaf: Mutex<usize>,
    records: Mutex<VecDeque<Record>>,
    heard: tokio::sync::Notify,
}

impl Lessor for StubLessor {
    async fn lease(&self, ask: Ask) -> Result<Lease, Refusal> {
        self.asked.lock().unwrap().push(ask.clone());
        if let Some(refusal) = self.refuse.lock().unwrap().clone() {
            return Err(refusal);
        }
        Ok(lease(&ask.target, &ask.call))
    }

    async fn recognise(&self, evidence: Arc<Evidence>) -> Result<String, Refusal> {
        *self.shown.lock().unwrap() += 1;
        match evidence.expose().starts_with("forged.") {
            true => Err(Refusal::new(RefusalCode::EvidenceInvalid, "nobody has signed this token")),
            false => Ok("token:billing".into()),
        }
    }

    async fn recalls(&self, _: Option<lease::Position>) -> Result<lease::Heard, Refusal> {
        std::future::pending().await
    }

    async fn report(&self, records: &[Record]) -> Result<(), ReportError> {
        let mut deaf = self.deaf.lock().unwrap();
        if *deaf > 0 {
            *deaf -= 1;
            return Err(ReportError(Arc::new(std::io::Error::other("the store is busy"))));
        }
        self.records.lock().unwrap().extend(records.iter().cloned());
        self.heard.notify_one();
        Ok(())
    }
}

fn lease(target: &TargetName, call: &Call) -> Lease {
    let caller = Caller {
        subject: "system:serviceaccount:shop:billing".into(),
        issuer: "https://cluster.test".into(),
        sources: vec![SourceName::new("pods").unwrap()],
        groups: Vec::new(),
        roles: Vec::new(),
        attributes: std::collections::BTreeMap::new(),
        assurance: Assurance::default(),
        principal: None,
        actor: None,
        until: noon() + SignedDuration::from_hours(1),
    };
    let context = Context { now: noon(), from: None };
    let permit = decide(&Arc::new(caller), (target, call), &rules(), &context).expect("the grant covers everything");
    let credential = AwsCredential {
        access_key_id: REAL_KEY.into(),
        secret_access_key: Secret::new(REAL_SECRET.into()),
        session_token: Secret::new(REAL_TOKEN.into()),
        expires: noon() + SignedDuration::from_hours(1),
    };
    Lease::new(LeaseId::new(uuid::Uuid::from_u128(7)), permit, Credential::Aws(credential), noon())
}
