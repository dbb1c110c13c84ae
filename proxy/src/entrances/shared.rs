//! A proxy that several apps share: whoever comes says who it is, by a certificate, a credential of its own, or a token.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use access::{Evidence, Refusal, RefusalCode, Secret};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use lease::Lessor;
use moka::sync::Cache;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::app::App;
use crate::calls::identify::TokenFile;
use crate::client::{Client, KnownApp, Shown};
use crate::wire::pipe::Pipe;

/// What a credential of an app begins with, so that it is recognised where it should not be.
const PREFIX: &str = "csapp_";

/// Random bytes of a credential. Against so many, one hash without salt or stretching is enough.
const RANDOM: usize = 32;

/// The user name beside which a token stands as a password, for clients that know Basic only.
pub(crate) const TOKEN_USER: &str = "token";

/// Longest `Proxy-Authorization` that is read: a token as a password, in base64.
const MAX_AUTHORIZATION: usize = 24 * 1024;

/// For how long a token that was good is believed without asking again. A lease asks for itself.
const RECOGNISED_FOR: Duration = Duration::from_secs(10);

/// Tokens that are remembered so.
const MAX_RECOGNISED: u64 = 10_000;

/// A listener that several apps share.
pub(crate) struct Shared {
    tls: Option<TlsAcceptor>,
    by_name: HashMap<Box<str>, Arc<KnownApp>>,
    by_certificate: HashMap<Box<str>, Arc<KnownApp>>,
    takes_tokens: bool,
    /// Tokens that were taken for good a moment ago. Other settings begin with none.
    recognised: Cache<Arc<Evidence>, Arc<str>>,
}

/// What a program has said of itself.
#[derive(Debug)]
enum Proof {
    App(Arc<KnownApp>),
    Token(Secret<String>),
}

/// A credential of an app, and what the config holds of it.
#[derive(Debug)]
pub struct AppCredential {
    /// What the app sends.
    pub secret: Secret<String>,
    /// `sha256:…`, as `credential_hash` has it.
    pub hash: String,
}

impl AppCredential {
    /// Makes a new one; `None` if this system gives no random numbers.
    pub fn generate() -> Option<Self> {
        let mut bytes = [0; RANDOM];
        SystemRandom::new().fill(&mut bytes).ok()?;
        let secret = Secret::new(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)));
        let hash = format!("sha256:{}", hex(digest(&SHA256, secret.expose().as_bytes()).as_ref()));
        Some(Self { secret, hash })
    }
}

impl Shared {
    pub(crate) fn new(settings: &config::Shared, tls: Option<Arc<ServerConfig>>) -> Self {
        let apps = settings.apps.iter().map(|app| {
            let known = KnownApp {
                name: app.name.as_str().into(),
                token: TokenFile::new(app.token_file.clone()),
                credential: app.credential_hash,
                certificate: app.certificate.as_deref().map(Into::into),
            };
            (app, Arc::new(known))
        });
        let apps: Vec<_> = apps.collect();
        Self {
            tls: tls.map(TlsAcceptor::from),
            by_name: apps.iter().map(|(app, known)| (app.name.as_str().into(), known.clone())).collect(),
            by_certificate: apps
                .iter()
                .filter_map(|(app, known)| Some((app.certificate.as_deref()?.into(), known.clone())))
                .collect(),
            takes_tokens: settings.tokens,
            recognised: Cache::builder().max_capacity(MAX_RECOGNISED).time_to_live(RECOGNISED_FOR).build(),
        }
    }

    /// Ends the TLS to the proxy itself, if there is any. A certificate that an app is known by says who is coming.
    pub(crate) async fn enter(&self, stream: TcpStream, client: Client) -> io::Result<(Pipe, Client)> {
        let Some(tls) = &self.tls else {
            return Ok((Pipe::Clear(stream), client.having_shown(Shown::Nothing)));
        };
        let stream = tls.accept(stream).await?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let names = certificate.map(|certificate| ca::subject_names(certificate)).unwrap_or_default();
        let known = names.iter().find_map(|name| self.by_certificate.get(name.as_str()));
        let shown = known.map_or(Shown::Nothing, |app| Shown::App(app.clone()));
        Ok((Pipe::Tls(Box::new(stream.into())), client.having_shown(shown)))
    }

    /// Reads `Proxy-Authorization` (RFC 9110 §11.7.2).
    fn read(&self, authorization: Option<&[u8]>) -> Result<Proof, Refusal> {
        let Some(authorization) = authorization else { return Err(challenge("this proxy serves only who it knows")) };
        if authorization.len() > MAX_AUTHORIZATION {
            return Err(challenge("Proxy-Authorization is too long"));
        }
        let (scheme, rest) = split_once(authorization, b' ').unwrap_or((authorization, b""));
        if scheme.eq_ignore_ascii_case(b"bearer") {
            return self.token(rest);
        }
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return Err(challenge("Proxy-Authorization is neither Basic nor Bearer"));
        }
        let decoded = BASE64_STANDARD.decode(rest.trim_ascii()).map(Secret::new);
        let decoded = decoded.map_err(|_| challenge("Proxy-Authorization is not base64"))?;
        let (user, password) =
            split_once(decoded.expose(), b':').ok_or_else(|| challenge("Proxy-Authorization has no `:`"))?;
        if user == TOKEN_USER.as_bytes() {
            return self.token(password);
        }
        self.app(user, password).map(Proof::App)
    }

    /// The app whose credential this is.
    pub(crate) fn app(&self, user: &[u8], password: &[u8]) -> Result<Arc<KnownApp>, Refusal> {
        let known = std::str::from_utf8(user).ok().and_then(|user| self.by_name.get(user));
        let expected = known.and_then(|app| app.credential);
        let shown = digest(&SHA256, password);
        // Of the right form first: a credential that was made up by hand could be guessed, whatever its hash.
        let is_good = password.starts_with(PREFIX.as_bytes())
            && verify_slices_are_equal(shown.as_ref(), &expected.unwrap_or_default()).is_ok();
        match known {
            Some(app) if is_good && expected.is_some() => Ok(app.clone()),
            Some(_) | None => Err(challenge("no app has this name and credential")),
        }
    }

    /// Whose a token is that comes `from` there.
    async fn subject<L: Lessor>(
        &self,
        app: &App<L>,
        (evidence, from): (&Arc<Evidence>, IpAddr),
    ) -> Result<Arc<str>, Refusal> {
        if let Some(subject) = self.recognised.get(evidence) {
            return Ok(subject);
        }
        app.limiter.admit_token(from)?;
        let subject: Arc<str> = app.leases.recognise(evidence).await?.into();
        self.recognised.insert(evidence.clone(), subject.clone());
        Ok(subject)
    }

    fn token(&self, token: &[u8]) -> Result<Proof, Refusal> {
        let token = std::str::from_utf8(token.trim_ascii()).ok().filter(|token| !token.is_empty());
        match token {
            Some(token) if self.takes_tokens => Ok(Proof::Token(Secret::new(token.to_owned()))),
            Some(_) => Err(challenge("this proxy takes no tokens")),
            None => Err(challenge("the token in Proxy-Authorization is none")),
        }
    }
}

/// Who `client` is after what its request says. A token is recognised by the lessor before anything is done for whoever
/// shows it: a tunnel to somewhere else never comes to ask for a lease.
pub(crate) async fn known<L: Lessor>(
    app: &App<L>,
    client: &Client,
    authorization: Option<&[u8]>,
) -> Result<Client, Refusal> {
    let Shown::Nothing = client.shown else { return Ok(client.clone()) };
    let shared = app.shared.as_ref().ok_or_else(|| challenge("this proxy is shared no more"))?;
    let shown = match shared.read(authorization)? {
        Proof::App(known) => Shown::App(known),
        Proof::Token(token) => {
            let evidence = Arc::new(Evidence::token(token));
            let subject = shared.subject(app, (&evidence, client.address)).await?;
            Shown::Token(evidence, subject)
        }
    };
    Ok(client.clone().having_shown(shown))
}

/// Who `client` is under settings that came after it had shown who it is: an app that is gone, or that proves itself in
/// another way now, is nobody.
pub(crate) async fn still_known<L: Lessor>(app: &App<L>, client: Client) -> Result<Client, Refusal> {
    let shared = || app.shared.as_ref().ok_or_else(|| challenge("this proxy is shared no more"));
    let shown = match &client.shown {
        Shown::Beside | Shown::Nothing => return Ok(client),
        Shown::App(before) => {
            let known = shared()?.by_name.get(&before.name).filter(|known| known.proves_itself_as(before));
            Shown::App(known.ok_or_else(|| challenge("no app has this name and credential any more"))?.clone())
        }
        Shown::Token(..) if !shared()?.takes_tokens => return Err(challenge("this proxy takes no tokens any more")),
        Shown::Token(evidence, _) => {
            let subject = shared()?.subject(app, (evidence, client.address)).await?;
            Shown::Token(evidence.clone(), subject)
        }
    };
    Ok(client.having_shown(shown))
}

fn challenge(message: &str) -> Refusal {
    Refusal::new(RefusalCode::ProxyAuthentication, message)
        .help("put the app's credential into the proxy's URL: http://NAME:CREDENTIAL@HOST:PORT")
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("apps", &self.by_name.keys()).finish_non_exhaustive()
    }
}
