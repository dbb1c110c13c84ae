//! Requests by service, decision and status, and how long they took: a row for every service that we know, made when its
//! first request ends.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use access::{Call, Outcome};
use cloud::aws::operations::service_names;
use serve::metrics::{Counter, Family, Histogram, Kind, Page};

const REQUESTS: Family = Family {
    name: "countersign_requests_total",
    kind: Kind::Counter,
    help: "Requests that ended, by cloud, service, decision and class of the status that the program got",
};

const DURATION: Family = Family {
    name: "countersign_request_duration_seconds",
    kind: Kind::Histogram,
    help: "From a request's head to the last byte of its answer, by cloud, service and decision",
};

/// What a service is called that we do not know. Its name came over the wire, so it is nobody's label.
const OTHER: &str = "other";
/// Requests that are no cloud's business, or were refused before it was known whose they are.
const NONE: &str = "none";

const DECISIONS: [&str; 4] = ["countersigned", "passed", "refused", "broken"];
/// By the first digit; what was refused or broke off has no status of a destination's.
const STATUSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// All rows.
#[derive(Debug)]
pub(super) struct Services {
    /// By the place of the service in the table of names, then the unknown ones, then those of no cloud.
    rows: Box<[OnceLock<Box<Row>>]>,
}

#[derive(Debug, Default)]
struct Row([Cell; DECISIONS.len()]);

#[derive(Debug, Default)]
struct Cell {
    by_status: [Counter; STATUSES.len()],
    took: Histogram,
}

/// The names in a fixed order, and where each stands.
struct Names {
    in_order: Vec<&'static str>,
    places: HashMap<&'static str, usize>,
}

fn names() -> &'static Names {
    static NAMES: OnceLock<Names> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut in_order: Vec<_> = service_names().collect();
        in_order.sort_unstable();
        let places = in_order.iter().enumerate().map(|(place, name)| (*name, place)).collect();
        in_order.extend([OTHER, NONE]);
        Names { in_order, places }
    })
}

impl Default for Services {
    fn default() -> Self {
        Self { rows: names().in_order.iter().map(|_| OnceLock::new()).collect() }
    }
}

impl Services {
    pub(super) fn count(&self, call: Option<&Call>, outcome: &Outcome, took: Duration) {
        let names = names();
        let known = names.places.len();
        let place = call.map_or(known + 1, |call| names.places.get(call.service.as_str()).copied().unwrap_or(known));
        let (decision, status) = match outcome {
            Outcome::Countersigned { status } => (0, *status),
            Outcome::Passed { status } => (1, *status),
            Outcome::Refused { .. } => (2, 0),
            Outcome::Broken { .. } => (3, 0),
            Outcome::Tunnelled => return,
        };
        let class = Some(usize::from(status / 100)).filter(|class| *class < STATUSES.len()).unwrap_or_default();
        let cell = &self.rows[place].get_or_init(Box::default).0[decision];
        cell.by_status[class].add(1);
        cell.took.observe(took);
    }

    pub(super) fn tell(&self, page: &mut Page) {
        let mut counted = Vec::new();
        let mut timed = Vec::new();
        for (row, service) in self.rows.iter().zip(&names().in_order) {
            let cloud = if *service == NONE { NONE } else { "aws" };
            for (cell, decision) in row.get().into_iter().flat_map(|row| row.0.iter().zip(DECISIONS)) {
                let labels = [("cloud", cloud), ("service", *service), ("decision", decision)];
                for (counter, status) in cell.by_status.iter().zip(STATUSES).filter(|(counter, _)| counter.value() > 0)
                {
                    let [cloud, service, decision] = labels;
                    counted.push(([cloud, service, decision, ("status", status)], counter.value()));
                }
                if cell.took.count() > 0 {
                    timed.push((labels, &cell.took));
                }
            }
        }
        page.family(&REQUESTS, counted.iter().map(|(labels, number)| (&labels[..], *number)));
        page.histograms(&DURATION, timed.iter().map(|(labels, histogram)| (&labels[..], *histogram)));
    }
}

#[cfg(test)]
mod tests {
    use access::Cloud;

    use super::*;

    fn call(service: &str) -> Call {
        Call {
            cloud: Cloud::Aws,
            service: service.into(),
            prefix: Default::default(),
            region: None,
            action: None,
            resource: None,
            also: Vec::new(),
            method: "GET".into(),
            host: format!("{service}.evil.test"),
            path: "/".into(),
            spelling: Default::default(),
        }
    }

    #[test]
    fn names_that_strangers_choose_become_no_labels() {
        let services = Services::default();
        for number in 0..10_000 {
            services.count(
                Some(&call(&format!("evil-{number}\"}} 1\n"))),
                &Outcome::Passed { status: 999 },
                Duration::ZERO,
            );
        }
        services.count(Some(&call("s3")), &Outcome::Countersigned { status: 404 }, Duration::from_millis(3));
        services.count(None, &Outcome::Passed { status: 200 }, Duration::ZERO);
        let mut page = Page::default();
        services.tell(&mut page);
        let text = page.into_text();
        assert!(!text.contains("evil"), "{text}");
        let of = |line: &str| text.lines().any(|other| other == line);
        let requests = "countersign_requests_total";
        assert!(
            of(&format!("{requests}{{cloud=\"aws\",service=\"other\",decision=\"passed\",status=\"none\"}} 10000")),
            "{text}"
        );
        assert!(
            of(&format!("{requests}{{cloud=\"aws\",service=\"s3\",decision=\"countersigned\",status=\"4xx\"}} 1")),
            "{text}"
        );
        assert!(
            of(&format!("{requests}{{cloud=\"none\",service=\"none\",decision=\"passed\",status=\"2xx\"}} 1")),
            "{text}"
        );
        assert!(text.lines().count() < 100, "{text}");
    }
}
