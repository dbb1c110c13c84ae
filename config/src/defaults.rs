//! What counts where nothing is written. The schema, the reference page and the program read these same words.

pub(crate) const ACCOUNT_PROVIDER: &str = "aws";

/// Tokens that the kubelet projects into pods last an hour unless the pod says otherwise. The API server stretches
/// some to a year (`--service-account-extend-token-expiration`, which the claim `warnafter` tells); a token that is
/// stolen lasts as long, so those are refused unless the config allows them.
pub(crate) const MAX_TOKEN_LIFETIME: &str = "24h";
/// Managed identities have tokens of a day and five minutes.
pub(crate) const MAX_ENTRA_LIFETIME: &str = "25h";
pub(crate) const SOURCE_AUDIENCE: &str = "countersign";
pub(crate) const GITHUB: &str = "https://token.actions.githubusercontent.com";
pub(crate) const GITLAB: &str = "https://gitlab.com";
pub(crate) const GOOGLE: &str = "https://accounts.google.com";
/// Where a pod finds its cluster, and itself in it.
pub(crate) const API_SERVER: &str = "https://kubernetes.default.svc";
pub(crate) const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
pub(crate) const SERVICE_ACCOUNT_CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// What STS itself takes when nothing is asked for.
pub(crate) const SESSION: &str = "1h";

pub(crate) const PROXY_LISTEN: &str = "127.0.0.1:8181";
pub(crate) const PROXY_DIRECTORY: &str = "/var/run/countersign";
pub(crate) const TOKEN_FILE: &str = "/var/run/secrets/countersign/token";
/// Programs read their trust store once, at their start; a root that ended while they run would cut them off.
pub(crate) const CA_LIFETIME: &str = "365d";

/// A sidecar serves one pod: this is far above what its programs open, and far below what file handles allow.
pub(crate) const CONNECTIONS: u64 = 10_000;
/// What other proxies take as their default, and more than a program asks of one host at a time.
pub(crate) const CONNECTIONS_PER_HOST: u64 = 1024;
/// DynamoDB takes at most 16 MiB in one request, and no service whose bodies must be held takes more.
pub(crate) const HELD_BODY: &str = "16MiB";
pub(crate) const HEAD_TIMEOUT: &str = "15s";
pub(crate) const CONNECT_TIMEOUT: &str = "10s";
/// S3 may think for minutes after the last byte of a large upload; SQS polls are silent for 20 seconds.
pub(crate) const IDLE_TIMEOUT: &str = "5m";
/// What Kubernetes waits between the signal to end and the kill.
pub(crate) const GRACE: &str = "30s";

pub(crate) const EGRESS: &str = "tunnel";

pub(crate) const STORE: &str = "/var/lib/countersign/broker.db";
/// A server takes a hundred as it comes, and brokers come by twos and threes.
pub(crate) const POSTGRES_CONNECTIONS: u64 = 10;
pub(crate) const BROKER_LISTEN: &str = "127.0.0.1:8182";
pub(crate) const KEY_LIFETIME: &str = "30d";
/// Clouds cache our JWKS; none was seen to keep it longer than a day.
pub(crate) const KEY_PUBLISH_AHEAD: &str = "24h";
pub(crate) const AWS_AUDIENCE: &str = "sts.amazonaws.com";

/// A sidecar that is well has nothing to say.
pub(crate) const LOG: &str = "warn";
/// A day of a sidecar that is not very busy.
pub(crate) const ROTATE_AT: &str = "100MiB";
pub(crate) const KEEP_FILES: u64 = 5;
/// What OpenTelemetry's SDKs do, if nobody says otherwise (`parentbased_always_on`).
pub(crate) const SAMPLE: &str = "100%";
