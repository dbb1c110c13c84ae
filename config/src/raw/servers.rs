//! The words for what runs: the proxy and the broker.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Egress, Period, Reference, Shared, Size, Transparent, Upstream};
use crate::at::At;
use crate::defaults;

/// The sidecar.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Proxy {
    /// Where programs reach it.
    #[schemars(extend("default" = defaults::PROXY_LISTEN))]
    pub(crate) listen: Option<At<String>>,
    /// Whether `listen` may be an address that other machines reach. They could then use what is granted here with
    /// nothing but a placeholder key.
    #[schemars(extend("default" = false))]
    pub(crate) allow_remote: Option<At<bool>>,
    /// Where it leaves what programs need: its CA certificate, a trust bundle, placeholder credentials.
    #[schemars(extend("default" = defaults::PROXY_DIRECTORY))]
    pub(crate) directory: Option<At<String>>,
    /// The file with the pod's projected service-account token; read again when it changes.
    #[schemars(extend("default" = defaults::TOKEN_FILE))]
    pub(crate) token_file: Option<At<String>>,
    /// Its certificate authority. If it is not written: made at the start, and kept in memory.
    pub(crate) ca: Option<At<Ca>>,
    /// How it reaches destinations.
    pub(crate) upstream: Option<At<Upstream>>,
    /// Where connections may go that are no calls to a cloud.
    pub(crate) egress: Option<At<Egress>>,
    /// For connections that the kernel redirects.
    pub(crate) transparent: Option<At<Transparent>>,
    /// For several apps that share it.
    pub(crate) shared: Option<At<Shared>>,
    /// What is enough.
    pub(crate) limits: Option<At<Limits>>,
}

/// The certificate authority: either `lifetime`, or `certificate` and `key`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Ca {
    /// How long the root that is made at the start is valid; longer than any program runs.
    #[schemars(extend("default" = defaults::CA_LIFETIME))]
    pub(crate) lifetime: Option<At<Period>>,
    /// A PEM file with a CA certificate of your own.
    pub(crate) certificate: Option<At<String>>,
    /// Its key, PEM (PKCS#8).
    pub(crate) key: Option<At<Reference>>,
}

/// What is enough: every wait, queue and body has an end.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Connections from programs at once.
    #[schemars(extend("default" = defaults::CONNECTIONS))]
    pub(crate) connections: Option<At<u64>>,
    /// Connections to one destination at once over HTTP/1.1, idle ones among them; who needs one more waits for
    /// `connect_timeout`. Tunnels are not counted.
    #[schemars(extend("default" = defaults::CONNECTIONS_PER_HOST))]
    pub(crate) connections_per_host: Option<At<u64>>,
    /// The largest body that is held to hash it, where the signature needs its hash and the program did not send it.
    #[schemars(extend("default" = defaults::HELD_BODY))]
    pub(crate) held_body: Option<At<Size>>,
    /// For the head of a request to arrive.
    #[schemars(extend("default" = defaults::HEAD_TIMEOUT))]
    pub(crate) head_timeout: Option<At<Period>>,
    /// For a connection to a cloud to stand, TLS included.
    #[schemars(extend("default" = defaults::CONNECT_TIMEOUT))]
    pub(crate) connect_timeout: Option<At<Period>>,
    /// Without a byte in either direction; longer than the longest poll (SQS: 20 seconds).
    #[schemars(extend("default" = defaults::IDLE_TIMEOUT))]
    pub(crate) idle_timeout: Option<At<Period>>,
    /// For running requests to end after the signal to stop.
    #[schemars(extend("default" = defaults::GRACE))]
    pub(crate) grace: Option<At<Period>>,
    /// Connections at once from one address; as many as there are places, if it is not written. All programs of a pod
    /// share one.
    pub(crate) connections_per_peer: Option<At<u64>>,
    /// Requests a second from one address, and as many again at once; no limit if it is not written.
    pub(crate) requests_per_peer: Option<At<u64>>,
    /// Requests a second to one target, and as many again at once; no limit if it is not written.
    pub(crate) requests_per_target: Option<At<u64>>,
}

/// The broker inside.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Broker {
    /// The `iss` of our tokens: the URL under which clouds find discovery and JWKS. `https`; plain `http` only on
    /// loopback, for emulators.
    #[schemars(extend("examples" = ["https://countersign.acme.dev"]))]
    pub(crate) issuer: At<String>,
    /// Where discovery and JWKS are served; clouds must reach it under `issuer`.
    #[schemars(extend("default" = defaults::BROKER_LISTEN))]
    pub(crate) listen: Option<At<String>>,
    /// The SQLite file with directory, keys and audit; one machine's.
    #[schemars(extend("default" = defaults::STORE))]
    pub(crate) store: Option<At<String>>,
    /// The PostgreSQL database that several brokers share, instead of `store`. `encryption_key` is needed then.
    pub(crate) postgres: Option<At<Postgres>>,
    /// The certificate for `listen`, if nothing in front of it ends TLS.
    pub(crate) tls: Option<At<Tls>>,
    /// 32 bytes in base64 that encrypt private keys in the store. If it is not written, they are made at the first
    /// start and kept beside the store.
    pub(crate) encryption_key: Option<At<Reference>>,
    /// How signing keys change.
    pub(crate) keys: Option<At<SigningKeys>>,
    /// The `aud` of our tokens for AWS, as the identity provider at IAM expects it.
    #[schemars(extend("default" = defaults::AWS_AUDIENCE))]
    pub(crate) aws_audience: Option<At<String>>,
}

/// A PostgreSQL database.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Postgres {
    /// `postgres://user:password@host:5432/database`, or `postgres:///database?host=/run/postgresql&user=user` for a socket.
    /// A server on another machine must show a certificate for its name. Through a pooler, only pooling by session works.
    pub(crate) url: At<Reference>,
    /// A PEM file with roots to trust besides those that browsers trust.
    pub(crate) ca_file: Option<At<String>>,
    /// Connections at once.
    #[schemars(extend("default" = defaults::POSTGRES_CONNECTIONS))]
    pub(crate) connections: Option<At<u64>>,
}

/// A certificate chain and its key.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Tls {
    /// A PEM file, leaf first.
    pub(crate) certificate: At<String>,
    /// A PEM file (PKCS#8).
    pub(crate) key: At<String>,
}

/// How signing keys change.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct SigningKeys {
    /// How long a key signs.
    #[schemars(extend("default" = defaults::KEY_LIFETIME))]
    pub(crate) lifetime: Option<At<Period>>,
    /// How long before its first use a key is published, because clouds cache our JWKS.
    #[schemars(extend("default" = defaults::KEY_PUBLISH_AHEAD))]
    pub(crate) publish_ahead: Option<At<Period>>,
}
