//! `countersign validate`: everything that is wrong with a config, at once.

use std::path::Path;

use cloud::aws::policy::LeftOut;
use config::{Checked, Code};

use crate::args::Output;
use crate::failure::{Exit, Failure};
use crate::output::Printer;

/// Checks the file; warnings count as errors if `strict`.
pub(crate) fn run(file: &Path, strict: bool, printer: &Printer) -> Result<(), Failure> {
    let report = check(file).report;
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

/// What the config means, and what becomes of its grants at the cloud.
pub(crate) fn check(file: &Path) -> Checked {
    let mut checked = config::check(file, &environment);
    for narrowed in checked.settings.iter().flat_map(|settings| broker::narrowed(&settings.rules)) {
        let grant = &narrowed.grant;
        match narrowed.left_out {
            Err(error) => checked.report.add(Code::NoSession, format!("grant \"{grant}\": {error}")),
            // Of methods and paths no cloud knows; whoever writes them was told by the reference.
            Ok(left_out) => {
                let untold = left_out.iter().filter(|what| matches!(what, LeftOut::Resources | LeftOut::Pairs));
                for what in untold {
                    let message = format!("the cloud does not hold grant \"{grant}\" to {}", what.in_words());
                    checked.report.add(Code::ProxyAlone, message);
                }
            }
        }
    }
    checked.settings = checked.settings.filter(|_| checked.report.errors == 0);
    checked
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
