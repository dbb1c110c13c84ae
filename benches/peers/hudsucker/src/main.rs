//! hudsucker, doing nothing: ends a program's TLS with a leaf of its own authority and opens its own to the origin.
//!
//! Arguments: the port to listen on, the origin's port, the name that the origin's certificate has, the origin's root, and
//! the file that its own root is left in.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::Context as _;
use hudsucker::Proxy;
use hudsucker::certificate_authority::RcgenAuthority;
use hudsucker::hyper::Uri;
use hudsucker::rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use hyper_rustls::FixedServerNameResolver;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

/// Dials the origin, whatever is asked for.
#[derive(Clone)]
struct ToOrigin(HttpConnector, Uri);

impl Service<Uri> for ToOrigin {
    type Response = <HttpConnector as Service<Uri>>::Response;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.0.call(self.1.clone()))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, origin, name, root, own] = arguments.as_slice() else { anyhow::bail!("five arguments") };
    let address: SocketAddr = ([127, 0, 0, 1], port.parse()?).into();

    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(own, params.self_signed(&key)?.pem())?;
    let authority = RcgenAuthority::new(Issuer::new(params, key), 1_000, default_provider());

    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(trusting(Path::new(root))?)
        .https_only()
        .with_server_name_resolver(FixedServerNameResolver::new(ServerName::try_from(name.clone())?))
        .enable_http1()
        .wrap_connector(ToOrigin(http, format!("http://127.0.0.1:{origin}").parse()?));
    let proxy = Proxy::builder().with_addr(address).with_ca(authority).with_http_connector(https).build()?;
    proxy.start().await.context("hudsucker ended")
}

fn trusting(root: &Path) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root)?)?;
    let config =
        ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
