//! What all checks share: the flaws so far, and the outside that values may refer to.

use std::io;
use std::path::{Path, PathBuf};

use access::{InvalidName, Secret};
use jiff::SignedDuration;

use crate::at::At;
use crate::document::{NodeId, shown};
use crate::finding::Code;
use crate::flaw::{Flaw, Wrong};
use crate::nearest::did_you_mean;
use crate::raw::{Period, Reference};
use crate::values::duration::{Bounds, period};

/// Largest file that a config refers to: a JWKS or a PEM bundle has some kilobytes, the system's roots 250 KiB.
const MAX_FILE: usize = 1024 * 1024;

/// The outside, as far as a config may refer to it.
pub struct Surroundings<'a> {
    /// Relative paths start here: where the config file is.
    pub directory: &'a Path,
    /// Looks an environment variable up.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Reads a file.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
}

pub(crate) struct Check<'a> {
    pub(crate) flaws: Vec<Flaw>,
    outside: &'a Surroundings<'a>,
}

impl<'a> Check<'a> {
    pub(crate) const fn new(outside: &'a Surroundings<'a>) -> Self {
        Self { flaws: Vec::new(), outside }
    }

    pub(crate) fn flaw(&mut self, node: NodeId, wrong: Wrong) {
        self.flaws.push(wrong.at(node));
    }

    /// What a value means, if it is there and means something.
    pub(crate) fn take<T, U>(&mut self, raw: &At<T>, meaning: impl FnOnce(&T) -> Result<U, Wrong>) -> Option<U> {
        match meaning(raw.get()?) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.flaw(raw.node, wrong);
                None
            }
        }
    }

    /// The same for a value that may be left out: `Ok(None)` if it is, `Err` if it is wrong.
    pub(crate) fn maybe<T, U>(
        &mut self,
        raw: Option<&At<T>>,
        meaning: impl FnOnce(&T) -> Result<U, Wrong>,
    ) -> Result<Option<U>, Reported> {
        raw.map(|raw| self.take(raw, meaning).ok_or(Reported)).transpose()
    }

    /// Every item of a list that means something.
    pub(crate) fn each<T, U>(
        &mut self,
        raw: Option<&At<Vec<At<T>>>>,
        mut meaning: impl FnMut(&T) -> Result<U, Wrong>,
    ) -> Vec<U> {
        let items = raw.map(At::items).unwrap_or_default();
        items.iter().filter_map(|item| self.take(item, &mut meaning)).collect()
    }

    /// A list that may be left out, but not be empty: an empty one could mean all or nothing.
    pub(crate) fn not_empty<T>(&mut self, raw: Option<&At<Vec<T>>>, help: &str) {
        if let Some(raw) = raw.filter(|raw| raw.get().is_some_and(Vec::is_empty)) {
            self.flaw(raw.node, Wrong::value("this list is empty").help(help));
        }
    }

    pub(crate) fn name<N>(&mut self, raw: &At<String>, new: fn(&str) -> Result<N, InvalidName>) -> Option<N> {
        self.take(raw, |text| new(text).map_err(|error| Wrong::new(Code::BadName, error)))
    }

    pub(crate) fn period(&mut self, raw: Option<&At<Period>>, default: &str, bounds: Bounds) -> Option<SignedDuration> {
        match raw {
            Some(raw) => self.take(raw, |written| period(written, bounds)),
            None => period(&Period::Text(default.to_owned()), bounds).ok(),
        }
    }

    /// A value that may be left out, with the words that count then.
    pub(crate) fn or_default<U>(
        &mut self,
        raw: Option<&At<String>>,
        default: &str,
        meaning: impl Fn(&str) -> Result<U, Wrong>,
    ) -> Option<U> {
        match raw {
            Some(raw) => self.take(raw, |text| meaning(text)),
            None => meaning(default).ok(),
        }
    }

    /// A path, seen from the config file.
    pub(crate) fn path(&mut self, raw: &At<String>) -> Option<PathBuf> {
        let directory = self.outside.directory;
        self.take(raw, |text| path(directory, text))
    }

    /// The same with a default.
    pub(crate) fn path_or(&mut self, raw: Option<&At<String>>, default: &str) -> Option<PathBuf> {
        let directory = self.outside.directory;
        self.or_default(raw, default, |text| path(directory, text))
    }

    /// The content of a file that is text.
    pub(crate) fn content(&mut self, raw: &At<String>) -> Option<String> {
        let outside = self.outside;
        self.take(raw, |text| read(outside, &path(outside.directory, text)?))
    }

    /// What a reference refers to.
    pub(crate) fn secret(&mut self, raw: &At<Reference>) -> Option<Secret<String>> {
        let outside = self.outside;
        self.take(raw, |Reference(text)| resolve(outside, text).map(Secret::new))
    }
}

/// It was said what is wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reported;

/// What a name refers to must be there.
pub(crate) fn known(noun: &str, name: &str, names: &[&str]) -> Result<(), Wrong> {
    if names.contains(&name) {
        return Ok(());
    }
    Err(Wrong::new(Code::NoSuchName, format!("there is no {noun} {}", shown(name)))
        .help(did_you_mean(name, names.iter().copied())))
}

fn path(directory: &Path, text: &str) -> Result<PathBuf, Wrong> {
    if text.is_empty() || text.contains('\0') {
        return Err(Wrong::value("a path must not be empty"));
    }
    if let Some(rest) = text.strip_prefix("~/") {
        return Err(Wrong::value("`~` is not expanded")
            .help(format!("write the whole path, or one relative to the config file: {rest}")));
    }
    Ok(directory.join(text))
}

fn read(outside: &Surroundings<'_>, path: &Path) -> Result<String, Wrong> {
    let unresolved = |message: String| Wrong::new(Code::Unresolved, message);
    let shown = shown(&path.to_string_lossy());
    let bytes = (outside.read)(path).map_err(|error| unresolved(format!("{shown} cannot be read: {error}")))?;
    if bytes.len() > MAX_FILE {
        return Err(unresolved(format!("{shown} is larger than {MAX_FILE} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| unresolved(format!("{shown} is not text (UTF-8)")))
}

fn resolve(outside: &Surroundings<'_>, text: &str) -> Result<String, Wrong> {
    let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
    let value = match inner.split_once(':') {
        Some(("env", name)) => (outside.env)(name).ok_or_else(|| {
            Wrong::new(Code::Unresolved, format!("the environment variable {} is not set", shown(name)))
        })?,
        Some(("file", file)) => read(outside, &path(outside.directory, file)?)?,
        _ => return Err(Wrong::value("this is no reference").help("write ${env:NAME} or ${file:PATH}")),
    };
    // Whoever writes a secret to a file with an editor or `echo` ends it with a newline.
    let value = value.trim_end_matches(['\r', '\n']);
    if value.is_empty() {
        return Err(Wrong::new(Code::Unresolved, format!("{} is empty", shown(text))));
    }
    Ok(value.to_owned())
}
