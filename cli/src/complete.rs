//! Completion of names that the config defines. Nothing is asked over a network; without a config nothing is offered.

use std::path::PathBuf;

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use config::Settings;

use crate::args::CONFIG;

/// Targets, each with the role that it stands for.
pub(crate) fn targets() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let candidate = |target: &access::Target| {
            CompletionCandidate::new(target.name.as_str()).help(Some(target.role.clone().into()))
        };
        settings()
            .map(|settings| settings.rules.targets().map(|target| candidate(target)).collect())
            .unwrap_or_default()
    })
}

/// Sources, each with its issuer.
pub(crate) fn sources() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let candidate = |source: &config::Source| {
            CompletionCandidate::new(source.name.as_str()).help(Some(source.kind.issuer().to_owned().into()))
        };
        settings().map(|settings| settings.sources.iter().map(candidate).collect()).unwrap_or_default()
    })
}

/// The config that the environment names, or the usual one: the shell does not tell what `--config` says on the line.
fn settings() -> Option<Settings> {
    let file = std::env::var_os("COUNTERSIGN_CONFIG").map_or_else(|| PathBuf::from(CONFIG), PathBuf::from);
    config::load(&file, &|name| std::env::var(name).ok()).ok()
}
