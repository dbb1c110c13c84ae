//! Certificates for the stage's own servers.

use std::sync::Arc;

use ca::{Host, Mint, Root, Scope};
use jiff::SignedDuration;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::sign::SingleCertAndKey;

use super::clock::Clock;

/// A certificate authority that is nobody's but the stage's.
#[derive(Debug)]
pub(crate) struct Authority {
    mint: Mint,
    clock: Clock,
}

impl Authority {
    /// One that may sign for loopback and `stage.test`.
    pub(crate) fn new(clock: &Clock) -> Self {
        let hosts = ["127.0.0.1", "stage.test"].map(|host| Host::parse(host).expect("a host"));
        let scope = Scope::of(hosts).expect("a scope with hosts");
        let root = Root::generate(&scope, clock.now(), SignedDuration::from_hours(24)).expect("a root");
        Self { mint: Mint::new(root).expect("a mint"), clock: clock.clone() }
    }

    /// Its certificate, for whoever trusts it; PEM.
    pub(crate) fn pem(&self) -> &str {
        self.mint.root().pem()
    }

    /// What a server for `host` needs, and the certificate that it shows.
    pub(crate) fn server(&self, host: &str) -> (Arc<ServerConfig>, CertificateDer<'static>) {
        let leaf = self.mint.mint(&Host::parse(host).expect("a host"), self.clock.now()).expect("a leaf");
        let certificate = leaf.certified().cert[0].clone();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = SingleCertAndKey::from(rustls::sign::CertifiedKey::clone(leaf.certified()));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider speaks TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(key));
        (Arc::new(config), certificate)
    }
}
