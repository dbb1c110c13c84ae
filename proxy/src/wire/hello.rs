//! The host that a TLS greeting names (RFC 6066 §3), read ahead of whoever answers it.

use std::io;

use bytes::BytesMut;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest greeting. Those with post-quantum keys have about 1.7 KiB; a record holds at most 16 KiB.
const MAX_HELLO: usize = 32 * 1024;

/// Reads until the greeting is whole, and gives the host that it names: none if it names none, or is no greeting.
/// Cancelling loses nothing: what was read is in `held`, and stays there.
pub(crate) async fn server_name<I>(io: &mut I, held: &mut BytesMut) -> io::Result<Option<String>>
where
    I: AsyncRead + Unpin,
{
    let (mut acceptor, mut fed) = (Acceptor::default(), 0);
    loop {
        while fed < held.len() {
            let mut fresh = &held[fed..];
            match acceptor.read_tls(&mut fresh) {
                Ok(read @ 1..) => fed += read,
                Ok(0) | Err(_) => return Ok(None),
            }
            match acceptor.accept() {
                Ok(Some(greeting)) => return Ok(greeting.client_hello().server_name().map(str::to_owned)),
                Ok(None) => {}
                Err(_) => return Ok(None),
            }
        }
        if held.len() > MAX_HELLO || io.read_buf(held).await? == 0 {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn greeting(host: &str) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let mut bytes = Vec::new();
        ClientConnection::new(Arc::new(config), name).unwrap().write_tls(&mut bytes).unwrap();
        bytes
    }

    async fn named(bytes: &[u8]) -> Option<String> {
        let mut held = BytesMut::new();
        let name = server_name(&mut &*bytes, &mut held).await.unwrap();
        assert!(bytes.starts_with(&held), "what was read is kept as it came");
        name
    }

    #[tokio::test]
    async fn name_is_read_and_the_greeting_is_kept() {
        assert_eq!(
            named(&greeting("S3.amazonaws.com")).await.as_deref().map(str::to_lowercase),
            Some("s3.amazonaws.com".into())
        );
        assert_eq!(named(&greeting("10.0.0.1")).await, None, "addresses are not named");
    }

    #[tokio::test]
    async fn greeting_in_pieces_is_waited_for() {
        let (mut program, mut io) = tokio::io::duplex(16);
        let bytes = greeting("s3.amazonaws.com");
        let whole = bytes.clone();
        let writing = tokio::spawn(async move {
            for piece in bytes.chunks(7) {
                program.write_all(piece).await.unwrap();
            }
            program
        });
        let mut held = BytesMut::new();
        assert_eq!(server_name(&mut io, &mut held).await.unwrap().as_deref(), Some("s3.amazonaws.com"));
        assert_eq!(held, whole[..held.len()]);
        drop(writing.await.unwrap());
    }

    #[tokio::test]
    async fn what_is_no_greeting_or_too_long_names_nobody() {
        let bytes = greeting("s3.amazonaws.com");
        for end in 0..bytes.len() {
            assert_eq!(named(&bytes[..end]).await, None, "{end}");
        }
        assert_eq!(named(b"GET / HTTP/1.1\r\n\r\n").await, None);
        assert_eq!(named(&[22, 3, 1, 0, 2, 1, 0]).await, None);
        assert_eq!(named(&[22; 100_000]).await, None);
    }
}
