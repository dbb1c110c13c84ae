//! `countersign validate`: everything that is wrong with a config, at once.

use std::path::Path;

use crate::args::Output;
use crate::failure::{Exit, Failure};
use crate::output::Printer;

/// Checks the file; warnings count as errors if `strict`.
pub(crate) fn run(file: &Path, strict: bool, printer: &Printer) -> Result<(), Failure> {
    let checked = config::check(file, &environment);
    let report = checked.report;
    match printer.output() {
        Output::Json => printer.json(&report)?,
        Output::Human => printer.line(&report.to_string())?,
    }
    match (report.errors, report.warnings) {
        (0, 0) => Ok(()),
        (0, _) if !strict => Ok(()),
        (0, warnings) => Err(Failure::new(Exit::Found, format!("{warnings} warnings, and --strict was given"))),
        (errors, _) => Err(Failure::new(
            Exit::Config,
            format!("the config has {errors} error{}", if errors == 1 { "" } else { "s" }),
        )),
    }
}

/// A config for a command that needs one; what there is to say about it goes to stderr.
pub(crate) fn load(file: &Path, printer: &Printer) -> Result<config::Settings, Failure> {
    let checked = config::check(file, &environment);
    if checked.report.errors > 0 || checked.report.warnings > 0 {
        match printer.output() {
            Output::Json => {
                let report = serde_json::to_string(&checked.report);
                eprintln!("{}", report.map_err(|error| Failure::from_error(Exit::Other, &error))?);
            }
            Output::Human => eprintln!("{}", checked.report),
        }
    }
    let help = format!("countersign validate {}", file.display());
    checked.settings.ok_or_else(|| Failure::new(Exit::Config, "the config cannot be used").help(help))
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
