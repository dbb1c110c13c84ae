//! All findings of a config, for people and for programs.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

use crate::document::Document;
use crate::finding::{Code, Excerpt, Finding, Place, Severity};
use crate::flaw::{Flaw, Wrong};

/// Everything that was found in one file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The file, as it was named.
    pub file: String,
    /// How many errors.
    pub errors: usize,
    /// How many warnings.
    pub warnings: usize,
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(file: &str, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.place.as_ref().map(|place| (place.line, place.column)));
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        Self { file: file.to_owned(), errors, warnings: findings.len() - errors, findings }
    }

    /// Adds something that only others than the config know, and so without a place in the file.
    pub fn add(&mut self, code: Code, message: String) {
        let severity = code.severity();
        match severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        self.findings.push(Finding { code, severity, message, help: None, place: None });
    }
}

/// As `cargo` and `rustc` show it: what, where, the line, what to do; the counts last.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            one(f, &self.file, finding)?;
        }
        match (self.errors, self.warnings) {
            (0, 0) => write!(f, "nothing to say about {}", self.file),
            (errors, 0) => write!(f, "{} in {}", counted(errors, "error"), self.file),
            (0, warnings) => write!(f, "{} in {}", counted(warnings, "warning"), self.file),
            (errors, warnings) => {
                write!(f, "{}, {} in {}", counted(errors, "error"), counted(warnings, "warning"), self.file)
            }
        }
    }
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn one(f: &mut fmt::Formatter<'_>, file: &str, finding: &Finding) -> fmt::Result {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    writeln!(f, "{severity}[{}]: {}", finding.code.as_str(), finding.message)?;
    if let Some(place) = &finding.place {
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        let path = if place.path.is_empty() { String::new() } else { format!("  {}", place.path) };
        writeln!(f, "{margin} ┌─ {file}:{number}:{}{path}", place.column)?;
        let Excerpt { text, from, length } = &place.excerpt;
        writeln!(f, "{number} │ {text}")?;
        writeln!(f, "{margin} │ {}{}", " ".repeat(*from), "^".repeat(*length))?;
    }
    if let Some(help) = &finding.help {
        writeln!(f, " help: {help}")?;
    }
    writeln!(f)
}

/// A text and what of it must not be shown: secrets, and what nobody understood, which may be one.
pub(crate) struct Source<'t> {
    pub(crate) text: &'t str,
    pub(crate) secrets: Vec<Range<usize>>,
}

impl Source<'_> {
    /// A finding about a node.
    pub(crate) fn finding(&self, document: &Document, flaw: Flaw) -> Finding {
        let Flaw { node, wrong } = flaw;
        self.at(wrong, document.pointing_at(node), document.path(node))
    }

    /// A finding about bytes of the text.
    pub(crate) fn at(&self, wrong: Wrong, span: Range<usize>, path: String) -> Finding {
        let Wrong { code, message, help } = wrong;
        Finding { severity: code.severity(), code, message, help, place: Some(self.place(span, path)) }
    }

    fn place(&self, span: Range<usize>, path: String) -> Place {
        let start = floor(self.text, span.start);
        let end = floor(self.text, span.end.max(start));
        let line_start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |newline| start + newline);
        let column = self.text[line_start..start].chars().count();
        let length = self.text[start..end.min(line_end)].chars().count().max(1);
        Place {
            line: self.text[..start].matches('\n').count() + 1,
            column: column + 1,
            path,
            excerpt: excerpt(&self.without_secrets(line_start..line_end), column, length),
        }
    }

    /// The characters of a range, each of a secret's as a dot and each that would move the cursor as a space.
    fn without_secrets(&self, range: Range<usize>) -> Vec<char> {
        let secret = |byte: usize| self.secrets.iter().any(|secret| secret.contains(&byte));
        let shown = |(byte, c): (usize, char)| match c {
            _ if secret(range.start + byte) => '•',
            c if c.is_control() => ' ',
            c => c,
        };
        self.text[range.clone()].char_indices().map(shown).collect()
    }
}

/// Cuts what fits on a terminal out of a line, around what is meant.
fn excerpt(line: &[char], column: usize, length: usize) -> Excerpt {
    const WIDTH: usize = 100;
    const BEFORE: usize = 60;
    let from = column.min(line.len());
    let start = if from < WIDTH { 0 } else { from - BEFORE };
    let end = line.len().min(start + WIDTH);
    let text: String = line[start..end].iter().collect();
    let more = if end < line.len() { " …" } else { "" };
    Excerpt {
        text: format!("{}{more}", text.trim_end()),
        from: from - start,
        length: length.min(WIDTH - (from - start)).max(1),
    }
}

fn floor(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}
