//! `countersign validate`: everything that is wrong with a config, at once.

use std::path::Path;

use config::Checked;

use crate::args::Output;
use crate::failure::{Exit, Failure};
use crate::output::Printer;

/// Checks the file; warnings count as errors if `strict`.
pub(crate) fn run(file: &Path, strict: bool, printer: &Printer) -> Result<(), Failure> {
    let checked = check(file);
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
    usable(file, check(file), printer)
}

/// A config file, and all there is to say about it.
pub(crate) fn check(file: &Path) -> Checked {
    config::check(file, &environment)
}

/// The settings of a config that was checked.
pub(crate) fn usable(file: &Path, checked: Checked, printer: &Printer) -> Result<config::Settings, Failure> {
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
