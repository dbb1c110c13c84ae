//! A connection that the kernel has led here (`nft … redirect`, `iptables -j REDIRECT`): it tells where the connection was to
//! go, as a number, and the connection's first words tell which host is meant.

use std::io;
use std::net::SocketAddr;

use access::{Refusal, RefusalCode};
use bytes::BytesMut;
use lease::Lessor;
use serve::Wanted;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::entrances::asked::Asked;
use crate::entrances::intercept::{Caller, Program};
use crate::entrances::meeting::led_here;
use crate::places::aim::Aim;
use crate::places::destination::Destination;
use crate::wire::pipe::Pipe;

/// Serves a connection from `peer` that a rule of the kernel has led here; `wanted` tells when its place is.
pub(crate) async fn serve<L: Lessor>(caller: Caller<L>, (stream, peer): (TcpStream, SocketAddr), wanted: &Wanted) {
    let app = &caller.0;
    let meant = original_destination(&stream);
    let mut program = Program {
        io: Pipe::Clear(stream),
        held: BytesMut::new(),
        asked: Asked::Silently,
        client: caller.1.clone(),
        destination: None,
    };
    let original = match meant {
        Ok(original) => original,
        Err(refusal) => return program.refuse(app, &refusal).await,
    };
    program.destination = Some(Destination::numbered(original));
    if app.upstreams.dialer().has_dialled(peer, original) {
        let message = format!("our own connection to {original} was redirected to us");
        let refusal = Refusal::new(RefusalCode::RequestMalformed, message)
            .help("let the rule that redirects leave out the user that the proxy runs as (`meta skuid != …`)");
        return program.refuse(app, &refusal).await;
    }
    let aim = Aim::at(Destination::numbered(original), &app.endpoints);
    led_here(caller, program, aim, wanted).await;
}

/// Where a connection was to go before a rule of the kernel changed it (netfilter's `SO_ORIGINAL_DST`).
fn original_destination(stream: &TcpStream) -> Result<SocketAddr, Refusal> {
    let unknown = |error: io::Error| {
        Refusal::new(
            RefusalCode::RequestMalformed,
            format!("the kernel does not say where a connection was to go: {error}"),
        )
        .help("`proxy.transparent` is for connections that nftables or iptables redirect here")
    };
    let here = stream.local_addr().map_err(unknown)?;
    let socket = SockRef::from(stream);
    let original = if here.ip().to_canonical().is_ipv4() { socket.original_dst_v4() } else { socket.original_dst_v6() };
    let original = original.map_err(unknown)?.as_socket().ok_or_else(|| unknown(io::ErrorKind::InvalidData.into()))?;
    if original.port() == here.port() && original.ip().to_canonical() == here.ip().to_canonical() {
        return Err(unknown(io::Error::other("it was made to this very port")));
    }
    Ok(original)
}
