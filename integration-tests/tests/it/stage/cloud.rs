//! A cloud with the shape of AWS that verifies everything it is shown, and remembers everything it has seen.
//!
//! One server on loopback stands for every host of AWS: whoever reaches it for `s3.amazonaws.com` has asked it so in
//! `Host`. It issues credentials for web identity tokens, checks signature, session, expiry and date of every request by
//! the world's clock, reads every body to its end, and fails where a test tells it to.

mod admit;
mod answers;
mod elsewhere;
mod iam;
mod objects;
mod posts;
mod query;
mod services;
mod sign_in;
mod simpledb;
mod sockets;
mod sts;
mod vend;

mod http2;

use std::collections::BTreeMap;
use std::io::Result;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::{SignedDuration, Timestamp};
use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

use self::admit::{Claim, Denied, Payload};
use self::objects::Objects;
use super::clock::Clock;
use super::faults::{Fault, Faults, Station};
use super::served::{Answer, Served, Wire, serve};
use super::wire::{Body, Head, read_head};

pub(crate) use self::elsewhere::CLUSTER;
pub(crate) use self::services::{MOVED, PUBLIC};
pub(crate) use self::sign_in::{COOKIE, SIGN_IN_TOKEN};
pub(crate) use self::sts::{Exchange, Provider};
pub(crate) use self::vend::DOCKER_TOKEN;

/// A request that arrived, believed or not.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The connection that it came on, from 1.
    pub(crate) connection: usize,
    pub(crate) head: Head,
    /// Bytes of its body, as far as they arrived.
    pub(crate) body: u64,
    /// The session that signed it, if its signature was right.
    pub(crate) key_id: Option<String>,
    /// The status that it was answered with, if it was.
    pub(crate) status: Option<u16>,
}

/// Temporary security credentials that the cloud has given away.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) key_id: String,
    pub(crate) secret: String,
    pub(crate) token: String,
    pub(crate) expires: Timestamp,
    /// `arn:aws:sts::…:assumed-role/…`
    pub(crate) arn: String,
    /// What the session is narrowed to.
    pub(crate) policy: Option<serde_json::Value>,
    /// Whether it is one of S3 Express, whose token goes into a header of its own.
    pub(crate) express: bool,
}

/// The cloud.
#[derive(Debug)]
pub(crate) struct Cloud {
    served: Served,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    clock: Clock,
    faults: Arc<Faults>,
    provider: Mutex<Option<Provider>>,
    sessions: Mutex<BTreeMap<String, Session>>,
    exchanges: Mutex<Vec<Exchange>>,
    objects: Mutex<Objects>,
    seen: Mutex<Vec<Seen>>,
}

/// No test panics with one of the cloud's books in its hand.
fn open<T>(book: &Mutex<T>) -> MutexGuard<'_, T> {
    book.lock().expect("no test panics with a book of the cloud in hand")
}

impl Cloud {
    /// Starts one that trusts nobody yet.
    pub(crate) async fn start(clock: &Clock, faults: &Arc<Faults>, tls: Option<Arc<ServerConfig>>) -> Self {
        let state = Arc::new(State {
            clock: clock.clone(),
            faults: faults.clone(),
            provider: Mutex::default(),
            sessions: Mutex::default(),
            exchanges: Mutex::default(),
            objects: Mutex::default(),
            seen: Mutex::default(),
        });
        let handler = state.clone();
        let served = serve(tls, move |wire, number| connection(handler.clone(), wire, number)).await;
        Self { served, state }
    }

    /// Registers the identity provider whose tokens may be exchanged, as an operator does in IAM.
    pub(crate) fn trust(&self, provider: Provider) {
        *open(&self.state.provider) = Some(provider);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.served.address
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.served.connections()
    }

    /// Everything that arrived, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        open(&self.state.seen).clone()
    }

    /// Everything that arrived but exchanges of tokens.
    pub(crate) fn calls(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| station(&seen.head) == Station::Cloud).collect()
    }

    /// Every exchange that ended with a credential.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        open(&self.state.exchanges).clone()
    }

    /// The session of an access key id.
    pub(crate) fn session(&self, key_id: &str) -> Session {
        open(&self.state.sessions)[key_id].clone()
    }

    /// Every credential that it has given away.
    pub(crate) fn sessions(&self) -> Vec<Session> {
        open(&self.state.sessions).values().cloned().collect()
    }

    /// Gives away a credential for whatever its receiver likes, past everything.
    pub(crate) fn lend(&self, duration: SignedDuration) -> Session {
        let role = "arn:aws:iam::123456789012:role/Stage";
        let session = sts::issue(&self.state, (role, "stage"), (duration, None));
        open(&self.state.sessions).insert(session.key_id.clone(), session.clone());
        session
    }

    /// Lets every secret that was given away be another one, so that all signatures are wrong.
    pub(crate) fn forget_secrets(&self) {
        open(&self.state.sessions).values_mut().for_each(|session| session.secret.push('x'));
    }

    /// What lies under a key, decoded as S3 decodes it.
    pub(crate) fn object(&self, bucket: &str, key: &[u8]) -> Option<Vec<u8>> {
        open(&self.state.objects).get(bucket, key)
    }

    /// Puts an object there, past everything.
    pub(crate) fn keep(&self, bucket: &str, key: &str, content: &[u8]) {
        open(&self.state.objects).put(bucket, key.as_bytes(), content.to_vec());
    }
}

/// Whether a request asks for credentials or uses them.
fn station(head: &Head) -> Station {
    let is_signed = head.get("authorization").is_some() || head.word(1).contains("X-Amz-Signature=");
    let exchange = !is_signed && head.get("host").is_some_and(|host| host.starts_with("sts."));
    if exchange { Station::Sts } else { Station::Cloud }
}

async fn connection(state: Arc<State>, mut wire: Wire, number: usize) -> Result<()> {
    if wire.fill_buf().await?.starts_with(http2::PREFACE) {
        return http2::connection(state, wire, number).await;
    }
    while let Some(head) = read_head(&mut wire).await? {
        let fault = state.faults.meets(station(&head));
        let index = state.note(&head, number);
        let call = Call { state: &state, head: &head, index, fault };
        if head.get("upgrade").is_some() && sockets::are_taken(&head) {
            return sockets::serve(&call, wire).await;
        }
        let Some((answer, stays)) = call.answer(&mut wire).await? else { return Ok(()) };
        let answer = state.signed_off(answer);
        let (status, method) = (answer.status, head.word(0));
        let stays = answer.send(&mut wire, method, (&state.faults, fault)).await? && stays;
        open(&state.seen)[index].status = Some(status);
        if !stays {
            wire.shutdown().await?;
            return call.count_the_rest(&mut wire).await;
        }
    }
    Ok(())
}

impl State {
    fn note(&self, head: &Head, connection: usize) -> usize {
        let mut seen = open(&self.seen);
        seen.push(Seen { connection, head: head.clone(), body: 0, key_id: None, status: None });
        seen.len() - 1
    }

    /// What every answer of AWS carries.
    fn signed_off(&self, answer: Answer) -> Answer {
        let date = self.clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        answer.header("Date", date).header("x-amz-request-id", "CLOUDS0OWN0ID000")
    }
}

/// One request on its way to its answer.
struct Call<'a> {
    state: &'a State,
    head: &'a Head,
    index: usize,
    fault: Option<Fault>,
}

impl Call<'_> {
    /// The answer, and whether the connection stays open; `None`: the connection ends here.
    async fn answer(&self, wire: &mut Wire) -> Result<Option<(Answer, bool)>> {
        let claim = match self.fault {
            Some(Fault::CloseAtHead) => return Ok(None),
            Some(Fault::Forbidden) => Err(Denied::new(403, "AccessDenied", "this bucket is not yours")),
            Some(Fault::Changed) => {
                Claim::read(&self.head.with("content-type", "application/x-changed"), self.state).map(Some)
            }
            _ if station(self.head) == Station::Sts || simpledb::is_asked(self.head) => Ok(None),
            _ => Claim::read(self.head, self.state).map(Some),
        };
        let waits = self.head.get("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"));
        let claim = match claim {
            Ok(claim) => claim,
            Err(denied) if waits => return Ok(Some((answers::denied(&denied, self.head), false))),
            Err(denied) => {
                let whole = self.body(wire).await?;
                return Ok(whole.map(|_| (answers::denied(&denied, self.head), true)));
            }
        };
        if waits {
            wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            wire.flush().await?;
        }
        let Some(body) = self.body(wire).await? else { return Ok(None) };
        if self.fault == Some(Fault::Hints) {
            let token = self.head.get("x-amz-security-token").unwrap_or_default();
            let hints = format!("HTTP/1.1 103 Early Hints\r\nLink: <{token}>\r\nAlt-Svc: h3=\":443\"\r\n\r\n");
            wire.write_all(hints.as_bytes()).await?;
        }
        let answer = match self.fault {
            Some(Fault::ServerError) => answers::server_error(self.head),
            Some(Fault::Throttle) => answers::throttled(self.head),
            _ => self.perform(claim, body).await.unwrap_or_else(|denied| answers::denied(&denied, self.head)),
        };
        Ok(Some((answer, true)))
    }

    /// The body as it stands on the wire; `None`: the connection ends in the middle of it.
    async fn body(&self, wire: &mut Wire) -> Result<Option<Vec<u8>>> {
        let (mut body, mut whole) = (Body::of_request(self.head)?, Vec::new());
        loop {
            let piece = body.piece(wire).await?;
            open(&self.state.seen)[self.index].body = body.taken;
            if self.fault == Some(Fault::CloseInBody) {
                return Ok(None);
            }
            let Some(piece) = piece else { return Ok(Some(whole)) };
            whole.extend_from_slice(&piece);
        }
    }

    /// After the last answer of a connection: what the other side sends nevertheless.
    async fn count_the_rest(&self, wire: &mut Wire) -> Result<()> {
        let mut rest = [0; 4096];
        loop {
            let read = wire.read(&mut rest).await?;
            if read == 0 {
                return Ok(());
            }
            open(&self.state.seen)[self.index].body += read as u64;
        }
    }

    async fn perform(&self, claim: Option<Claim>, body: Vec<u8>) -> std::result::Result<Answer, Denied> {
        if simpledb::is_asked(self.head) {
            return simpledb::perform(self, &body);
        }
        if sign_in::is_asked(self.head) {
            return sign_in::perform(self, &body);
        }
        if claim.as_ref().is_some_and(|claim| claim.session().is_none()) && posts::is_asked(self.head) {
            return posts::perform(self, &body);
        }
        let Some(claim) = claim else { return sts::exchange(self.state, &body).await };
        let Some(session) = claim.session() else { return services::anonymous(self.state, self.head) };
        let Payload { content } = claim.admit(&body)?;
        open(&self.state.seen)[self.index].key_id = Some(session.key_id.clone());
        services::perform(self.state, self.head, (session, content))
    }
}
