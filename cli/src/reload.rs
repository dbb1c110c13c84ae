//! Taking a changed config over while the proxy runs: at SIGHUP, and when the file or one that it refers to has changed.
//!
//! Files are looked at, not watched: a Kubernetes ConfigMap changes by a symbolic link that is swapped two levels up, an
//! editor by a rename, some file systems tell nobody. A look costs microseconds, and none of that can be missed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::Broker;
use config::{CaSettings, Checked, Settings};
use lease::Leases;
use proxy::Control;
use serve::metrics::{Counted, Counter, Family, Kind, Page};
use serve::{Hangups, Log, Shutdown};

use crate::failure::{Exit, Failure};
use crate::output::Printer;
use crate::validate;

/// How often files are looked at. A change is taken over when two looks in a row see the same: who writes in pieces has
/// ended by then.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How soon a config that was refused is tried again as it is: what stood in its way may have passed, and a rule that
/// takes something away must not wait for the next change.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// A config as it was read, and the files that it came from.
pub(crate) struct Loaded {
    file: PathBuf,
    pub(crate) settings: Settings,
    seen: Seen,
    /// When what is on the disk was last refused, and why.
    refused: Option<(Instant, String)>,
}

impl Loaded {
    /// Reads it for the start; what there is to say about it goes to stderr.
    pub(crate) fn read(file: &Path, printer: &Printer) -> Result<Self, Failure> {
        let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        // How it looks before it is read, as in a change.
        let look = Seen::now([absolute.clone()]);
        let checked = validate::check(file);
        let seen = look.and(files_of(&checked));
        let settings = validate::usable(file, checked, printer)?;
        Ok(Self { file: absolute, settings, seen, refused: None })
    }
}

/// What a change goes to.
pub(crate) struct Running {
    pub(crate) broker: Arc<Broker>,
    pub(crate) leases: Arc<Leases<Broker>>,
    pub(crate) control: Arc<Control<Broker>>,
    /// What is logged, if the config says it.
    pub(crate) log: Option<Log>,
    pub(crate) counts: Arc<Reloads>,
}

/// Takes changes over until the shutdown begins.
pub(crate) async fn keep(mut loaded: Loaded, running: Running, mut hangups: Hangups, shutdown: Shutdown) {
    let mut last_look = loaded.seen.clone();
    loop {
        let asked = tokio::select! {
            () = hangups.next() => true,
            () = tokio::time::sleep(LOOK_EVERY) => false,
            () = shutdown.begun() => return,
        };
        if let Err(error) = running.control.tend() {
            tracing::error!(why = unusable(&error).in_words(), "the root cannot be renewed");
        }
        let look = loaded.seen.again();
        let settled = look == last_look;
        last_look = look.clone();
        if asked {
            // Whoever asks is told again.
            loaded.refused = None;
        }
        let is_due = loaded.refused.as_ref().is_some_and(|(at, _)| at.elapsed() >= TRY_AGAIN);
        if asked || is_due || (look != loaded.seen && settled) {
            loaded = running.take_over(loaded).await;
            last_look = loaded.seen.clone();
        }
    }
}

impl Running {
    /// Reads the file again. If it cannot be used, what was in force stays so, and each reason is said once.
    async fn take_over(&self, before: Loaded) -> Loaded {
        // How they look before they are read: what changes meanwhile is a change.
        let look = before.seen.again();
        let checked = validate::check(&before.file);
        // What is missing now may come, and what a broken file does not mention any more may be mentioned again.
        let seen = look.and(files_of(&checked));
        match self.change((checked, &before)).await {
            Ok((settings, waiting)) => {
                self.counts.taken_over(!waiting.is_empty());
                tracing::info!(file = %before.file.display(), "config taken over");
                if !waiting.is_empty() {
                    tracing::warn!(keys = waiting.join(", "), "these keys have changed and wait for a restart");
                }
                Loaded { settings, seen, refused: None, ..before }
            }
            Err(refused) => {
                let why = refused.in_words();
                if before.refused.as_ref().is_none_or(|(_, said)| *said != why) || seen != before.seen {
                    self.counts.refused();
                    tracing::error!(file = %before.file.display(), why, "config refused; the one before stays in force");
                }
                Loaded { seen, refused: Some((Instant::now(), why)), ..before }
            }
        }
    }

    async fn change(&self, (checked, before): (Checked, &Loaded)) -> Result<(Settings, Vec<&'static str>), Failure> {
        let Checked { settings, report, text, .. } = checked;
        let Some(settings) = settings else { return Err(Failure::new(Exit::Config, report)) };
        let (settings, waiting) = settings.taken_over(&before.settings);
        let in_broker = self.broker.prepare(&settings).map_err(|error| unusable(&error))?;
        let in_proxy = self.control.prepare(&settings).map_err(|error| unusable(&error))?;
        self.broker.commit(in_broker, (&text, &waiting)).await.map_err(|error| unusable(&error))?;
        self.leases.recall(|permit| self.broker.upholds(permit, &before.settings.sources));
        self.control.commit(in_proxy).map_err(|error| unusable(&error))?;
        if let Some(log) = &self.log {
            log.set(settings.telemetry.log.as_str()).map_err(|error| unusable(&error))?;
        }
        Ok((settings, waiting))
    }
}

fn unusable(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(Exit::Config, error)
}

/// How files looked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen(BTreeMap<PathBuf, Option<Stamp>>);

/// What changes when a file does. A link that is swapped leads to another inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    place: (u64, u64),
    modified: (i64, i64),
    size: u64,
}

impl Seen {
    fn now(files: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(files.into_iter().map(|file| (file.clone(), Stamp::of(&file))).collect())
    }

    fn again(&self) -> Self {
        Self::now(self.0.keys().cloned())
    }

    /// The same, and how those look that it does not know.
    fn and(mut self, files: BTreeSet<PathBuf>) -> Self {
        let Self(new) = Self::now(files.into_iter().filter(|file| !self.0.contains_key(file)));
        self.0.extend(new);
        self
    }
}

impl Stamp {
    fn of(file: &Path) -> Option<Self> {
        let found = fs::metadata(file).ok()?;
        let modified = (found.mtime(), found.mtime_nsec());
        Some(Self { place: (found.dev(), found.ino()), modified, size: found.len() })
    }
}

/// The config, what was read for it, and what will be read because of it. Tokens are read whenever they are needed, and
/// the files of what waits for a restart are read by that.
fn files_of(checked: &Checked) -> BTreeSet<PathBuf> {
    let mut files: BTreeSet<_> = checked.files.iter().cloned().collect();
    if let Some(Settings { proxy, .. }) = &checked.settings {
        files.extend(proxy.upstream_roots.clone());
        if let CaSettings::Given { certificate, .. } = &proxy.ca {
            files.insert(certificate.clone());
        }
        if let Some(shared) = &proxy.ways.shared {
            files.extend(shared.tls.iter().flat_map(|tls| [tls.certificate.clone(), tls.key.clone()]));
            files.extend(shared.client_authorities.clone());
        }
    }
    // A path out of the environment may be relative to where the process began.
    files.into_iter().map(|file| std::path::absolute(&file).unwrap_or(file)).collect()
}

/// How often a config was taken over.
#[derive(Debug, Default)]
pub(crate) struct Reloads {
    taken_over: Counter,
    refused: Counter,
    is_refused: Counter,
    waits: Counter,
}

impl Reloads {
    fn taken_over(&self, waits: bool) {
        self.taken_over.add(1);
        self.is_refused.set(0);
        self.waits.set(u64::from(waits));
    }

    fn refused(&self) {
        self.refused.add(1);
        self.is_refused.set(1);
    }
}

impl Counted for Reloads {
    fn tell(&self, page: &mut Page) {
        let results = [("taken_over", self.taken_over.value()), ("refused", self.refused.value())];
        let results = results.map(|(result, number)| ([("result", result)], number));
        page.family(&RELOADS, results.iter().map(|(labels, number)| (&labels[..], *number)));
        page.number(&REFUSED, self.is_refused.value());
        page.number(&WAITS, self.waits.value());
    }
}

const RELOADS: Family = Family {
    name: "countersign_config_reloads_total",
    kind: Kind::Counter,
    help: "Changed configs, by result: taken over, or refused while the one before stayed in force",
};
const REFUSED: Family = Family {
    name: "countersign_config_refused",
    kind: Kind::Gauge,
    help: "1 while the config on the disk is one that was refused, else 0",
};
const WAITS: Family = Family {
    name: "countersign_config_waits_for_restart",
    kind: Kind::Gauge,
    help: "1 while a key of the config has changed that only a restart puts into force, else 0",
};
