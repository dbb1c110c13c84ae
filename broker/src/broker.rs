//! The embedded broker: verify, resolve, decide, mint, exchange, write down, lend.

mod refusals;
mod tend;

use std::sync::Arc;
use std::time::Duration;

use access::{AwsCredential, Caller, Clock, Context, Credential, Evidence, Lease, LeaseId, Permit, Record, Refusal};
use access::{DisplayName, OrganisationName, RefusalCode, Rules, decide};
use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use config::{Settings, Source};
use jiff::{SignedDuration, Timestamp};
use lease::{Ask, Heard, Lessor, Position, ReportError};
use uuid::Uuid;

use crate::audit::{AuditError, Book, By, CallerSeen, ConfigChanged, Draft, LeaseIssued, LeaseRefused, NearMiss, What};
use crate::directory::DirectoryError;
use crate::exchange::Exchange;
use crate::issuer::Issuer;
use crate::outbound::{OutboundError, Roots, in_words};
use crate::scribe::{Entry, Scribe, Unwritten};
use crate::sources::{Sources, SourcesError};
use crate::store::{Organisation, Store, StoreError, new_id};
use crate::tokens::{KeysError, Tokens};
use refusals::{cut_off, ended, helped, unresolved, unsigned, unwritten};

/// A follower hears that we are there so often.
const ALIVE: Duration = Duration::from_secs(10);
/// How often it is looked what was taken back: whoever took it back may be another process on the same store.
const LOOK: Duration = Duration::from_millis(300);

/// The broker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The organisation that the config is for cannot be had.
    #[error("the store does not tell its organisations")]
    Organisation(#[source] sqlx::Error),
    /// The signing keys cannot be had.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The sources cannot be used.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// Token services cannot be asked.
    #[error("token services cannot be asked")]
    Exchange(#[source] OutboundError),
}

/// Why nothing could be lent now.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// The store does not answer.
    #[error("the store does not answer")]
    Store(#[source] sqlx::Error),
    /// No key signs.
    #[error("there is no signing key")]
    NoKey,
}

/// The identity broker in this process.
#[derive(Debug)]
pub struct Broker {
    clock: Clock,
    store: Store,
    organisation: Organisation,
    scribe: Scribe,
    tokens: Arc<Tokens>,
    intent: ArcSwap<Intent>,
}

/// What the operator wants: all that may change while the broker runs.
#[derive(Debug)]
struct Intent {
    written: Vec<Source>,
    sources: Arc<Sources>,
    rules: Rules,
    exchange: Arc<Exchange>,
}

/// Settings that are ready to come into force, see [`Broker::prepare`].
#[derive(Debug)]
pub struct Prepared(Intent);

/// Nothing is lent, and what is known of it.
struct Declined {
    caller: Option<Box<CallerSeen>>,
    near: Vec<NearMiss>,
    refusal: Refusal,
}

impl Broker {
    /// Opens the store, making it at the first start, and gets everything ready; nothing is asked over the network yet.
    pub async fn open(settings: &Settings, clock: Clock) -> Result<Self, OpenError> {
        let intent = Intent::of(settings, &clock, None)?;
        let store = Store::open(&settings.broker.store).await?;
        let organisation = store.first(&settings.realm, clock.now()).await.map_err(OpenError::Organisation)?;
        let tokens = Tokens::open(organisation.clone(), (&settings.realm, &settings.broker), clock.clone()).await?;
        let scribe = Scribe::new(store.clone(), clock.clone());
        Ok(Self { clock, store, organisation, scribe, tokens: Arc::new(tokens), intent: ArcSwap::from_pointee(intent) })
    }

    /// Gets other sources, targets, grants and endpoints ready. Nothing changes yet, and all that can fail has not.
    pub fn prepare(&self, settings: &Settings) -> Result<Prepared, OpenError> {
        Intent::of(settings, &self.clock, Some(&self.intent.load())).map(Prepared)
    }

    /// Writes a change down and puts it into force; if it cannot be written, nothing changes. From now on nothing is lent
    /// by older rules, but what was lent is still held: [`lease::Leases::recall`] takes it back.
    ///
    /// `text`: the config as it was written. `waiting`: keys whose change waits for a restart.
    pub async fn commit(
        &self,
        Prepared(intent): Prepared,
        (text, waiting): (&[u8], &[&str]),
    ) -> Result<(), AuditError> {
        let changed = ConfigChanged {
            sha256: hex::encode(digest(&SHA256, text)),
            sources: intent.written.len(),
            targets: intent.rules.targets().count(),
            grants: intent.rules.targets().map(|target| intent.rules.grants(&target.name).len()).sum(),
            waiting: waiting.iter().map(|key| (*key).to_owned()).collect(),
        };
        self.write([What::ConfigChanged(changed)]).await.map_err(|error| AuditError::Unwritten(Arc::new(error)))?;
        self.intent.store(Arc::new(intent));
        Ok(())
    }

    /// Whether a permit stands under the rules in force. Where sources changed, those who came through them are asked
    /// again who they are.
    pub fn upholds(&self, permit: &Permit, before: &[Source]) -> bool {
        let intent = self.intent.load();
        intent.written == before && intent.rules.uphold(permit)
    }

    /// The organisation that the config is for.
    pub const fn organisation(&self) -> &Organisation {
        &self.organisation
    }

    /// The organisation with this name in URLs, if there is one.
    pub async fn organisation_named(&self, slug: &OrganisationName) -> Result<Option<Organisation>, DirectoryError> {
        Ok(self.store.organisation(slug.as_str()).await?)
    }

    /// Founds another organisation.
    pub async fn found(
        &self,
        slug: &OrganisationName,
        name: &DisplayName,
        by: By,
    ) -> Result<Organisation, DirectoryError> {
        Organisation::found(&self.store, (slug, name), by, self.clock.now()).await
    }

    /// The time, as this broker has it.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Our issuer, for [`crate::issuer::routes`].
    pub fn issuer(&self) -> Issuer {
        Issuer::of(self.tokens.clone())
    }

    /// The audit book, to read.
    pub fn book(&self) -> Book {
        Book::of(self.organisation.clone())
    }

    /// Whether it could lend: the store answers, and a key signs. Clouds and sources are not asked; that would make this
    /// process unready for what a restart of it does not mend.
    pub async fn ready(&self) -> Result<(), NotReady> {
        self.store.answers().await.map_err(NotReady::Store)?;
        if self.tokens.signs(self.clock.now()) { Ok(()) } else { Err(NotReady::NoKey) }
    }

    /// The flow. What it lends has been written down when it comes back.
    async fn lend(&self, ask: &Ask, now: Timestamp) -> Result<Lease, Declined> {
        let caller = self.intent.load_full().sources.verify(&ask.evidence, now).await?.caller;
        let caller = Arc::new(self.resolve(caller).await?);
        let permit = self.decide(&caller, ask, now)?;
        let known = |refusal: Refusal| Declined {
            caller: Some(seen(&caller)),
            near: Vec::new(),
            refusal: refusal.about(&*caller.subject),
        };
        let session = self.tokens.session_name(&caller);
        let (credential, token) = self.exchange(&permit, &session, now).await.map_err(known)?;
        let lease = Lease::new(LeaseId::new(new_id(now)), permit, Credential::Aws(credential), now);
        if !lease.is_live(self.clock.now()) {
            return Err(known(ended(&lease)));
        }
        self.write_down(ask, &lease, (session, token)).await.map_err(|error| known(unwritten(&error)))?;
        Ok(lease)
    }

    /// Who a caller is in the directory. Whoever was cut off there is nobody here.
    async fn resolve(&self, caller: Caller) -> Result<Caller, Declined> {
        let (caller, is_active) = self.organisation.resolve(caller).await.map_err(|error| unresolved(&error))?;
        if is_active == Some(false) {
            return Err(Declined {
                caller: Some(seen(&caller)),
                near: Vec::new(),
                refusal: cut_off().about(&*caller.subject),
            });
        }
        Ok(caller)
    }

    /// Our token for a credential. A cloud reads the token by its own clock: where a refusal shows that it is not ours,
    /// it is asked once more with a token of its time.
    async fn exchange(&self, permit: &Permit, session: &str, now: Timestamp) -> Result<(AwsCredential, Uuid), Refusal> {
        let exchange = self.intent.load().exchange.clone();
        let ahead = exchange.ahead();
        match self.exchange_at(permit, session, (now, ahead)).await {
            Err(refusal) if refusal.code == RefusalCode::ExchangeRefused && exchange.ahead() != ahead => {
                self.exchange_at(permit, session, (now, exchange.ahead())).await
            }
            exchanged => exchanged,
        }
    }

    async fn exchange_at(
        &self,
        permit: &Permit,
        session: &str,
        (now, ahead): (Timestamp, SignedDuration),
    ) -> Result<(AwsCredential, Uuid), Refusal> {
        let minted = self.tokens.mint(permit, now, ahead).map_err(|error| unsigned(&error))?;
        let exchange = self.intent.load().exchange.clone();
        let credential = exchange.credential(permit, session, &minted.token).await?;
        Ok((credential, minted.id))
    }

    fn decide(&self, caller: &Arc<Caller>, ask: &Ask, now: Timestamp) -> Result<Permit, Declined> {
        let context = Context { now, from: ask.from };
        decide(caller, (&ask.target, &ask.call), &self.intent.load().rules, &context).map_err(|denial| Declined {
            caller: Some(seen(caller)),
            near: denial.near.iter().map(NearMiss::from).collect(),
            refusal: helped(&denial, caller, &ask.call).about(&*caller.subject),
        })
    }

    /// The lease and its event, both or neither.
    async fn write_down(&self, ask: &Ask, lease: &Lease, (session, token): (String, Uuid)) -> Result<(), Unwritten> {
        let Credential::Aws(credential) = lease.credential();
        let permit = lease.permit();
        let event = LeaseIssued {
            lease: lease.id(),
            request: ask.request,
            caller: permit.caller().into(),
            from: ask.from,
            call: ask.call.clone(),
            target: permit.target().name.clone(),
            grant: permit.grant().name.clone(),
            role: permit.target().role.clone(),
            session,
            credential: credential.access_key_id.clone(),
            token,
            until: lease.until(),
        };
        let drafts = vec![Draft::of(What::LeaseIssued(event.into()), self.clock.now())?];
        let lease = Some((lease.clone(), credential.access_key_id.clone()));
        self.scribe.write(Entry { organisation: self.organisation.clone(), drafts, lease }).await
    }

    async fn write_refusal(&self, ask: &Ask, declined: &Declined) -> Result<(), Unwritten> {
        let event = LeaseRefused {
            request: ask.request,
            caller: declined.caller.as_deref().cloned(),
            from: ask.from,
            call: ask.call.clone(),
            target: ask.target.clone(),
            refusal: declined.refusal.clone(),
            near: declined.near.clone(),
        };
        self.write([What::LeaseRefused(event.into())]).await
    }

    /// Access records, all or none, in this order.
    async fn write_calls(&self, records: &[Record]) -> Result<(), Unwritten> {
        let now = self.clock.now();
        let drafts = records.iter().map(|record| Draft::of_call(record, now)).collect::<Result<_, _>>()?;
        self.scribe.write(Entry::events(&self.organisation, drafts)).await
    }

    /// Events, all or none, in this order.
    async fn write(&self, events: impl IntoIterator<Item = What> + Send) -> Result<(), Unwritten> {
        let now = self.clock.now();
        let drafts = events.into_iter().map(|event| Draft::of(event, now)).collect::<Result<_, _>>()?;
        self.scribe.write(Entry::events(&self.organisation, drafts)).await
    }
}

impl Lessor for Broker {
    async fn lease(&self, mut ask: Ask) -> Result<Lease, Refusal> {
        if let Some(target) = self.intent.load().rules.target(&ask.target) {
            ask.call.settle(target.account());
        }
        let declined = match self.lend(&ask, self.clock.now()).await {
            Ok(lease) => return Ok(lease),
            Err(declined) => declined,
        };
        let Err(error) = self.write_refusal(&ask, &declined).await else { return Err(declined.refusal) };
        let (error_in_words, refusal) = (in_words(&error), &declined.refusal);
        tracing::error!(error = error_in_words, %refusal, request = %ask.request, "a refusal cannot be written to the audit");
        // Still no, but not a no that the audit knows of: whoever asked may ask again.
        Err(unwritten(&error))
    }

    async fn recognise(&self, evidence: Arc<Evidence>) -> Result<String, Refusal> {
        let caller = self.intent.load_full().sources.verify(&evidence, self.clock.now()).await?.caller;
        let caller = self.resolve(caller).await.map_err(|declined| declined.refusal)?;
        Ok(caller.subject)
    }

    async fn recalls(&self, after: Option<Position>) -> Result<Heard, Refusal> {
        let unheard = |error| unresolved(&error);
        let Some(after) = after else {
            let position = self.organisation.recalls_now().await.map_err(unheard)?;
            return Ok(Heard { position, recalled: Vec::new() });
        };
        let (end, mut word) = (tokio::time::Instant::now() + ALIVE, self.store.word().waiting());
        loop {
            let heard = self.organisation.recalls_after(after).await.map_err(unheard)?;
            if !heard.recalled.is_empty() || tokio::time::Instant::now() >= end {
                return Ok(heard);
            }
            // The word is nothing but a hint: whoever took something back may be a process that this one does not hear.
            drop(tokio::time::timeout(LOOK, word.next()).await);
        }
    }

    async fn report(&self, records: &[Record]) -> Result<(), ReportError> {
        if records.is_empty() {
            return Ok(());
        }
        self.write_calls(records).await.map_err(|error| ReportError(Arc::new(error)))
    }
}

impl Intent {
    /// `before`: what was in force; the keys of its sources are kept where nothing changed about them.
    fn of(settings: &Settings, clock: &Clock, before: Option<&Self>) -> Result<Self, OpenError> {
        let roots = Roots::of_the_system();
        let same =
            |before: &&Self| before.written == settings.sources && *before.sources.endpoints() == settings.endpoints;
        let sources = match before.filter(same) {
            Some(before) => before.sources.clone(),
            None => {
                let before = before.map(|before| &*before.sources);
                Arc::new(Sources::with(&settings.sources, (&settings.endpoints, &roots), before, clock.now())?)
            }
        };
        let exchange = Arc::new(Exchange::new(settings, &roots, clock.clone()).map_err(OpenError::Exchange)?);
        Ok(Self { written: settings.sources.clone(), sources, rules: settings.rules.clone(), exchange })
    }
}

impl From<Refusal> for Declined {
    /// Before anybody was verified.
    fn from(refusal: Refusal) -> Self {
        Self { caller: None, near: Vec::new(), refusal }
    }
}

fn seen(caller: &Caller) -> Box<CallerSeen> {
    Box::new(caller.into())
}
