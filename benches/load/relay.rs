//! The plain TLS relay: takes CONNECT, ends the client's TLS, opens its own to the origin, and copies bytes. Nothing is
//! parsed behind the CONNECT, nothing decided, nothing signed: what a man in the middle costs at the least.

use std::path::PathBuf;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::origin::{accept, say};
use crate::stage;

/// What one TLS record holds; larger buffers gained nothing.
const BUFFER: usize = 64 * 1024;

/// Serves until the process is ended. Takes the origin's TLS port and its root, says its own.
pub(crate) async fn serve(origin: u16, trusted: PathBuf) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let acceptor = TlsAcceptor::from(stage::server_tls(&stage::own_root()?, &[b"http/1.1"])?);
    let connector = TlsConnector::from(stage::client_tls(&trusted)?);
    say(&[&listener])?;
    loop {
        let stream = accept(&listener).await?;
        let (acceptor, connector) = (acceptor.clone(), connector.clone());
        tokio::spawn(async move {
            if let Err(error) = relay(stream, origin, acceptor, connector).await {
                eprintln!("relay: {error:#}");
            }
        });
    }
}

async fn relay(
    mut client: TcpStream,
    origin: u16,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
) -> anyhow::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    let upstream = TcpStream::connect(("127.0.0.1", origin)).await?;
    upstream.set_nodelay(true)?;
    let name = ServerName::try_from(stage::HOST)?;
    let (client, upstream) = tokio::join!(acceptor.accept(client), connector.connect(name, upstream));
    let (mut client, mut upstream) = (client?, upstream?);
    // A client that hangs up without close_notify ends a measurement, nothing more.
    let _ended = copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER).await;
    Ok(())
}
