//! Printing: stdout carries only what was asked for, stderr everything else.

use std::io::{self, Write as _};

use serde::Serialize;

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

    /// Something by the way, for a person: on stderr, and only if a person reads.
    pub(crate) fn note(&self, text: &str) {
        if self.0 == Output::Human {
            eprintln!("{text}");
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
