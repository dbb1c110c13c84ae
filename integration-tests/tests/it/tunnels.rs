//! What is no cloud call passes untouched: bytes, certificates and all.

use access::RefusalCode;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stage::origin::Origin;
use crate::stage::program::{Program, soon};
use crate::stage::refusal::Refusal;
use crate::stage::world::World;

#[tokio::test]
async fn tunnel_to_what_is_no_cloud_carries_its_bytes_and_its_certificate() {
    let world = World::new().await;
    let origin = Origin::secure(&world.authority).await;
    let trusting =
        Program::new(world.program.proxy, (world.program.keys.clone(), world.authority.pem().as_bytes()), &world.clock);
    let mut stream = trusting.tls(&origin.authority(), "127.0.0.1").await.expect("the origin's own certificate");
    assert_eq!(stream.get_ref().1.peer_certificates().and_then(<[_]>::first), origin.certificate());

    let said: Vec<u8> = (0..200_000).map(|n| (n % 256) as u8).collect();
    let mut heard = vec![0; said.len()];
    let (mut reader, mut writer) = tokio::io::split(&mut stream);
    let (sent, read) = soon(async { tokio::join!(writer.write_all(&said), reader.read_exact(&mut heard)) }).await;
    assert!(sent.is_ok() && read.is_ok());
    assert!(heard.iter().zip(&said).all(|(h, s)| *h == !*s), "other bytes came back");
    assert!(origin.heard() == said, "other bytes arrived");
}

#[tokio::test]
async fn program_that_does_not_trust_the_origin_learns_it() {
    let world = World::new().await;
    let origin = Origin::secure(&world.authority).await;
    let error = world.program.tls(&origin.authority(), "127.0.0.1").await.expect_err("our root is not the origin's");
    assert!(error.to_string().contains("ertificate"), "{error}");
}

#[tokio::test]
async fn tunnel_carries_what_is_neither_tls_nor_http() {
    let world = World::new().await;
    let origin = Origin::clear().await;
    let mut tunnel = world.program.tunnel(&origin.authority()).await.expect("a tunnel");
    for said in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"\x00\x01\x02\xff"] {
        tunnel.write_all(said).await.unwrap();
        let mut heard = vec![0; said.len()];
        soon(tunnel.read_exact(&mut heard)).await.unwrap();
        assert_eq!(heard, said.iter().map(|byte| !byte).collect::<Vec<_>>());
    }
    tunnel.shutdown().await.unwrap();
    let mut rest = Vec::new();
    soon(tunnel.read_to_end(&mut rest)).await.expect("the end passes through as well");
    assert!(rest.is_empty());
}

#[tokio::test]
async fn tunnel_to_where_nobody_listens_is_refused_in_words() {
    let world = World::new().await;
    let closed = Origin::clear().await.authority();
    let refused = world.program.tunnel(&closed).await.expect_err("nobody listens any more");
    assert_eq!(refused.status(), 502);
    let refusal = Refusal::in_text(&refused);
    world.refused(&refusal, (502, "", RefusalCode::UpstreamUnavailable), "refused").await;
}

/// What programs verify: a name that the certificate is not for is seen.
#[tokio::test]
async fn intercepted_certificate_is_for_its_host_only() {
    let world = World::new().await;
    let host = "sqs.us-east-1.amazonaws.com";
    let stream = world.program.tls(&format!("{host}:443"), host).await.expect("our certificate for the host");
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).expect("a certificate").clone();
    let parsed = rustls::server::ParsedCertificate::try_from(&certificate).expect("a certificate");
    let name = |text: &'static str| ServerName::try_from(text).expect("a name");
    assert!(rustls::client::verify_server_name(&parsed, &name("sqs.us-east-1.amazonaws.com")).is_ok());
    assert!(rustls::client::verify_server_name(&parsed, &name("s3.us-east-1.amazonaws.com")).is_err());
}
