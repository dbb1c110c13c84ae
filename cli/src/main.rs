//! The one binary, `countersign`: wires a role together and runs it.

mod args;
mod complete;
mod failure;
mod output;

mod audit;
mod explain;
mod validate;

mod broker;
mod child;
mod files;
mod house;
mod reload;
mod run;
mod telemetry;

use std::process::ExitCode;

use access::Clock;
use clap::{CommandFactory as _, Parser as _};
use config::LogLevel;
use jiff::Timestamp;
use mimalloc::MiMalloc;
use serve::{Log, LogFormat};

use args::{Cli, Command, Output};
use failure::{Exit, Failure};
use output::Printer;
use reload::Loaded;

/// Memory goes back to the system when connections do, and is as fast with musl as with glibc.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    clap_complete::CompleteEnv::with_factory(Cli::command).complete();
    let cli = Cli::parse();
    let output = cli.global.output;
    let format = if output == Output::Json { LogFormat::Json } else { LogFormat::Human };
    let asked = cli.global.log.as_deref();
    let logging = serve::telemetry(format, asked.unwrap_or(LogLevel::default().as_str())).map_err(|error| {
        Failure::from_error(Exit::Usage, &error)
            .help("write `info`, `warn`, or `warn,proxy=debug`: --log or COUNTERSIGN_LOG")
    });
    let by_config = asked.is_none();
    match logging.and_then(|log| dispatch(cli, by_config.then_some(log))) {
        Ok(code) => code,
        Err(failure) => failure.report(output),
    }
}

/// The machine's clock; everything below is told the time.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
fn clock() -> Clock {
    Clock::new(Timestamp::now)
}

/// `log`: what is logged, where the config may say it.
fn dispatch(Cli { global, command }: Cli, log: Option<Log>) -> Result<ExitCode, Failure> {
    let printer = Printer::new(global.output);
    match command {
        Command::Proxy => {
            let loaded = Loaded::read(global.config(), &printer)?;
            run_async(house::proxy(loaded, (clock(), log), &printer))
        }
        Command::Broker { command } => {
            let settings = validate::load(global.config(), &printer)?;
            run_async(async move { broker::run(command, (&settings, clock()), &printer).await })
        }
        Command::Run(run) => run_async(run::run(run, validate::load(global.config(), &printer)?, clock())),
        Command::ExecForRun(exec) => Err(child::become_command(exec.parent, &exec.command)),
        Command::Validate(validate) => {
            let file = validate.file.as_deref().unwrap_or_else(|| global.config());
            validate::run(file, validate.strict, &printer).map(|()| ExitCode::SUCCESS)
        }
        Command::Explain(explain) => {
            let printer = if explain.json { Printer::new(Output::Json) } else { printer };
            let settings = global.config_if_any().map(|file| validate::load(file, &printer)).transpose()?;
            explain::run(explain, settings.as_ref(), clock().now(), &printer).map(|()| ExitCode::SUCCESS)
        }
        Command::Audit(audit) => {
            let settings = validate::load(global.config(), &printer)?;
            run_async(async move { audit::run(audit, &settings, &printer).await.map(|()| ExitCode::SUCCESS) })
        }
        Command::Issuer => {
            let settings = validate::load(global.config(), &printer)?;
            run_async(async move { house::issuer(&settings, clock(), &printer).await.map(|()| ExitCode::SUCCESS) })
        }
        Command::AppCredential => app_credential(&printer).map(|()| ExitCode::SUCCESS),
        Command::Schema => printer.line(&format!("{:#}", config::schema())).map(|()| ExitCode::SUCCESS),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "countersign", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Version => version(&printer).map(|()| ExitCode::SUCCESS),
    }
}

/// The only place where a secret is printed: nobody else could tell it to the app.
fn app_credential(printer: &Printer) -> Result<(), Failure> {
    let proxy::AppCredential { secret, hash } = proxy::AppCredential::generate()
        .ok_or_else(|| Failure::new(Exit::Other, "this system gives no random numbers"))?;
    match printer.output() {
        Output::Human => {
            printer.line(&format!("credential:      {}", secret.expose()))?;
            printer.line(&format!("credential_hash: {hash}"))
        }
        Output::Json => printer.json(&serde_json::json!({ "credential": secret.expose(), "credential_hash": hash })),
    }
}

fn version(printer: &Printer) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    match printer.output() {
        Output::Human => printer.line(&format!("countersign {version}")),
        Output::Json => printer.json(&serde_json::json!({ "name": "countersign", "version": version })),
    }
}

/// Runs what needs a runtime on one with a thread per core.
fn run_async(work: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Other, format!("threads cannot be started: {error}")))?;
    runtime.block_on(work)
}
