//! The words for the ways in and out of the proxy.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Reference, Tls};
use crate::at::{At, Named};
use crate::defaults;

/// How destinations are reached.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Upstream {
    /// A PEM file with roots to trust besides the system's.
    pub(crate) ca_file: Option<At<String>>,
    /// Networks that names may stand for although their addresses are refused otherwise: loopback, link-local,
    /// metadata services, multicast. In CIDR notation.
    #[schemars(extend("examples" = [["127.0.0.0/8"]]))]
    pub(crate) allow_addresses: Option<At<Vec<At<String>>>>,
    /// Another proxy, through which destinations are reached.
    pub(crate) proxy: Option<At<Via>>,
}

/// A proxy upstream.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Via {
    /// Where it is: scheme, host and port. `https` means that it is spoken to over TLS.
    #[schemars(extend("examples" = ["http://proxy.acme.dev:3128"]))]
    pub(crate) url: At<String>,
    /// `user:password`, if it asks for them.
    pub(crate) credentials: Option<At<Reference>>,
    /// What is reached without it: `acme.dev` with all below it, `.acme.dev` only what is below, a network, `*`; and
    /// `:443` or `:8000-8999` behind it if not all ports are meant. Loopback always is.
    #[schemars(extend("examples" = [["acme.dev", "10.0.0.0/8"]]))]
    pub(crate) no_proxy: Option<At<Vec<At<String>>>>,
}

/// Where connections may go. A place is a host pattern or a network, and ports if not all are meant:
/// `"*.acme.dev:443"`, `10.0.0.0/8`, `"[2001:db8::/32]:8000-8999"`. A network holds names, too, that stand for an address in it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Egress {
    /// What is done with connections that no list names: `tunnel` or `deny`. Calls to clouds are for `grants` to decide.
    #[schemars(extend("default" = defaults::EGRESS, "enum" = ["tunnel", "deny"]))]
    pub(crate) default: Option<At<String>>,
    /// Places that may be reached.
    #[schemars(extend("examples" = [["*.acme.dev:443"]]))]
    pub(crate) allow: Option<At<Vec<At<String>>>>,
    /// Places that may not be reached, whatever `allow` says; clouds are no exception.
    pub(crate) deny: Option<At<Vec<At<String>>>>,
    /// Cloud hosts that are not intercepted, but tunnelled untouched. Placeholders in such a connection stay what they
    /// are: the cloud refuses them.
    #[schemars(extend("examples" = [["s3.us-gov-west-1.amazonaws.com"]]))]
    pub(crate) tunnel: Option<At<Vec<At<String>>>>,
}

/// Where connections arrive that a rule of the kernel redirects here: nftables' `redirect`, iptables' `REDIRECT`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Transparent {
    /// Addresses to listen on, one for each family. On loopback for connections of this machine; others are reached by
    /// other machines, which needs `allow_remote`.
    #[schemars(extend("examples" = [["127.0.0.1:8183", "[::1]:8183"]]))]
    pub(crate) listen: At<Vec<At<String>>>,
}

/// A listener that several apps share. Each says who it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Shared {
    /// Where apps reach it.
    #[schemars(extend("examples" = ["0.0.0.0:8184"]))]
    pub(crate) listen: At<String>,
    /// The certificate that it shows: apps then reach it as `https://`.
    pub(crate) tls: Option<At<Tls>>,
    /// Whether other machines may reach it without TLS, where something else keeps what they say from being overheard.
    #[schemars(extend("default" = false))]
    pub(crate) clear_text: Option<At<bool>>,
    /// A PEM file with the authorities whose certificates apps may show.
    pub(crate) client_ca_file: Option<At<String>>,
    /// Whether an app may show its own token, which a source takes: as `Bearer`, or as the password of the user `token`.
    #[schemars(extend("default" = false))]
    pub(crate) tokens: Option<At<bool>>,
    /// Apps, by name.
    pub(crate) apps: Option<At<Named<App>>>,
}

/// An app that shares the proxy. It needs a `credential_hash`, a `certificate`, or both.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct App {
    /// The file with the token that it is known by; read again when it changes.
    pub(crate) token_file: At<String>,
    /// What `countersign app-credential` has printed beside the credential.
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub(crate) credential_hash: Option<At<String>>,
    /// A name in its certificate: a DNS name or a URI, such as its SPIFFE ID.
    #[schemars(extend("examples" = ["spiffe://acme.dev/billing"]))]
    pub(crate) certificate: Option<At<String>>,
}
