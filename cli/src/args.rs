//! The command tree, as typed by the user.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use access::{DisplayName, Pattern, SourceName, TargetName};
use broker::audit::Head;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use crate::complete;

/// Your program makes its cloud calls; Countersign signs them. No cloud secret ever reaches the program.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, max_term_width = 120, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The config file; countersign.yaml if not given
    #[arg(short, long, global = true, env = "COUNTERSIGN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// How answers and errors are printed
    #[arg(short, long, global = true, env = "COUNTERSIGN_OUTPUT", default_value = "human")]
    pub(crate) output: Output,
    /// What is logged to stderr, as a filter: `info`, `warn`, `proxy=debug`; `warn`, or what the config says, if not given
    #[arg(long, global = true, env = "COUNTERSIGN_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

/// The config file if none is named.
pub(crate) const CONFIG: &str = "countersign.yaml";

impl Global {
    /// The config file: the one that was named, or the usual one.
    pub(crate) fn config(&self) -> &Path {
        self.config.as_deref().unwrap_or_else(|| Path::new(CONFIG))
    }

    /// The same for a command that can do without: `None` if none was named and the usual one does not exist.
    pub(crate) fn config_if_any(&self) -> Option<&Path> {
        Some(self.config()).filter(|path| self.config.is_some() || path.exists())
    }
}

/// How answers and errors are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For a person
    Human,
    /// For a program: one JSON document, or one a line
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the sidecar with its embedded broker, until a signal
    Proxy,
    /// Run the broker without a sidecar, until a signal: its API, the issuer's documents
    Broker {
        /// What else
        #[command(subcommand)]
        command: Option<BrokerCommand>,
    },
    /// Run a command behind a proxy of its own, with placeholders instead of credentials
    Run(Run),
    /// Check a config: all errors at once, with file, line and hint
    Validate(Validate),
    /// Say what a request is, which grant decides about it, and why
    Explain(Explain),
    /// Read and verify the audit book
    #[command(subcommand)]
    Audit(Audit),
    /// Becomes the command that `run` starts, and ends when `run` does
    #[command(hide = true, name = "exec-for-run")]
    ExecForRun(ExecForRun),
    /// Print what clouds must find under the issuer URL: discovery document and JWKS
    Issuer,
    /// Make a credential for an app that shares a proxy, and print it once with the hash for the config
    AppCredential,
    /// Print the JSON Schema of the config file
    Schema,
    /// Print the completion script of a shell
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the version
    Version,
}

/// `countersign broker …`
#[derive(Debug, Subcommand)]
pub(crate) enum BrokerCommand {
    /// Make the store, its keys and the first organisation, and print an administrator's token, once
    Init,
    /// Make another token for the API of the first organisation, and print it, once
    Token(NewToken),
}

/// `countersign broker token`
#[derive(Debug, Args)]
pub(crate) struct NewToken {
    /// What it is for
    #[arg(long, value_name = "TEXT", value_parser = display_name, default_value = "operator")]
    pub(crate) name: DisplayName,
    /// How long it lasts, 366 days at the most: `15m`, `24h`, `30d`
    #[arg(long = "for", value_name = "TIME", value_parser = duration, default_value = "24h")]
    pub(crate) lasts: SignedDuration,
    /// What may be done with it, as a pattern: `countersign:Get*`; may be given several times
    #[arg(long = "action", value_name = "PATTERN", value_parser = pattern, default_value = "*")]
    pub(crate) actions: Vec<Pattern>,
}

/// `countersign run -- CMD…`
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Whose placeholder is the default one
    #[arg(long, value_name = "TARGET", value_parser = target, add = complete::targets())]
    pub(crate) target: Option<TargetName>,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

/// `countersign exec-for-run PARENT -- CMD…`, which only `run` calls
#[derive(Debug, Args)]
pub(crate) struct ExecForRun {
    /// The process id of `run`
    pub(crate) parent: u32,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<std::ffi::OsString>,
}

/// `countersign validate [FILE]`
#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// The file; the one of --config if not given
    pub(crate) file: Option<PathBuf>,
    /// Treat warnings as errors
    #[arg(long)]
    pub(crate) strict: bool,
}

/// `countersign explain METHOD URL`, or lines of JSON on stdin
#[derive(Debug, Args)]
#[command(
    after_help = "Without METHOD and URL, reads lines {\"method\":…,\"url\":…,\"headers\":{…}} from stdin and answers a line each, in \
                        order: {\"call\":…,\"decision\":…,\"reason\":…}. What a request is needs no config; who may make it does."
)]
pub(crate) struct Explain {
    /// HTTP method; without one, requests come from stdin, a line of JSON each: `{"method", "url", "headers", "body"}`
    #[arg(requires = "url")]
    pub(crate) method: Option<String>,
    /// Full URL
    pub(crate) url: Option<String>,
    /// A header of the request, as `Name: value`
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// The body of the request, where it says what the call is: a form, JSON
    #[arg(short = 'd', long, value_name = "TEXT", requires = "url", default_value = "", hide_default_value = true)]
    pub(crate) body: String,
    /// Decide for a caller from this source; every source in turn if not given
    #[arg(long, value_name = "SOURCE", value_parser = source, add = complete::sources())]
    pub(crate) from: Option<SourceName>,
    /// Decide for this target; every target in turn if not given
    #[arg(long, value_name = "TARGET", value_parser = target, add = complete::targets())]
    pub(crate) to: Option<TargetName>,
    /// Decide as if it were then (RFC 3339); now if not given
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Timestamp>,
    /// Decide as if the call came from there; from loopback if not given
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip: Option<IpAddr>,
    /// The same as --output json
    #[arg(long)]
    pub(crate) json: bool,
}

/// `countersign audit …`
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// The last events, and the next ones
    Tail {
        /// How many of the last
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: u32,
        /// Go on with every new event
        #[arg(short, long)]
        follow: bool,
    },
    /// Events that fit all of the filters, newest first
    Search(Search),
    /// Check every event against the hash of its predecessor
    Verify {
        /// The head that an earlier `verify` printed: it must still be in the book
        #[arg(long, value_name = "COUNT:HASH")]
        expect_head: Option<Head>,
    },
}

/// Filters of `countersign audit search`.
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Not before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Timestamp>,
    /// Before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Timestamp>,
    /// The caller, as a pattern: `*:shop:checkout`
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    pub(crate) caller: Option<Pattern>,
    /// The target
    #[arg(long, value_name = "TARGET", value_parser = target, add = complete::targets())]
    pub(crate) target: Option<TargetName>,
    /// The kind of event, or its first part: `lease.refused`, `call`
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// The action, as a pattern: `s3:Get*`
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    pub(crate) action: Option<Pattern>,
    /// The lease
    #[arg(long, value_name = "ID")]
    pub(crate) lease: Option<String>,
    /// The request id that a program was shown
    #[arg(long, value_name = "ID")]
    pub(crate) request: Option<String>,
    /// A piece of text anywhere in the event
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Only events before this number, to go on where an earlier search stopped
    #[arg(long, value_name = "NUMBER")]
    pub(crate) before: Option<u64>,
    /// At most so many, 1,000 at the most
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: u32,
}

fn display_name(text: &str) -> Result<DisplayName, access::InvalidDisplayName> {
    DisplayName::new(text)
}

fn duration(text: &str) -> Result<SignedDuration, jiff::Error> {
    // Days are not a fixed length to jiff; here they are 24 hours.
    match text.strip_suffix('d').and_then(|days| days.parse::<i64>().ok()) {
        Some(days) => SignedDuration::try_from_hours(days.saturating_mul(24))
            .ok_or_else(|| jiff::Error::from_args(format_args!("that is too long"))),
        None => text.parse(),
    }
}

fn pattern(text: &str) -> Result<Pattern, access::PatternError> {
    Pattern::new(text)
}

fn target(name: &str) -> Result<TargetName, access::InvalidName> {
    TargetName::new(name)
}

fn source(name: &str) -> Result<SourceName, access::InvalidName> {
    SourceName::new(name)
}
