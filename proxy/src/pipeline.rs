//! One request, from its head to its answer.
//!
//! ```text
//! accept → intercept → classify → identify → lease (authorise + credential) → sign → forward → record
//! ```

mod sign_in;
mod unsigned;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use access::{Call, Credential, Lease, Refusal, RefusalCode, RequestId, TargetName};
use bytes::Bytes;
use cloud::aws::cluster;
use cloud::aws::recognise::refine_with_body;
use cloud::aws::vending::vends;
use cloud::aws::verify::Check;
use http::header::{ALT_SVC, AUTHORIZATION, CONNECTION, HeaderValue, PROXY_AUTHORIZATION};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body;
use lease::{Derived, Lessor, Need};

use crate::answers::answer::{self, AnswerBody, relay};
use crate::answers::refuse::Dialect;
use crate::answers::switched;
use crate::answers::trouble::{self, Stop};
use crate::app::App;
use crate::books::record::Entry;
use crate::calls::classify::{Bearing, Class, Placeheld};
use crate::calls::derive::{self, Expected, take_keys};
use crate::calls::echo::{Echo, Stead};
use crate::calls::sign::{Brought, By, Hold, credential, prove, prove_held, sign};
use crate::calls::sign_in_token::keep_token;
use crate::calls::skews::Moment;
use crate::calls::standing::Standing;
use crate::client::{Client, Shown};
use crate::entrances::shared;
use crate::places::aim::{Aim, Kind};
use crate::upstream::{Answered, Carrier, Slot};
use crate::wire::arriving::Arriving;
use crate::wire::body::{RequestBody, Upload};
use crate::wire::expect::{self, Gate};
use crate::wire::hop;
use crate::wire::interim::{Ear, Mouth, Trust};
use crate::wire::ledger::Ledger;
use crate::wire::protocol::Protocol;

/// One connection of a program, and what its requests have in common.
#[derive(Debug)]
pub(crate) struct Conversation<L> {
    app: Arc<App<L>>,
    client: Client,
    /// Where the tunnel leads that the requests come through; without one, each says it itself.
    inside: Option<Aim>,
    slot: Arc<Slot>,
    ledger: Arc<Ledger>,
    asked: Arc<AtomicU64>,
    /// Whether it began under other settings than those that its requests meet now.
    is_older: bool,
}

impl<L: Lessor> Conversation<L> {
    pub(crate) fn new(
        app: Arc<App<L>>,
        client: Client,
        (inside, slot): (Option<Aim>, Arc<Slot>),
        ledger: Arc<Ledger>,
    ) -> Self {
        Self { app, client, inside, slot, ledger, asked: Arc::default(), is_older: false }
    }

    /// The conversation as it goes on under the settings in force.
    pub(crate) fn now(self: &Arc<Self>) -> Arc<Self> {
        let Some(app) = self.app.newer() else { return self.clone() };
        let Self { client, inside, slot, ledger, asked, .. } = &**self;
        let (client, inside, slot) = (client.clone(), inside.clone(), slot.clone());
        Arc::new(Self { app, client, inside, slot, ledger: ledger.clone(), asked: asked.clone(), is_older: true })
    }

    /// Answers one request, whatever happens; what comes before the answer is said through `mouth`.
    pub(crate) async fn answer(&self, mut request: Request<Arriving>, mouth: Option<Mouth>) -> Response<AnswerBody> {
        let mut entry = self.app.record(self.client.address, self.ledger.clone());
        let switch = switched::is_asked(&request).then(|| hyper::upgrade::on(&mut request));
        let has_body = !request.body().is_end_stream();
        let waits = has_body && expect::is_expected(request.headers());
        let gate = waits.then(|| Gate::new(mouth.clone()));
        let go_on = gate.as_ref().map(Gate::go_on);
        let (mut head, arriving) = request.into_parts();
        entry.traced(&head);
        let upload = Upload::new(arriving, gate, has_body.then(|| entry.carried_up()));
        let hint = Dialect::hinted(&head);

        let errand = self.errand(&mut head, &mut entry).await;
        if go_on.is_some() || mouth.is_some() {
            let is_cloud = errand.as_ref().is_ok_and(|errand| errand.aim.kind != Kind::Elsewhere);
            let trust = if is_cloud { Trust::Status } else { Trust::Head };
            Ear::on(&mut head, go_on, mouth.map(|mouth| (mouth, trust)));
        }
        let answered = match &errand {
            Ok(errand) => self.run(head, upload, (errand, switch.is_some()), &mut entry).await,
            Err(stop) => Err(stop.clone()),
        };
        let reads_on = !waits || entry.has_carried_up();
        let mut answer = match (answered, switch) {
            (Ok(Answered { response, carrier: Carrier::Line(line) }), Some(switch))
                if response.status() == StatusCode::SWITCHING_PROTOCOLS =>
            {
                let (ledger, idle) = (self.ledger.clone(), self.app.idle());
                let head = response.into_parts().0;
                let (answer, socket) = switched::begin((head, line), switch, entry, (ledger, idle)).await;
                self.app.shutdown.spawn(socket);
                return answer;
            }
            (Ok(answered), _) => relay(answered, self.slot.clone(), entry).await,
            (Err(stop), _) => trouble::answer(
                stop,
                (errand.ok().map(|errand| errand.aim).as_ref().or(self.inside.as_ref()), hint),
                entry,
            ),
        };
        let is_ours = matches!(answer.body(), AnswerBody::Text(_));
        let is_unread = has_body && (is_ours || !reads_on) && self.slot.protocol() == Protocol::Http1;
        if is_unread || (is_ours && self.is_a_strangers()) {
            // The program's body, if it still comes, is read by nobody. Over HTTP/2 its stream is reset by itself. Nor do
            // strangers keep a place among the connections.
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    /// Whether the connection is of somebody who has to show who it is, and has not done so yet.
    fn is_a_strangers(&self) -> bool {
        matches!(self.client.shown, Shown::Nothing) && !self.ledger.is_known()
    }

    /// The sentence: classified, countersigned or passed on, forwarded.
    async fn run(
        &self,
        head: Parts,
        body: Upload,
        (errand, switches): (&Errand, bool),
        entry: &mut Entry,
    ) -> Result<Answered, Stop> {
        let (app, aim) = (&*self.app, &errand.aim);
        let now = app.skews.at(&aim.origin, app.clock.now());
        let with = (now, &errand.client);
        let Outbound { mut request, echo, expected, is_sign_in } = match self.classify(&head, aim, now)? {
            Class::Placeheld(call) => self.countersign((head, Brought::Coming(body)), *call, with, entry).await?,
            Class::Bearing(bearing) => Box::pin(self.bear((head, body), *bearing, with, entry)).await?,
            Class::Unsigned(unsigned) => Box::pin(self.unsigned((head, body), (unsigned, aim), with, entry)).await?,
            Class::SignIn(call) => Box::pin(self.sign_in((head, body), *call, &errand.client, entry)).await?,
            Class::Elsewhere => {
                entry.only_counted();
                pass_on(head, body.streamed())
            }
        };
        if self.slot.protocol() == Protocol::Http1 {
            app.upstreams.dialer().address(&mut request, &aim.origin);
        }
        if switches {
            switched::name_upgrade(request.headers_mut());
        }
        entry.sent(aim);
        let answered = app.upstreams.send(request, &aim.origin, &self.slot).await;
        let mut answered = answered.map_err(|error| trouble::unanswered(&error))?;
        answer::refuse_two_lengths(answered.response.headers())?;
        if let (true, Some((_, lease))) = (is_sign_in, entry.leased()) {
            let books = (app.classifier.placeholders(), &*app.sign_ins, &*app.derived);
            keep_token(&mut answered, lease, books, app.clock.now()).await?;
        }
        if let Some(echo) = echo {
            let head = (answered.response.status(), answered.response.headers());
            app.skews.learn(&aim.origin, head, app.clock.now());
            self.take_back(&echo, &mut answered, entry).await?;
        }
        let switched = answered.response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if switched && !(switches && switched::is_websocket(answered.response.headers())) {
            // Any other `Upgrade` ended at this hop, so nobody has asked for it (RFC 9110 §7.8).
            let refusal =
                Refusal::new(RefusalCode::UpstreamUnavailable, "the destination changed the protocol unasked");
            return Err(Stop::Broken(refusal));
        }
        if let Some(expected) = expected.filter(|_| answered.response.status().is_success()) {
            let books = (app.classifier.placeholders(), &*app.derived);
            take_keys(&mut answered, &expected, books, app.clock.now()).await?;
        }
        if aim.kind != Kind::Elsewhere {
            // Past us, over HTTP/3 perhaps, the service would see a placeholder (RFC 7838 §3).
            answered.response.headers_mut().remove(ALT_SVC);
        }
        Ok(answered)
    }

    fn classify(&self, head: &Parts, aim: &Aim, now: Moment) -> Result<Class, Refusal> {
        let classifier = &self.app.classifier;
        match aim.kind {
            Kind::Cloud => classifier.classify(head, &aim.destination.host, now),
            Kind::Cluster => {
                let name = self.app.endpoints.cluster(&aim.destination.host).unwrap_or_default();
                classifier.classify_bearer(head, name, now)
            }
            Kind::Elsewhere => classifier.refuse_astray(head).map(|()| Class::Elsewhere),
        }
    }

    /// identify → lease → sign.
    async fn countersign(
        &self,
        (mut head, body): (Parts, Brought),
        placeheld: Placeheld,
        (now, client): (Moment, &Client),
        entry: &mut Entry,
    ) -> Result<Outbound, Stop> {
        let app = &*self.app;
        let Placeheld { call, standing, check, body: said } = placeheld;
        let (target, derived) = self.stands_for(standing, entry)?;
        let is_proven = matches!(check, Check::Verified(_));
        if is_proven {
            app.limiter.admit_target(&target)?;
        }
        let id = entry.id();
        let call = entry.call(call);
        let hold = Hold { room: &app.holding, peer: client.address, body_decides: said.is_some() };
        let proven = prove(&mut head, check, body, hold).await?;
        if !is_proven {
            // Not before: an id alone, which is no secret, would use up what others may ask.
            app.limiter.admit_target(&target)?;
        }
        if let Some(said) = said {
            refine_with_body(call, said, proven.held().map_or(&[], |held| held));
        }
        if let Some(derived) = &derived {
            // What the wire names without an account lies in that of the role that was become, not in the target's.
            call.settle(derived.account());
        }
        let vends = vends(call);
        derive::refuse_hopeless(call, vends)?;

        let lease = self.lease((&target, call), client, id).await?;
        entry.lease(lease.clone());
        derive::refuse_unnamed(entry.called(), vends, &lease)?;
        let expected = Expected::of_signed(vends, &target, &lease);

        hop::strip_request(&mut head.headers);
        if expected.is_some() {
            Expected::announce(&mut head);
        }
        entry.continue_trace(&mut head.headers);
        let by = By { lease: &lease, derived: derived.as_deref(), keys: app.classifier.keys(), now: now.theirs };
        let (body, echo) = sign(&mut head, proven, entry.called(), by)?.into_parts();
        Ok(Outbound { request: Request::from_parts(head, body), echo: Some(echo), expected, is_sign_in: false })
    }

    /// The target whose grants have to cover a call, and the credential that is not that target's own.
    fn stands_for(&self, standing: Standing, entry: &mut Entry) -> Result<(TargetName, Option<Arc<Derived>>), Refusal> {
        let (target, derived) = match standing {
            Standing::Target(target) => (target, None),
            Standing::Derived(id) => {
                let derived = self.app.derived.find(&id, self.app.clock.now()).ok_or_else(derive::expired)?;
                entry.derived(id, derived.clone());
                (derived.target().clone(), Some(derived))
            }
        };
        entry.target(target.clone());
        Ok((target, derived))
    }

    /// identify → lease → sign for the request in a bearer; the request that carries the bearer stays as it is otherwise.
    async fn bear(
        &self,
        (mut head, body): (Parts, Upload),
        bearing: Bearing,
        (now, client): (Moment, &Client),
        entry: &mut Entry,
    ) -> Result<Outbound, Stop> {
        let Bearing { mut request, placeheld: Placeheld { call, standing, check, .. } } = bearing;
        let (target, derived) = self.stands_for(standing, entry)?;
        let id = entry.id();
        let call = entry.call(call);
        let proven = prove_held(check, Bytes::new())?;
        self.app.limiter.admit_target(&target)?;
        let lease = self.lease((&target, call), client, id).await?;
        entry.lease(lease.clone());
        let keys = self.app.classifier.keys();
        let by = By { lease: &lease, derived: derived.as_deref(), keys, now: now.theirs };
        // Its body is none, and the cluster repeats nothing of a bearer.
        drop(sign(&mut request, proven, entry.called(), by)?);
        let bearer = cluster::seal(&request);
        let bearer = bearer.map_err(|error| Refusal::new(RefusalCode::ExchangeRefused, error.to_string()))?;
        hop::strip_request(&mut head.headers);
        entry.continue_trace(&mut head.headers);
        head.headers.insert(AUTHORIZATION, bearer);
        Ok(Outbound {
            request: Request::from_parts(head, body.streamed()),
            echo: None,
            expected: None,
            is_sign_in: false,
        })
    }

    /// A lease for a call.
    async fn lease(
        &self,
        (target, call): (&TargetName, &Call),
        client: &Client,
        request: RequestId,
    ) -> Result<Arc<Lease>, Stop> {
        self.app.reporter.admit()?;
        let evidence = &client.evidence(&self.app.identity)?;
        let need = Need { evidence, target, call, from: Some(client.address), request };
        Ok(self.app.leases.obtain(need).await?)
    }

    /// Gives the program its own back where an answer repeats what we signed with.
    async fn take_back(&self, echo: &Echo, answered: &mut Answered, entry: &Entry) -> Result<(), Stop> {
        let app = &*self.app;
        let Some((target, lease)) = entry.leased() else { return Ok(()) };
        let (credential, placeholder) = match entry.derivation() {
            Some((id, derived)) => (credential(lease, Some(derived))?, id),
            None => (lease.credential(), app.classifier.placeholder_of(target).unwrap_or_default()),
        };
        let Credential::Aws(credential) = credential;
        echo.take_back(answered, Stead { credential, placeholder }, (&app.said, entry.id(), app.clock.now())).await
    }

    /// Where a request wants to go, and for whom.
    async fn errand(&self, head: &mut Parts, entry: &mut Entry) -> Result<Errand, Stop> {
        entry.known(self.client.named());
        let number = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        if let Some(why) = self.ledger.refused(number) {
            return Err(Stop::Refused(Refusal::new(RefusalCode::RequestMalformed, why.to_string())));
        }
        self.app.limiter.admit_peer(self.client.address)?;
        if let Some(aim) = &self.inside {
            aim.check_inside(head)?;
            let errand = Errand { aim: aim.clone(), client: self.client.clone() };
            if aim.kind == Kind::Elsewhere {
                entry.to(&aim.destination);
            }
            return if self.is_older { self.again(errand).await } else { Ok(errand) };
        }
        let authorization = head.headers.get(PROXY_AUTHORIZATION).map(HeaderValue::as_bytes);
        let mut client = self.client.clone();
        if self.is_older {
            client = shared::still_known(&self.app, client).await?;
        }
        let client = shared::known(&self.app, &client, authorization).await?;
        self.ledger.know();
        entry.known(client.named());
        let aim = Aim::of_absolute(head, &self.app.endpoints)?;
        if aim.kind == Kind::Elsewhere {
            entry.to(&aim.destination);
        }
        self.app.egress.admit(&aim, &client).map_err(|barred| Refusal::from(&barred))?;
        Ok(Errand { aim, client })
    }

    /// What was asked when the tunnel began, asked again of the settings that are in force now.
    async fn again(&self, Errand { aim, client }: Errand) -> Result<Errand, Stop> {
        let client = shared::still_known(&self.app, client).await?;
        let aim = Aim::at(aim.destination, &self.app.endpoints);
        self.app.egress.admit(&aim, &client).map_err(|barred| Refusal::from(&barred))?;
        Ok(Errand { aim, client })
    }
}

/// Where a request wants to go, and for whom.
struct Errand {
    aim: Aim,
    client: Client,
}

/// What is sent, and what is to be done with its answer.
struct Outbound {
    request: Request<RequestBody>,
    /// What the answer may repeat of it, to be taken back.
    echo: Option<Echo>,
    /// The keys that the answer will hold, to stay here.
    expected: Option<Expected>,
    /// Or a token of AWS's sign-in.
    is_sign_in: bool,
}

/// A request that carries nothing of ours goes on as it is.
fn pass_on(mut head: Parts, body: RequestBody) -> Outbound {
    hop::strip_request(&mut head.headers);
    Outbound { request: Request::from_parts(head, body), echo: None, expected: None, is_sign_in: false }
}
