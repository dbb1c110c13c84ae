//! Requests of one connection, many at a time (HTTP/2).

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use lease::Lessor;
use serve::Wanted;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, interval_at, sleep_until};

use crate::answers::answer::AnswerBody;
use crate::app::App;
use crate::client::Client;
use crate::entrances::connection::{REST, Way};
use crate::entrances::intercept::Caller;
use crate::pipeline::Conversation;
use crate::wire::arriving::{ArrivalError, Arriving};
use crate::wire::head::MAX_HEAD;
use crate::wire::interim::Mouth;
use crate::wire::pour::{Pour, Spilt};
use crate::wire::silence::Silence;

/// Requests at once on one connection. Browsers and gRPC are used to 100 and more; a program that has more to ask waits,
/// or opens another connection.
const MAX_STREAMS: u32 = 128;

/// Bytes of one body that a program may send ahead of its destination.
const STREAM_WINDOW: u32 = 512 * 1024;

/// Bytes of all bodies of a connection together.
const WINDOW: u32 = 4 * STREAM_WINDOW;

/// Bytes of one answer that wait here for a slow program.
const MAX_WAITING: usize = 128 * 1024;

/// By how many the requests that a program gave up may outnumber those that it let us answer. Opening and resetting
/// costs a program nothing, and us and the destination a request each (CVE-2023-44487).
const MAX_ABANDONED: usize = 500;

/// How long a program has to take leave of a connection that gives way. It may still read its last answer.
const LEAVE: Duration = Duration::from_secs(10);

/// Serves requests until either side has had enough. `wanted` tells when the connection's place is: it gives way while
/// nothing is under way.
pub(crate) async fn serve<I, L>(io: I, (app, client): Caller<L>, way: Way, wanted: &Wanted)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    L: Lessor,
{
    let mut protocols = way.0.as_ref().map(|aim| way.1.hub(&aim.origin, app.upstreams.dialer().era).protocols());
    let mut builder = Builder::new();
    if protocols.take_if(|protocols| *protocols.borrow()).is_some() {
        builder.enable_connect_protocol();
    }
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .max_send_buffer_size(MAX_WAITING);
    let handshake = builder.handshake::<_, Bytes>(io);
    let ended = match tokio::time::timeout(app.patience().head, handshake).await {
        Ok(Ok(connection)) => Serving::new(app, client, way).run(connection, protocols, wanted).await,
        Ok(Err(error)) => Err(error),
        Err(_) => return tracing::debug!("an HTTP/2 connection of a program did not begin in time"),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP/2 connection of a program ended early");
    }
}

/// A connection that is being served.
struct Serving<L> {
    app: Arc<App<L>>,
    conversation: Arc<Conversation<L>>,
    tally: Arc<Tally>,
}

/// The requests of a connection, counted.
#[derive(Debug, Default)]
struct Tally {
    open: AtomicUsize,
    answered: AtomicUsize,
    abandoned: AtomicUsize,
    /// Told when nothing is open any more.
    at_rest: Notify,
}

impl<L: Lessor> Serving<L> {
    fn new(app: Arc<App<L>>, client: Client, way: Way) -> Self {
        let conversation = Arc::new(Conversation::new(app.clone(), client, way, Arc::default()));
        Self { app, conversation, tally: Arc::default() }
    }

    /// `protocols`: whether the destination takes requests for other protocols (RFC 8441 §3); only then we do.
    async fn run<I>(
        self,
        mut connection: Connection<I, Bytes>,
        mut protocols: Option<watch::Receiver<bool>>,
        wanted: &Wanted,
    ) -> Result<(), h2::Error>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let (shutdown, idle) = (&self.app.shutdown, self.app.idle());
        let mut ticks = interval_at(Instant::now() + idle, idle);
        let (mut begun, mut seen, mut is_last) = (0_u64, 0, false);
        let (mut at_rest_since, mut leave_by) = (Instant::now(), None);
        loop {
            tokio::select! {
                // What has come already is heard before the connection gives way.
                biased;
                () = shutdown.begun(), if !is_last => {
                    is_last = true;
                    connection.graceful_shutdown();
                }
                accepted = connection.accept() => match accepted {
                    None => return Ok(()),
                    Some(accepted) => {
                        begun += 1;
                        self.begin(accepted?);
                    }
                },
                () = self.tally.at_rest.notified() => at_rest_since = Instant::now(),
                () = wanted_after(at_rest_since + REST, wanted), if self.tally.is_idle() && !is_last => {
                    self.app.metrics.shed.add(1);
                    is_last = true;
                    leave_by = Some(Instant::now() + LEAVE);
                    connection.graceful_shutdown();
                }
                // A request that has crossed our farewell is answered first.
                () = reached(leave_by), if self.tally.is_idle() => return Ok(()),
                () = announced(protocols.as_mut()) => {
                    protocols = None;
                    // It fails while the program has not confirmed our first settings; then its next connection is told.
                    if let Err(error) = connection.enable_connect_protocol() {
                        tracing::debug!(%error, "a program was not told that its destination takes WebSockets");
                    }
                }
                // A connection ends after one to two such times without a request; one that is not even taking leave
                // of us is cut.
                _ = ticks.tick() => if std::mem::replace(&mut seen, begun) == begun && self.tally.is_idle() {
                    if std::mem::replace(&mut is_last, true) {
                        return Ok(());
                    }
                    connection.graceful_shutdown();
                }
            }
            if self.tally.is_abused() {
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            }
        }
    }

    fn begin(&self, (request, respond): (Request<RecvStream>, SendResponse<Bytes>)) {
        self.tally.open.fetch_add(1, Ordering::AcqRel);
        let exchange = Exchange { respond, idle: self.app.idle(), tally: self.tally.clone() };
        let conversation = self.conversation.now();
        self.app.shutdown.spawn(async move { exchange.run(&conversation, request).await });
    }
}

/// Ready once the connection's place is wanted, after that moment.
async fn wanted_after(moment: Instant, wanted: &Wanted) {
    sleep_until(moment).await;
    wanted.waits().await;
}

/// Ready at that moment, if there is one.
async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Ready once the destination has announced it.
async fn announced(protocols: Option<&mut watch::Receiver<bool>>) {
    if let Some(protocols) = protocols
        && protocols.wait_for(|takes| *takes).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

impl Tally {
    fn is_idle(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    fn is_abused(&self) -> bool {
        let answered = self.answered.load(Ordering::Acquire);
        self.abandoned.load(Ordering::Acquire) > answered.saturating_add(MAX_ABANDONED)
    }
}

/// One request and its answer.
struct Exchange {
    respond: SendResponse<Bytes>,
    idle: Duration,
    tally: Arc<Tally>,
}

impl Exchange {
    async fn run<L: Lessor>(mut self, conversation: &Conversation<L>, request: Request<RecvStream>) {
        let is_head = request.method() == Method::HEAD;
        let Some(answer) = self.answer(conversation, request).await else {
            self.tally.abandoned.fetch_add(1, Ordering::AcqRel);
            return;
        };
        self.tally.answered.fetch_add(1, Ordering::AcqRel);
        let answer = if is_head || has_no_content(&answer) { without_text(answer) } else { answer };
        if let Err(error) = self.send(answer).await {
            tracing::debug!(%error, "an answer did not get to its program");
        }
    }

    /// The answer; none if the program gives its request up.
    async fn answer<L: Lessor>(
        &mut self,
        conversation: &Conversation<L>,
        request: Request<RecvStream>,
    ) -> Option<Response<AnswerBody>> {
        let (mouth, mut words) = Mouth::of_stream();
        let (head, stream) = request.into_parts();
        let body = Arriving::on(stream, &head.headers);
        let mut answer = pin!(conversation.answer(Request::from_parts(head, body), Some(mouth)));
        let answer = loop {
            tokio::select! {
                Some(interim) = words.recv() => self.say(interim),
                answer = answer.as_mut() => break answer,
                _ = poll_fn(|cx| self.respond.poll_reset(cx)) => return None,
            }
        };
        // What came just before it.
        while let Ok(interim) = words.try_recv() {
            self.say(interim);
        }
        Some(answer)
    }

    fn say(&mut self, interim: Response<()>) {
        if let Err(error) = self.respond.send_informational(interim) {
            tracing::debug!(%error, "an interim answer was not passed on");
        }
    }

    async fn send(&mut self, answer: Response<AnswerBody>) -> Result<(), h2::Error> {
        let (mut head, body) = answer.into_parts();
        if let (AnswerBody::Text(_), Some(length @ 1..)) = (&body, body.size_hint().exact()) {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let is_whole = body.is_end_stream();
        let stream = self.respond.send_response(Response::from_parts(head, ()), is_whole)?;
        if is_whole {
            return Ok(());
        }
        let mut pouring = Pouring { pour: Pour::new(body, stream), moves: 0, silence: Silence::default() };
        poll_fn(|cx| pouring.poll(cx, self.idle)).await
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.tally.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.tally.at_rest.notify_one();
        }
    }
}

/// Whether an answer has no body by its status (RFC 9110 §6.4.1).
fn has_no_content(answer: &Response<AnswerBody>) -> bool {
    matches!(answer.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// An answer of ours that has no body whatever it says; over HTTP/1.1 the server sees to it. A destination's has none.
fn without_text(answer: Response<AnswerBody>) -> Response<AnswerBody> {
    answer.map(|body| if matches!(body, AnswerBody::Text(_)) { AnswerBody::Empty } else { body })
}

/// An answer's body on its way down.
struct Pouring {
    pour: Pour<AnswerBody>,
    moves: u64,
    silence: Silence,
}

impl Pouring {
    fn poll(&mut self, cx: &mut Context<'_>, idle: Duration) -> Poll<Result<(), h2::Error>> {
        self.pour.body().drive(cx);
        match self.pour.poll_through(cx) {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(Spilt::Stream(error))) => return Poll::Ready(Err(error)),
            Poll::Ready(Err(Spilt::Body(error))) => {
                let reason = reason(&error);
                self.pour.reset(reason);
                return Poll::Ready(Err(reason.into()));
            }
            Poll::Pending => {}
        }
        if self.pour.moves() != self.moves || !self.pour.waits_for_room() {
            self.moves = self.pour.moves();
            self.silence.broken();
        }
        if !self.pour.waits_for_room() {
            return Poll::Pending;
        }
        // A program that does not take what it asked for is silent, too.
        self.silence.poll_for(cx, idle).map(|()| {
            self.pour.reset(Reason::CANCEL);
            Err(Reason::CANCEL.into())
        })
    }
}

/// Why an answer ends early, in the words of whoever ended it: gRPC reads them (gRPC over HTTP/2, "Errors").
fn reason(error: &ArrivalError) -> Reason {
    match error {
        ArrivalError::Http2(error) => error.reason().unwrap_or(Reason::INTERNAL_ERROR),
        ArrivalError::Http1(_) | ArrivalError::Silent => Reason::INTERNAL_ERROR,
    }
}
