//! What the process takes while it works: a sample a second, and whether it grows.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::server::Server;

/// Between two samples.
pub(crate) const EVERY: Duration = Duration::from_secs(1);

/// Growth after the warm-up that is no leak: an allocator's pages, a page cache.
const BYTES: f64 = 4.0 * 1024.0 * 1024.0;

/// The same, of what is there.
const SHARE: f64 = 0.1;

/// Files and threads that may be more at the end: connections that happen to be open, or idle in a pool.
const HANDLES: f64 = 16.0;

/// So many medians stand for all samples.
const BUCKETS: usize = 48;

/// One look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    at: f64,
    rss: f64,
    files: f64,
    threads: f64,
}

/// A column of samples: how it is called, its values, and the growth that it may have.
struct Column {
    name: &'static str,
    of: fn(&Sample) -> f64,
    unit: (f64, &'static str),
    allowed: fn(f64) -> f64,
}

const COLUMNS: [Column; 3] = [
    Column {
        name: "RSS",
        of: |sample| sample.rss,
        unit: (1024.0 * 1024.0, " MiB"),
        allowed: |typical| BYTES.max(SHARE * typical),
    },
    Column { name: "open files", of: |sample| sample.files, unit: (1.0, ""), allowed: |_| HANDLES },
    Column { name: "threads", of: |sample| sample.threads, unit: (1.0, ""), allowed: |_| HANDLES },
];

/// Samples `server` into `file` until dropped.
pub(crate) async fn watch(
    server: &Server,
    begun: Instant,
    (file, samples): (&Path, &mut Vec<Sample>),
) -> anyhow::Result<()> {
    let mut out = std::fs::File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
    writeln!(out, "seconds,rss_bytes,files,threads")?;
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        let (rss, files, threads) = (server.rss()?, server.files()?, server.threads()?);
        let sample = Sample { at: begun.elapsed().as_secs_f64(), rss, files, threads };
        writeln!(out, "{:.0},{rss:.0},{files:.0},{threads:.0}", sample.at)?;
        samples.push(sample);
    }
}

/// What has grown, in words; nothing if all is well. Prints what was seen.
pub(crate) fn growth(samples: &[Sample], warm: Duration) -> Vec<String> {
    let after: Vec<_> = samples.iter().filter(|sample| sample.at >= warm.as_secs_f64()).copied().collect();
    let mut grown = Vec::new();
    for Column { name, of, unit: (unit, suffix), allowed } in &COLUMNS {
        let points = medians(&after, *of);
        let (Some(first), Some(last)) = (points.first(), points.last()) else { continue };
        let typical = median(points.iter().map(|(_, value)| *value).collect());
        let total = slope(&points) * (last.0 - first.0);
        let most = after.iter().map(of).fold(0.0, f64::max);
        println!(
            "{name}: {:.1}{suffix} typically, {:.1}{suffix} at most, {:+.2}{suffix} over {:.0} s",
            typical / unit,
            most / unit,
            total / unit,
            last.0 - first.0
        );
        if total > allowed(typical) {
            grown.push(format!("{name} grows: {:+.2}{suffix} after the warm-up", total / unit));
        }
    }
    grown
}

/// The medians of [`BUCKETS`] stretches: what happens to be there in one second is no trend.
fn medians(samples: &[Sample], of: fn(&Sample) -> f64) -> Vec<(f64, f64)> {
    let size = samples.len().div_ceil(BUCKETS).max(1);
    let middle = |bucket: &[Sample], of: fn(&Sample) -> f64| median(bucket.iter().map(of).collect());
    samples.chunks(size).map(|bucket| (middle(bucket, |sample| sample.at), middle(bucket, of))).collect()
}

/// Theil and Sen's: the median of the slopes between all pairs, which single outliers do not move.
fn slope(points: &[(f64, f64)]) -> f64 {
    let pairs = points.iter().enumerate().flat_map(|(n, a)| points[n + 1..].iter().map(move |b| (a, b)));
    median(pairs.map(|(a, b)| (b.1 - a.1) / (b.0 - a.0)).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(rss: impl Fn(f64) -> f64) -> Vec<Sample> {
        (0..300).map(f64::from).map(|at| Sample { at, rss: rss(at), files: 100.0, threads: 3.0 }).collect()
    }

    #[test]
    fn leak_is_told_from_noise_and_from_the_warm_up() {
        let warm = Duration::from_secs(60);
        let mib = f64::from(1 << 20);
        let noisy = samples(|at| (30.0 + (at * 7.0) % 5.0) * mib);
        let warming = samples(|at| (30.0 + at.min(60.0)) * mib);
        let leaking = samples(|at| (30.0 + (at * 7.0) % 5.0 + at / 30.0) * mib);
        assert!(growth(&noisy, warm).is_empty());
        assert!(growth(&warming, warm).is_empty());
        assert_eq!(growth(&leaking, warm).len(), 1);
    }
}
