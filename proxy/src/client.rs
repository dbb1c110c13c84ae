//! Who is at the other end of a program's connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use access::{Evidence, Refusal, RefusalCode};
use tokio::net::TcpStream;

use crate::calls::identify::TokenFile;

/// Where a connection comes from, and what it has shown.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    /// Whether it is on this machine (in this network namespace), so that it reaches our loopback without us.
    pub(crate) is_near: bool,
    pub(crate) shown: Shown,
}

/// What a client has shown of who it is.
#[derive(Debug, Clone)]
pub(crate) enum Shown {
    /// Nothing, and it need not: whoever reaches that listener is the program beside us.
    Beside,
    /// Nothing yet, and it must.
    Nothing,
    /// That it is an app that we know.
    App(Arc<KnownApp>),
    /// A token of its own, which is good, and whose it is.
    Token(Arc<Evidence>, Arc<str>),
}

/// An app that the config knows, and the token that it is known by elsewhere.
#[derive(Debug)]
pub(crate) struct KnownApp {
    pub(crate) name: Box<str>,
    pub(crate) token: TokenFile,
    pub(crate) credential: Option<[u8; 32]>,
    pub(crate) certificate: Option<Box<str>>,
}

impl KnownApp {
    /// Whether it proves itself as `other` does.
    pub(crate) fn proves_itself_as(&self, other: &Self) -> bool {
        self.credential == other.credential && self.certificate == other.certificate
    }
}

impl Client {
    /// The other end of `stream`, which connected from `address`.
    pub(crate) fn of(stream: &TcpStream, address: IpAddr) -> Self {
        let address = address.to_canonical();
        let is_own = |here: SocketAddr| here.ip().to_canonical() == address;
        let is_near = address.is_loopback() || stream.local_addr().is_ok_and(is_own);
        Self { address, is_near, shown: Shown::Beside }
    }

    /// The same, having shown something.
    pub(crate) fn having_shown(self, shown: Shown) -> Self {
        Self { shown, ..self }
    }

    /// The app that it is, and the caller, as far as it has shown that.
    pub(crate) fn named(&self) -> (Option<&str>, Option<&str>) {
        match &self.shown {
            Shown::Beside | Shown::Nothing => (None, None),
            Shown::App(app) => (Some(&app.name), None),
            Shown::Token(_, subject) => (None, Some(subject)),
        }
    }

    /// What speaks for it towards the lessor; `beside` is the token of the program beside us.
    pub(crate) fn evidence(&self, beside: &TokenFile) -> Result<Arc<Evidence>, Refusal> {
        match &self.shown {
            Shown::Beside => beside.evidence(),
            Shown::App(app) => app.token.evidence(),
            Shown::Token(evidence, _) => Ok(evidence.clone()),
            Shown::Nothing => Err(Refusal::new(RefusalCode::ProxyAuthentication, "nobody knows who this is from")),
        }
    }
}
