//! WebSockets of API Gateway, AWS IoT and Transcribe: the handshake is signed in its query, and what is said is said back.

use std::io::Result;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::admit::{Claim, Denied};
use super::{Call, answers, open};
use crate::stage::faults::Fault;
use crate::stage::served::Wire;
use crate::stage::wire::Head;

/// What is said when the other side has ended its half.
pub(crate) const BYE: &[u8] = b"bye";

/// Whether a host takes WebSockets.
pub(super) fn are_taken(head: &Head) -> bool {
    let services = ["iot", "transcribestreaming", "execute-api"];
    head.get("host").is_some_and(|host| host.split('.').any(|label| services.contains(&label)))
}

/// Takes a handshake whose signature is right.
pub(super) fn admit(call: &Call<'_>) -> std::result::Result<(), Denied> {
    let claim = Claim::read(call.head, call.state)?;
    claim.admit(b"")?;
    let key_id = claim.session().map(|session| session.key_id.clone());
    open(&call.state.seen)[call.index].key_id = key_id;
    Ok(())
}

/// A WebSocket over HTTP/1.1, to its end.
pub(super) async fn serve(call: &Call<'_>, mut wire: Wire) -> Result<()> {
    let admitted = admit(call);
    let status = if admitted.is_ok() { 101 } else { 403 };
    open(&call.state.seen)[call.index].status = Some(status);
    if let Err(denied) = admitted {
        answers::denied(&denied, call.head).send(&mut wire, "GET", (&call.state.faults, None::<Fault>)).await?;
        return wire.shutdown().await;
    }
    wire.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").await?;
    wire.flush().await?;
    let mut said = [0; 4096];
    loop {
        let length = wire.read(&mut said).await?;
        if length == 0 {
            wire.write_all(BYE).await?;
            return wire.shutdown().await;
        }
        wire.write_all(&said[..length]).await?;
        wire.flush().await?;
    }
}
