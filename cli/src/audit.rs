//! `countersign audit`: read the book, search it, check its chain.

use access::{Call, Outcome, Record};
use broker::audit::{AuditError, Book, CallerSeen, Entry, Filter, Head, Verdict, What};
use config::{Settings, Store};
use jiff::tz::TimeZone;
use serde_json::json;

use crate::args::{Audit, Output, Search};
use crate::failure::{Exit, Failure};
use crate::output::Printer;

/// Runs one of the subcommands on the book of the config's broker; a running sidecar goes on writing meanwhile.
pub(crate) async fn run(command: Audit, settings: &Settings, printer: &Printer) -> Result<(), Failure> {
    let store = &settings.broker.store;
    if let Store::File(path) = store
        && !path.exists()
    {
        let message = format!("there is no audit book yet: {} does not exist", path.display());
        return Err(
            Failure::new(Exit::NotFound, message).help("the first `countersign proxy` or `countersign run` makes it")
        );
    }
    let book = Book::open(store).await.map_err(|error| Failure::from_error(Exit::Other, &error))?;
    match command {
        Audit::Tail { lines, follow } => tail(&book, lines, follow, printer).await,
        Audit::Search(search) => find(&book, search, printer).await,
        Audit::Verify { expect_head } => verify(&book, expect_head, printer).await,
    }
}

async fn tail(book: &Book, lines: u32, follow: bool, printer: &Printer) -> Result<(), Failure> {
    // Before the last events are read: with `--lines 0` there is none to go on from.
    let head = book.head().await.map_err(|error| unreadable(&error))?;
    let entries = book.tail(lines).await.map_err(|error| unreadable(&error))?;
    heading(printer)?;
    for entry in &entries {
        show(entry, printer)?;
    }
    let mut following = book.follow(entries.last().map_or(head.count, |last| last.seq));
    if !follow {
        return Ok(());
    }
    loop {
        show(&following.next().await.map_err(|error| unreadable(&error))?, printer)?;
    }
}

async fn find(book: &Book, search: Search, printer: &Printer) -> Result<(), Failure> {
    let filter = Filter {
        since: search.since,
        until: search.until,
        caller: search.caller,
        target: search.target.map(|target| target.to_string()),
        kind: search.kind,
        action: search.action,
        lease: search.lease,
        request: search.request,
        text: search.text,
        before: search.before,
        limit: Some(search.limit),
    };
    let page = book.search(&filter).await.map_err(|error| unreadable(&error))?;
    heading(printer)?;
    for entry in &page.entries {
        show(entry, printer)?;
    }
    if let Some(next) = page.next {
        printer.more(next);
    }
    Ok(())
}

async fn verify(book: &Book, expect: Option<Head>, printer: &Printer) -> Result<(), Failure> {
    match book.verify(expect).await.map_err(|error| unreadable(&error))? {
        Verdict::Verified(head) => match printer.output() {
            Output::Json => printer.json(&json!({ "verified": true, "count": head.count, "head": head.to_string() })),
            Output::Human => {
                printer.line(&format!("{} events, each follows from the one before\nhead {head}", head.count))
            }
        },
        Verdict::Broken { seq, why } => {
            if printer.output() == Output::Json {
                printer.json(&json!({ "verified": false, "seq": seq, "why": why.to_string() }))?;
            }
            Err(Failure::new(Exit::Found, format!("the audit book is broken at event {seq}: {why}")))
        }
    }
}

fn unreadable(error: &AuditError) -> Failure {
    Failure::from_error(Exit::Other, error)
}

fn heading(printer: &Printer) -> Result<(), Failure> {
    match printer.output() {
        Output::Human => printer.line(&row(["TIME", "WHAT", "CALLER", "AS", "CALL", "DETAIL"])),
        Output::Json => Ok(()),
    }
}

/// One event a line: a table for people, the event with its number and hash for programs.
fn show(entry: &Entry, printer: &Printer) -> Result<(), Failure> {
    match printer.output() {
        Output::Human => printer.line(&human(entry)),
        Output::Json => {
            let hash = entry.hash.to_string();
            let event = serde_json::to_value(&entry.event).map_err(|error| Failure::from_error(Exit::Other, &error))?;
            printer.json(&json!({ "seq": entry.seq, "hash": hash, "event": event }))
        }
    }
}

fn human(entry: &Entry) -> String {
    let time = entry.event.at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (what, caller, role, call, detail) = match &entry.event.what {
        What::LeaseIssued(lease) => {
            let detail = format!("grant {}, until {}", lease.grant, lease.until.strftime("%H:%M:%SZ"));
            ("lease.issued", subject(&lease.caller), short_role(&lease.role), action(&lease.call), detail)
        }
        What::LeaseRefused(refused) => {
            let refusal = &refused.refusal;
            let caller = refused.caller.as_ref().map(subject).or(refusal.subject.as_deref()).unwrap_or("-");
            let target = refused.target.as_str();
            ("lease.refused", caller, target, action(&refused.call), format!("{}: {}", refusal.code, refusal.message))
        }
        What::CallCountersigned(record) => called("call.countersigned", record),
        What::CallPassed(record) => called("call.passed", record),
        What::CallRefused(record) => called("call.refused", record),
        What::CallBroken(record) => called("call.broken", record),
        What::ConfigChanged(config) => {
            let detail = format!("{} grants to {} targets, sha256 {}", config.grants, config.targets, config.sha256);
            ("config.changed", "-", "-", String::new(), detail)
        }
        What::KeyCreated(key) => {
            ("key.created", "-", "-", String::new(), format!("{}, signs from {}", key.kid, key.activates))
        }
        What::KeyActivated(key) => ("key.activated", "-", "-", String::new(), key.kid.clone()),
        What::KeyRetired(key) => ("key.retired", "-", "-", String::new(), key.kid.clone()),
        told => (told.kind(), "-", "-", String::new(), detail_of(told)),
    };
    row([&time, what, caller, role, &call, &detail])
}

/// Of what happens rarely: the details as they stand in the book.
fn detail_of(what: &What) -> String {
    let written = serde_json::to_value(what).unwrap_or_default();
    written.get("detail").map(ToString::to_string).unwrap_or_default()
}

fn called<'r>(what: &'static str, record: &'r Record) -> (&'static str, &'r str, &'r str, String, String) {
    let detail = match &record.outcome {
        Outcome::Countersigned { status } | Outcome::Passed { status } => {
            format!("{status}, {} up, {} down", bytes(record.bytes_up), bytes(record.bytes_down))
        }
        Outcome::Refused { code, message } if record.times > 1 => {
            format!("{code}: {message} ({} alike within a second)", record.times)
        }
        Outcome::Refused { code, message } => format!("{code}: {message}"),
        Outcome::Broken { message } => message.clone(),
        Outcome::Tunnelled => format!("{} up, {} down", bytes(record.bytes_up), bytes(record.bytes_down)),
    };
    let role = record.role.as_deref().map(short_role);
    let role = role.or_else(|| record.target.as_ref().map(access::TargetName::as_str)).unwrap_or("-");
    (what, record.caller.as_deref().unwrap_or("-"), role, record.call.as_ref().map(action).unwrap_or_default(), detail)
}

fn subject(caller: &CallerSeen) -> &str {
    &caller.subject
}

/// `role/checkout` of `arn:aws:iam::123456789012:role/checkout`: the account is the target's.
fn short_role(role: &str) -> &str {
    role.rsplit_once(':').map_or(role, |(_, name)| name)
}

fn action(call: &Call) -> String {
    let action = call.action.clone().unwrap_or_else(|| format!("{} {}", call.service, call.method));
    match &call.resource {
        Some(resource) => format!("{action} {}", short_resource(resource)),
        None => action,
    }
}

/// What stands behind the account in an ARN.
fn short_resource(resource: &str) -> &str {
    resource.splitn(6, ':').nth(5).unwrap_or(resource)
}

fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let steps = [40, 30, 20, 10];
    for (step, unit) in steps.into_iter().zip(UNITS.into_iter().rev()) {
        if count >> step > 0 {
            return format!("{:.1} {unit}", count as f64 / (1u64 << step) as f64);
        }
    }
    format!("{count} B")
}

fn row(cells: [&str; 6]) -> String {
    const WIDTHS: [usize; 5] = [20, 18, 36, 16, 44];
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(WIDTHS) {
        line.push_str(&format!("{:<width$}  ", printable(cell)));
    }
    line.push_str(&printable(cells[5]));
    line.trim_end().to_owned()
}

/// What comes from the wire may hold control characters; a terminal must not obey them.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
