//! `countersign run -- CMD…`: a proxy that lives as long as the command, and no credential in the command's reach.
//!
//! Order: directory → proxy ready → command starts → signals pass → command ends → drain → directory removed. If the
//! proxy ends first, the command is ended too: it must not go on without what it was promised.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use access::Clock;
use config::{RecordsTo, Settings};
use jiff::SignedDuration;
use tempfile::TempDir;

use crate::args::Run;
use crate::broker::IssuerDuty;
use crate::child;
use crate::failure::{Exit, Failure};
use crate::house::{AFTER_THE_COMMAND, House};

/// What the command must not inherit: other credentials, which SDKs would prefer to placeholders or which would leak into
/// the command, and another proxy for everything.
const REMOVED: [&str; 11] = [
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "ALL_PROXY",
    "all_proxy",
];

/// Runs the command and gives its exit code.
pub(crate) async fn run(run: Run, mut settings: Settings, clock: Clock) -> Result<ExitCode, Failure> {
    let directory = directory()?;
    settings.proxy.directory = directory.path().to_owned();
    settings.proxy.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    // Of several runs on one machine, none may take the address from another.
    settings.telemetry.listen = None;
    // stdout is the command's.
    settings.telemetry.records.take_if(|to| *to == RecordsTo::Stdout);
    settings.proxy.limits.grace = SignedDuration::try_from(AFTER_THE_COMMAND).expect("two seconds");
    if let Some(target) = run.target {
        if settings.rules.target(&target).is_none() {
            return Err(Failure::new(Exit::NotFound, format!("there is no target {target:?} in the config")));
        }
        settings.proxy.default_target = Some(target);
    }
    let house = House::open(&settings, clock, (|name| std::env::var_os(name), IssuerDuty::UnlessTaken)).await?;
    let running = child::start(&run.command, house.proxy().environment(), &REMOVED)?;
    let shutdown = house.shutdown();
    let serving = tokio::spawn(house.run());
    let code = running.wait(shutdown.begun()).await?;
    shutdown.begin();
    serving.await.map_err(|error| Failure::new(Exit::Run, format!("the proxy failed: {error}")))?;
    Ok(ExitCode::from(code))
}

/// A directory of this run's own, mode 0700, gone with it.
fn directory() -> Result<TempDir, Failure> {
    let made = tempfile::Builder::new().prefix("countersign-").tempdir();
    made.map_err(|error| Failure::new(Exit::Run, format!("no temporary directory can be made: {error}")))
}
