//! A program that comes by SOCKS 5: greeted, heard, and refused in its own words.

use std::sync::Arc;

use access::{Refusal, RefusalCode};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Client, KnownApp, Shown};
use crate::entrances::shared::Shared;
use crate::places::destination::{BadDestination, Destination};
use crate::wire::pipe::Pipe;
use crate::wire::socks::{self, Login, Malformed, Method, Read, Reply, Wish};

/// Why a program that comes by SOCKS is sent away; it has been told so already.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadSocks {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the program did not offer to come as this proxy wants it to: {0}")]
    Method(&'static str),
    #[error(transparent)]
    Login(Refusal),
    #[error("of the commands of SOCKS, only CONNECT is served")]
    Command,
    #[error("SOCKS has no such kind of address")]
    Address,
    #[error(transparent)]
    Destination(#[from] BadDestination),
}

impl BadSocks {
    /// The same as a refusal.
    pub(crate) fn refusal(self) -> Refusal {
        let code = match self {
            Self::Login(refusal) => return refusal,
            Self::Command => RefusalCode::NotSupported,
            Self::Malformed(_) | Self::Method(_) | Self::Address | Self::Destination(_) => {
                RefusalCode::RequestMalformed
            }
        };
        Refusal::new(code, self.to_string())
    }

    const fn last_words(&self) -> &'static [u8] {
        const NO_METHOD: [u8; 2] = Method::Unacceptable.bytes();
        const NO_LOGIN: [u8; 2] = socks::login_answer(false);
        const FAILED: [u8; 10] = Reply::Failed.bytes();
        const OTHER_COMMAND: [u8; 10] = Reply::OtherCommand.bytes();
        const OTHER_ADDRESS: [u8; 10] = Reply::OtherAddress.bytes();
        match self {
            // In which of its messages the program broke off with the protocol, it does not matter to it any more.
            Self::Malformed(_) => &[],
            Self::Method(_) => &NO_METHOD,
            Self::Login(_) => &NO_LOGIN,
            Self::Command => &OTHER_COMMAND,
            Self::Address => &OTHER_ADDRESS,
            Self::Destination(_) => &FAILED,
        }
    }
}

/// Where the program wants to go, `None` if it left; `client` is then who it has shown to be. Its wish is not answered yet
/// unless it is refused.
pub(crate) async fn destination(
    (io, held): (&mut Pipe, &mut BytesMut),
    client: &mut Client,
    shared: Option<&Shared>,
) -> Result<Option<Destination>, BadSocks> {
    let wanted = converse((io, held), client, shared).await;
    if let Err(bad) = &wanted
        && io.write_all(bad.last_words()).await.and(io.flush().await).is_err()
    {
        tracing::debug!("the program did not wait for its refusal");
    }
    wanted
}

async fn converse(
    (io, held): (&mut Pipe, &mut BytesMut),
    client: &mut Client,
    shared: Option<&Shared>,
) -> Result<Option<Destination>, BadSocks> {
    let Some(methods) = heard(io, held, socks::read_methods).await? else { return Ok(None) };
    let method = match &client.shown {
        Shown::Nothing if methods.login => Method::Login,
        Shown::Nothing => return Err(BadSocks::Method("with a user name and a password")),
        Shown::Beside | Shown::App(_) | Shown::Token(..) if methods.none => Method::None,
        Shown::Beside | Shown::App(_) | Shown::Token(..) => return Err(BadSocks::Method("without a user name")),
    };
    if io.write_all(&method.bytes()).await.and(io.flush().await).is_err() {
        return Ok(None);
    }
    if let Shown::Nothing = &client.shown {
        let shared = shared.ok_or(BadSocks::Method("as an app that it knows"))?;
        let Some(app) = logged_in((io, held), shared).await? else { return Ok(None) };
        client.shown = Shown::App(app);
        if io.write_all(&socks::login_answer(true)).await.and(io.flush().await).is_err() {
            return Ok(None);
        }
    }
    match heard(io, held, socks::read_wish).await? {
        Some(Wish::Connect(host, port)) => Ok(Some(Destination::named(&host, port)?)),
        Some(Wish::OtherCommand) => Err(BadSocks::Command),
        Some(Wish::OtherAddress) => Err(BadSocks::Address),
        None => Ok(None),
    }
}

/// The app whose name and credential come, `None` if the program left.
async fn logged_in((io, held): (&mut Pipe, &mut BytesMut), shared: &Shared) -> Result<Option<Arc<KnownApp>>, BadSocks> {
    loop {
        if let Some((Login { user, password }, length)) = socks::read_login(held)? {
            let app = shared.app(user, password);
            held.advance(length);
            return app.map(Some).map_err(BadSocks::Login);
        }
        if !matches!(io.read_buf(held).await, Ok(1..)) {
            return Ok(None);
        }
    }
}

/// The next message, `None` if the program left before its end.
async fn heard<M>(io: &mut Pipe, held: &mut BytesMut, read: fn(&[u8]) -> Read<M>) -> Result<Option<M>, Malformed> {
    loop {
        if let Some((message, length)) = read(held)? {
            held.advance(length);
            return Ok(Some(message));
        }
        if !matches!(io.read_buf(held).await, Ok(1..)) {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Where nobody can prove anything, nobody comes in unproven.
    #[tokio::test]
    async fn login_that_nobody_can_check_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut program = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (io, peer) = listener.accept().await.unwrap();
        let mut client = Client::of(&io, peer.ip()).having_shown(Shown::Nothing);
        program.write_all(b"\x05\x01\x02\x05\x01\x00\x03\x01x\x00\x50").await.unwrap();
        let wanted = destination((&mut Pipe::Clear(io), &mut BytesMut::new()), &mut client, None).await;
        assert!(matches!(wanted, Err(BadSocks::Method(_))), "{wanted:?}");
    }
}
