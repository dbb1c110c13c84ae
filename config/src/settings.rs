//! What a config means: typed, complete, every name resolved, nothing left to check.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use access::{Pattern, Rules, Secret, TargetName};
use jiff::SignedDuration;
use url::Url;

use crate::source::Source;
use crate::ways::{Places, Ways};

/// A whole config, validated.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Keeps two installations apart: it stands in session names and events.
    pub realm: String,
    /// Where identities come from.
    pub sources: Vec<Source>,
    /// Targets and grants, role mappings included.
    pub rules: Rules,
    /// Cloud hosts that are somewhere else.
    pub endpoints: Endpoints,
    /// The sidecar.
    pub proxy: ProxySettings,
    /// The embedded broker.
    pub broker: BrokerSettings,
    /// What is told about what runs.
    pub telemetry: TelemetrySettings,
}

/// Host patterns and where they really are: `*.amazonaws.com` → an emulator on loopback.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    elsewhere: Vec<(Pattern, Url)>,
    alone: Places,
    clusters: BTreeMap<String, String>,
}

impl Endpoints {
    /// Takes patterns in order; the first that matches wins.
    pub fn new(endpoints: Vec<(Pattern, Url)>) -> Self {
        Self { elsewhere: endpoints, alone: Places::default(), clusters: BTreeMap::new() }
    }

    /// The same, with cloud hosts that are not intercepted.
    #[must_use]
    pub fn leaving_alone(self, alone: Places) -> Self {
        Self { alone, ..self }
    }

    /// With the API servers of EKS clusters: hosts (lower case, no port) and the clusters' names.
    #[must_use]
    pub fn with_clusters(self, clusters: BTreeMap<String, String>) -> Self {
        Self { clusters, ..self }
    }

    /// The name of the EKS cluster whose API server `host` is.
    pub fn cluster(&self, host: &str) -> Option<&str> {
        self.clusters.get(host).map(String::as_str)
    }

    /// Where `host` (lower case, no port) really is, if not where its name says.
    pub fn of(&self, host: &str) -> Option<&Url> {
        self.elsewhere.iter().find(|(pattern, _)| pattern.matches(host)).map(|(_, url)| url)
    }

    /// Where they lead, in order.
    pub fn urls(&self) -> impl Iterator<Item = &Url> {
        self.elsewhere.iter().map(|(_, url)| url)
    }

    /// Whether connections to `host` are tunnelled untouched although it is a cloud's.
    pub fn leave_alone(&self, host: &str, port: u16) -> bool {
        match host.parse() {
            Ok(address) => self.alone.have_address(address, port),
            Err(_) => self.alone.have_name(host, port),
        }
    }

    /// The host patterns, in order, and the hosts of clusters.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        let elsewhere = self.elsewhere.iter().map(|(pattern, _)| pattern.as_str());
        elsewhere.chain(self.clusters.keys().map(String::as_str))
    }
}

/// The sidecar's settings.
#[derive(Debug, Clone)]
pub struct ProxySettings {
    /// Where programs reach it; loopback by default.
    pub listen: SocketAddr,
    /// Where it leaves what programs need: `ca.pem`, `bundle.pem`, `program.env`, placeholder credentials.
    pub directory: PathBuf,
    /// The file with the pod's projected service-account token, read again when it changes.
    pub token_file: PathBuf,
    /// The target whose placeholder is the default one; the only target if there is one.
    pub default_target: Option<TargetName>,
    /// The certificate authority.
    pub ca: CaSettings,
    /// PEM file with roots to trust upstream besides the system's.
    pub upstream_roots: Option<PathBuf>,
    /// The ways in and out besides.
    pub ways: Ways,
    /// What is enough.
    pub limits: Limits,
}

/// The certificate authority's settings.
#[derive(Debug, Clone)]
pub enum CaSettings {
    /// Made at the start, kept in memory, name-constrained to what is intercepted.
    Ephemeral {
        /// How long it is valid.
        lifetime: SignedDuration,
    },
    /// Given.
    Given {
        /// PEM file.
        certificate: PathBuf,
        /// PEM file (PKCS#8), or its content from `${env:…}`.
        key: Secret<String>,
    },
}

/// What is enough: every wait, queue and body of the sidecar has an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections from programs at once.
    pub connections: usize,
    /// Connections to one destination at once, of those that carry one request at a time.
    pub connections_per_host: usize,
    /// Bytes of a body that must be held because its hash stands in the signature and the client did not send it.
    pub held_body_bytes: usize,
    /// For a whole request head to arrive.
    pub head_timeout: SignedDuration,
    /// For a connection to the destination, TLS included.
    pub connect_timeout: SignedDuration,
    /// Without a byte in either direction, within a request or a tunnel.
    pub idle_timeout: SignedDuration,
    /// For running requests to end after the first signal.
    pub grace: SignedDuration,
    /// How much may come from one peer, or go to one target.
    pub rates: Rates,
}

/// How much may come from one peer, or go to one target; `None`: as much as there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Connections at once from one address.
    pub connections_per_peer: Option<u32>,
    /// Requests a second from one address.
    pub requests_per_peer: Option<u32>,
    /// Requests a second to one target.
    pub requests_per_target: Option<u32>,
}

/// The embedded broker's settings.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
    /// Where directory, keys and audit are kept.
    pub store: Store,
    /// The `iss` of our tokens: the URL under which clouds find discovery and JWKS.
    pub issuer: Url,
    /// Where discovery and JWKS are served; clouds must reach it under `issuer`.
    pub listen: SocketAddr,
    /// Certificate and key files, if it serves TLS itself.
    pub tls: Option<TlsFiles>,
    /// 32 bytes that encrypt private keys at rest, base64; `None`: made at the first start and kept beside the store, mode 0600.
    pub encryption_key: Option<Secret<String>>,
    /// How long a signing key signs.
    pub key_lifetime: SignedDuration,
    /// How long before its first use a signing key is published (clouds cache our JWKS).
    pub key_publish_ahead: SignedDuration,
    /// The `aud` of tokens for AWS.
    pub aws_audience: String,
}

/// Where a broker keeps what it knows.
#[derive(Debug, Clone)]
pub enum Store {
    /// An SQLite file.
    File(PathBuf),
    /// A PostgreSQL database.
    Server(Postgres),
}

/// A PostgreSQL database.
#[derive(Debug, Clone)]
pub struct Postgres {
    /// The server.
    pub at: PostgresAt,
    /// Its port.
    pub port: u16,
    /// As whom.
    pub user: String,
    /// What proves it, if the server asks.
    pub password: Option<Secret<String>>,
    /// The database's name.
    pub database: String,
    /// PEM file with roots to trust besides those that browsers trust.
    pub ca: Option<PathBuf>,
    /// Connections at once.
    pub connections: u32,
}

/// Which way a PostgreSQL server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostgresAt {
    /// Through a socket in this directory.
    Socket(PathBuf),
    /// On this machine.
    Loopback(String),
    /// On another machine, over TLS; its certificate must be for this name.
    Remote(String),
}

impl Postgres {
    /// Which one it is, for people: no secret stands in it.
    pub fn place(&self) -> String {
        let Self { at, port, user, database, .. } = self;
        match at {
            PostgresAt::Socket(directory) => format!("postgres:///{database}?host={}&user={user}", directory.display()),
            PostgresAt::Loopback(host) | PostgresAt::Remote(host) => {
                format!("postgres://{user}@{host}:{port}/{database}")
            }
        }
    }
}

impl Store {
    /// Which one it is, for people: no secret stands in it.
    pub fn place(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Server(server) => server.place(),
        }
    }
}

/// A certificate chain and its key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Chain, leaf first.
    pub certificate: PathBuf,
    /// PKCS#8 key.
    pub key: PathBuf,
}

/// What is told about what runs, and where.
#[derive(Debug, Clone, Default)]
pub struct TelemetrySettings {
    /// Where health and numbers are served, if anywhere.
    pub listen: Option<SocketAddr>,
    /// What is logged where the command line does not say it.
    pub log: LogLevel,
    /// Where a line for every request goes, if anywhere.
    pub records: Option<RecordsTo>,
    /// The collector that is told of requests, if any.
    pub otlp: Option<OtlpSettings>,
}

/// A collector of OpenTelemetry, and what it is told.
#[derive(Debug, Clone)]
pub struct OtlpSettings {
    /// What `v1/traces` and `v1/logs` are below of.
    pub endpoint: Url,
    /// Names (lower case) and values.
    pub headers: Vec<(String, Secret<String>)>,
    /// PEM file with roots to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// If it gets spans: of a million requests without a trace, so many begin one.
    pub traces_per_million: Option<u32>,
    /// Whether it gets access records.
    pub records: bool,
    /// Attributes of all that it gets.
    pub resource: Vec<(String, String)>,
}

/// Where the lines of the access log go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordsTo {
    /// To stdout.
    Stdout,
    /// To a file.
    File(RecordFile),
}

/// A file of the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFile {
    /// Where.
    pub path: PathBuf,
    /// Put aside before it grows beyond this.
    pub rotate_at_bytes: u64,
    /// So many that were put aside are kept.
    pub keep: u32,
}

/// How much is logged: everything up to this.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What failed.
    Error,
    /// What may be wrong.
    #[default]
    Warn,
    /// What happens now and then.
    Info,
    /// What happens all the time.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// All of them, the quietest first.
    pub const ALL: [Self; 6] = [Self::Off, Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
