//! A server that is no cloud, with a certificate of its own: what passes through untouched.

use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::certificates::Authority;
use super::served::{Served, serve};

/// Answers every byte with its opposite, over TLS or in clear text.
#[derive(Debug)]
pub(crate) struct Origin {
    served: Served,
    heard: Arc<Mutex<Vec<u8>>>,
    certificate: Option<CertificateDer<'static>>,
}

impl Origin {
    pub(crate) async fn secure(authority: &Authority) -> Self {
        let (config, certificate) = authority.server("127.0.0.1");
        Self { certificate: Some(certificate), ..Self::start(Some(config)).await }
    }

    pub(crate) async fn clear() -> Self {
        Self::start(None).await
    }

    async fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
        let ear = heard.clone();
        let served = serve(tls, move |mut wire, _| {
            let ear = ear.clone();
            async move {
                let mut bytes = [0; 4096];
                loop {
                    let read = wire.read(&mut bytes).await?;
                    if read == 0 {
                        return wire.shutdown().await;
                    }
                    ear.lock().expect("no test panics with it in hand").extend_from_slice(&bytes[..read]);
                    let opposite: Vec<u8> = bytes[..read].iter().map(|byte| !byte).collect();
                    wire.write_all(&opposite).await?;
                    wire.flush().await?;
                }
            }
        });
        Self { served: served.await, heard, certificate: None }
    }

    pub(crate) fn authority(&self) -> String {
        self.served.address.to_string()
    }

    /// Its certificate, if it has one.
    pub(crate) fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.certificate.as_ref()
    }

    /// Every byte that reached it.
    pub(crate) fn heard(&self) -> Vec<u8> {
        self.heard.lock().expect("no test panics with it in hand").clone()
    }
}
