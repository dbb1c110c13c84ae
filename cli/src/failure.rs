//! Errors as users read them: what happened, why, what to do next, and an exit code that scripts can choose by.

use std::fmt::Display;
use std::process::ExitCode;

use serde::Serialize;

use crate::args::Output;

/// Exit codes, stable (docs/reference/cli.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Anything that has no code of its own.
    Other = 1,
    /// The command line is wrong, as clap says it too.
    Usage = 2,
    /// The config is wrong.
    Config = 3,
    /// A network, a time-out, a port that is taken.
    Network = 7,
    /// Not there.
    NotFound = 9,
    /// A check found something: `validate --strict`, `audit verify`.
    Found = 10,
    /// `run` itself failed, not the command.
    Run = 125,
    /// The command cannot be executed.
    NotExecutable = 126,
    /// The command does not exist.
    NoCommand = 127,
}

/// A command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    causes: Vec<String>,
    help: Option<String>,
}

impl Failure {
    /// Takes a sentence: lower case, no full stop.
    pub(crate) fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, message: message.to_string(), causes: Vec::new(), help: None }
    }

    /// Takes an error with its causes.
    pub(crate) fn from_error(exit: Exit, error: &dyn std::error::Error) -> Self {
        let mut causes = Vec::new();
        let mut cause = error.source();
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        Self { causes, ..Self::new(exit, error) }
    }

    /// Adds what to do: a command that works when pasted, or a sentence.
    pub(crate) fn help(mut self, help: impl Display) -> Self {
        self.help = Some(help.to_string());
        self
    }

    /// What happened and why, for a log.
    pub(crate) fn in_words(&self) -> String {
        self.causes.iter().fold(self.message.clone(), |text, cause| format!("{text}: {cause}"))
    }

    /// Prints to stderr and gives the exit code.
    pub(crate) fn report(&self, output: Output) -> ExitCode {
        match output {
            Output::Human => {
                eprintln!("error: {}", self.message);
                self.causes.iter().for_each(|cause| eprintln!("  cause: {cause}"));
                self.help.iter().for_each(|help| eprintln!("  help: {help}"));
            }
            Output::Json => {
                let error = ErrorDocument {
                    exit: self.exit as u8,
                    message: &self.message,
                    cause: &self.causes,
                    help: self.help.as_deref(),
                };
                let document = Document { schema: "countersign.error/v1", error };
                eprintln!("{}", serde_json::to_string(&document).expect("strings and numbers are always JSON"));
            }
        }
        ExitCode::from(self.exit as u8)
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    error: ErrorDocument<'a>,
}

#[derive(Serialize)]
struct ErrorDocument<'a> {
    exit: u8,
    message: &'a str,
    cause: &'a [String],
    help: Option<&'a str>,
}
