//! Numbers: counted without a lock, told in Prometheus' text format (version 0.0.4).
//!
//! Whoever counts says with [`Family`] what there is, and tells its numbers when the page is asked for. Label values come
//! from closed sets only: a name that a stranger chose would let him fill the memory of whoever collects.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper ends of a [`Histogram`]'s buckets, in seconds: from a cached answer to S3 thinking about a large upload.
pub const BUCKETS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// A number that is only ever read and changed as a whole.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The number now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Counts less; for what comes and goes.
    pub fn take_away(&self, less: u64) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }

    /// Sets the number.
    pub fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }
}

/// How long things took.
#[derive(Debug, Default)]
pub struct Histogram {
    /// How many ended in each of [`BUCKETS`], and above them.
    buckets: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

impl Histogram {
    /// Counts one.
    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BUCKETS.partition_point(|end| *end < seconds);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }
}

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It comes and goes.
    Gauge,
    /// How long things took.
    Histogram,
}

/// Numbers of one kind under one name.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// `countersign_…`; a counter's ends in `_total`, units stand in the name.
    pub name: &'static str,
    /// What they are.
    pub kind: Kind,
    /// What they mean, in one sentence without a full stop.
    pub help: &'static str,
}

/// Whoever has numbers to tell.
pub trait Counted: Send + Sync + 'static {
    /// Tells them all, each family at once.
    fn tell(&self, page: &mut Page);
}

/// The page that a collector reads.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// Tells a family: what it is, and then its numbers, each with its labels (name and value).
    pub fn family<'a>(&mut self, family: &Family, numbers: impl IntoIterator<Item = (&'a [(&'a str, &'a str)], u64)>) {
        self.head(family);
        for (labels, number) in numbers {
            self.sample((family.name, ""), labels, &number);
        }
    }

    /// Tells a family of one number.
    pub fn number(&mut self, family: &Family, number: u64) {
        self.family(family, [(&[][..], number)]);
    }

    /// Tells histograms, each with its labels.
    pub fn histograms<'a>(
        &mut self,
        family: &Family,
        histograms: impl IntoIterator<Item = (&'a [(&'a str, &'a str)], &'a Histogram)>,
    ) {
        self.head(family);
        for (labels, histogram) in histograms {
            let mut so_far = 0;
            let ends = BUCKETS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
            for (bucket, end) in histogram.buckets.iter().zip(ends) {
                so_far += bucket.load(Ordering::Relaxed);
                let labels: Vec<_> = labels.iter().copied().chain([("le", end.as_str())]).collect();
                self.sample((family.name, "_bucket"), &labels, &so_far);
            }
            let micros = Duration::from_micros(histogram.micros.load(Ordering::Relaxed));
            self.sample((family.name, "_sum"), labels, &micros.as_secs_f64());
            self.sample((family.name, "_count"), labels, &so_far);
        }
    }

    /// The page as text.
    pub fn into_text(self) -> String {
        self.0
    }

    fn head(&mut self, Family { name, kind, help }: &Family) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, (name, part): (&str, &str), labels: &[(&str, &str)], number: &dyn std::fmt::Display) {
        self.put(format_args!("{name}{part}"));
        for (index, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            self.put(format_args!("{}{label}=\"{value}\"", if index == 0 { '{' } else { ',' }));
        }
        self.put(format_args!("{} {number}\n", if labels.is_empty() { "" } else { "}" }));
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("a string takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_what_the_format_says() {
        let mut page = Page::default();
        let seen = Family { name: "seen_total", kind: Kind::Counter, help: "What was seen" };
        page.family(&seen, [(&[("by", "a\"b\\c\nd")][..], 7)]);
        let took = Family { name: "took_seconds", kind: Kind::Histogram, help: "How long it took" };
        let histogram = Histogram::default();
        [1, 2, 3000, 90_000].map(Duration::from_millis).iter().for_each(|took| histogram.observe(*took));
        page.histograms(&took, [(&[][..], &histogram)]);
        let text = page.into_text();
        for line in [
            "# HELP seen_total What was seen\n# TYPE seen_total counter\n",
            "seen_total{by=\"a\\\"b\\\\c\\nd\"} 7\n",
            "took_seconds_bucket{le=\"0.001\"} 1\n",
            "took_seconds_bucket{le=\"0.0025\"} 2\n",
            "took_seconds_bucket{le=\"5\"} 3\n",
            "took_seconds_bucket{le=\"+Inf\"} 4\n",
            "took_seconds_sum 93.003\ntook_seconds_count 4\n",
        ] {
            assert!(text.contains(line), "no {line} in\n{text}");
        }
    }
}
