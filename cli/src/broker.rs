//! `countersign broker`: the broker without a sidecar; its first start; and what a broker beside a sidecar serves.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use access::{Clock, DisplayName, Pattern, Rule};
use broker::Broker;
use broker::audit::{By, Subject};
use broker::directory::Edit;
use config::Settings;
use jiff::SignedDuration;
use serve::{Health, Listener, Shutdown, Stops};

use crate::args::{BrokerCommand, NewToken, Output};
use crate::failure::{Exit, Failure};
use crate::output::Printer;
use crate::telemetry::{self, Telemetry};

/// Clouds fetch two documents now and then, sidecars and administrators ask; each has a connection or two.
const CONNECTIONS: usize = 4096;

/// How long the first token lasts: for making the others.
const FIRST_TOKEN: SignedDuration = SignedDuration::from_hours(24);

/// Runs the broker until a signal, or one of its commands.
pub(crate) async fn run(
    command: Option<BrokerCommand>,
    (settings, clock): (&Settings, Clock),
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    match command {
        None => stand(settings, clock, printer).await,
        Some(BrokerCommand::Init) => init(settings, clock, printer).await.map(|()| ExitCode::SUCCESS),
        Some(BrokerCommand::Token(new)) => token(new, (settings, clock), printer).await.map(|()| ExitCode::SUCCESS),
    }
}

async fn stand(settings: &Settings, clock: Clock, printer: &Printer) -> Result<ExitCode, Failure> {
    let stops = Stops::new().map_err(|error| Failure::from_error(Exit::Other, &error))?;
    let shutdown = Shutdown::new();
    let broker = Arc::new(open(settings, clock).await?);
    let address = serve(settings, &broker, (&shutdown, IssuerDuty::Always)).await?;
    tend(&broker, &shutdown);
    watch_sources(&broker, &shutdown);
    let health = telemetry::broker_health(Health::default(), broker.clone());
    let telemetry = Telemetry::open(&settings.telemetry, health).await?;
    printer.broker_started(address, telemetry.as_ref().map(Telemetry::address));
    stops.begin(shutdown.clone()).await;
    let grace = settings.proxy.limits.grace.try_into().unwrap_or_default();
    shutdown.drain(grace).await;
    if let Some(telemetry) = telemetry {
        telemetry.close().await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the store, its keys and the first organisation, and prints the token that everything else is made with.
async fn init(settings: &Settings, clock: Clock, printer: &Printer) -> Result<(), Failure> {
    let broker = open(settings, clock.clone()).await?;
    let tokens = broker.organisation().api_tokens(None, 1).await.map_err(|error| failed(&error))?;
    if !tokens.items.is_empty() {
        let message = format!("{} has been initialised already", settings.broker.store.place());
        return Err(Failure::new(Exit::Found, message).help("`countersign broker token` makes another token"));
    }
    let new = NewToken { name: name("administrator")?, lasts: FIRST_TOKEN, actions: vec![everything()] };
    print_token(&broker, (new, &clock), printer).await
}

/// Whoever has the machine may make any token: a lost one is no lock-out.
async fn token(new: NewToken, (settings, clock): (&Settings, Clock), printer: &Printer) -> Result<(), Failure> {
    let broker = open(settings, clock.clone()).await?;
    print_token(&broker, (new, &clock), printer).await
}

/// Makes a token and prints it: nobody else could tell it to whoever needs it.
async fn print_token(broker: &Broker, (new, clock): (NewToken, &Clock), printer: &Printer) -> Result<(), Failure> {
    let NewToken { name, lasts, actions } = new;
    let (organisation, now) = (broker.organisation(), clock.now());
    let by = By { subject: Subject::Operator, request: None };
    let mut edit = Edit::begin(organisation, by, now).await.map_err(|error| failed(&error))?;
    let scopes = vec![Rule { actions, ..Rule::default() }];
    let expires = now.checked_add(lasts).unwrap_or(jiff::Timestamp::MAX);
    let made = edit.create_api_token((name, None), scopes, expires).await;
    let (token, secret) = made.map_err(|error| failed(&error))?;
    edit.commit().await.map_err(|error| failed(&error))?;
    let slug = organisation.slug();
    match printer.output() {
        Output::Human => {
            printer.line(&format!("organisation: {slug}"))?;
            printer.line(&format!("token:        {}", secret.expose()))?;
            printer.line(&format!("until:        {}", token.expires))
        }
        Output::Json => printer.json(&serde_json::json!({
            "organisation": slug, "token": secret.expose(), "id": token.id, "until": token.expires,
        })),
    }
}

fn everything() -> Pattern {
    Pattern::new("*").expect("one star is a pattern")
}

fn name(name: &str) -> Result<DisplayName, Failure> {
    DisplayName::new(name).map_err(|error| Failure::from_error(Exit::Usage, &error))
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(Exit::Other, error)
}

/// Whether this process has to serve the issuer's documents itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IssuerDuty {
    /// Yes: clouds look for them at this address.
    Always,
    /// Unless the address is taken: `run` stands beside a `proxy`, or another `run`, on the same store, which has the same keys.
    UnlessTaken,
}

/// Opens the broker that the config describes.
pub(crate) async fn open(settings: &Settings, clock: Clock) -> Result<Broker, Failure> {
    Broker::open(settings, clock).await.map_err(|error| Failure::from_error(Exit::Other, &error))
}

/// Serves the issuer's documents and the API until the shutdown begins; tells where, unless somebody else does it there.
pub(crate) async fn serve(
    settings: &Settings,
    broker: &Arc<Broker>,
    (shutdown, duty): (&Shutdown, IssuerDuty),
) -> Result<Option<SocketAddr>, Failure> {
    let tls =
        settings.broker.tls.as_ref().map(|files| serve::server_config(&files.certificate, &files.key)).transpose();
    let tls = tls.map_err(|error| Failure::from_error(Exit::Config, &error))?;
    let listener = match Listener::bind(settings.broker.listen, CONNECTIONS).await {
        Err(error) if duty == IssuerDuty::UnlessTaken && error.source.kind() == ErrorKind::AddrInUse => {
            tracing::info!(address = %error.address, "the issuer's address is taken; its documents are left to whoever listens there");
            return Ok(None);
        }
        bound => bound.map_err(|error| {
            Failure::from_error(Exit::Network, &error).help(
                "is another `countersign proxy` or `countersign broker` running? `broker.listen` says the address",
            )
        })?,
    };
    let address = listener.address();
    shutdown.spawn(serve::router(listener, broker::http::routes(broker), tls, shutdown.clone()));
    Ok(Some(address))
}

/// Does what never ends until the shutdown begins.
pub(crate) fn keep(shutdown: &Shutdown, work: impl Future<Output = ()> + Send + 'static) {
    let stopping = shutdown.clone();
    shutdown.spawn(async move {
        tokio::select! {
            () = work => {}
            () = stopping.begun() => {}
        }
    });
}

/// Keeps an eye on the sources until the shutdown begins.
pub(crate) fn watch_sources(broker: &Arc<Broker>, shutdown: &Shutdown) {
    let broker = broker.clone();
    keep(shutdown, async move { broker.watch_sources().await });
}

/// Keeps the signing keys rotating, and an ear on other brokers, until the shutdown begins.
pub(crate) fn tend(broker: &Arc<Broker>, shutdown: &Shutdown) {
    let (keys, others) = (broker.clone(), broker.clone());
    keep(shutdown, async move { keys.tend().await });
    keep(shutdown, async move { others.listen().await });
}
