//! Printing: stdout carries only what was asked for, stderr everything else.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use crate::args::Output;
use crate::failure::{Exit, Failure};

/// Prints answers in the form that was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer(Output);

impl Printer {
    pub(crate) const fn new(output: Output) -> Self {
        Self(output)
    }

    /// The form that was asked for.
    pub(crate) const fn output(&self) -> Output {
        self.0
    }

    /// A line of the answer.
    pub(crate) fn line(&self, text: &str) -> Result<(), Failure> {
        writeln!(io::stdout(), "{text}").map_err(|error| closed(&error))
    }

    /// A JSON document on a line of its own.
    pub(crate) fn json(&self, document: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(document).map_err(|error| Failure::from_error(Exit::Other, &error))?;
        self.line(&text)
    }

    /// Says, on stderr, where a server and its telemetry listen, and what its programs need.
    pub(crate) fn started(&self, (proxy, telemetry): (SocketAddr, Option<SocketAddr>), environment: &Path) {
        let environment = environment.display();
        match self.0 {
            Output::Human => {
                eprintln!("countersign: proxy on http://{proxy}");
                telemetry.iter().for_each(|address| eprintln!("countersign: health and metrics on http://{address}"));
                eprintln!("countersign: programs need the variables in {environment}");
            }
            Output::Json => eprintln!(
                "{}",
                json!({
                    "schema": "countersign.started/v1",
                    "proxy": format!("http://{proxy}"),
                    "telemetry": telemetry.map(|address| format!("http://{address}")),
                    "environment": environment.to_string(),
                })
            ),
        }
    }

    /// Says, on stderr, where the broker and its telemetry listen.
    pub(crate) fn broker_started(&self, broker: Option<SocketAddr>, telemetry: Option<SocketAddr>) {
        match self.0 {
            Output::Human => {
                broker.iter().for_each(|address| eprintln!("countersign: broker on {address}"));
                telemetry.iter().for_each(|address| eprintln!("countersign: health and metrics on http://{address}"));
            }
            Output::Json => eprintln!(
                "{}",
                json!({
                    "schema": "countersign.broker-started/v1",
                    "broker": broker.map(|address| address.to_string()),
                    "telemetry": telemetry.map(|address| format!("http://{address}")),
                })
            ),
        }
    }

    /// Says, on stderr, that a list goes on, and from where.
    pub(crate) fn more(&self, before: u64) {
        match self.0 {
            Output::Human => eprintln!("there are more: --before {before}"),
            Output::Json => eprintln!("{}", json!({ "schema": "countersign.more/v1", "before": before })),
        }
    }
}

/// Nobody reads on: `countersign audit tail | head`. That is no failure to speak of.
pub(crate) fn closed(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    Failure::from_error(Exit::Other, error)
}
