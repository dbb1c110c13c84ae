//! The audit book after the run, as the real binary tells of it: verified, and every request counted.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::process::Command;

/// Events in one answer of `audit search`.
const PAGE: u64 = 1000;

/// Kinds of events that are of no request, and few.
const OTHERS: [&str; 3] = ["lease", "key", "config"];

/// A book that is written by nobody any more.
pub(crate) struct Book<'a> {
    pub(crate) binary: &'a Path,
    pub(crate) config: &'a Path,
}

impl Book<'_> {
    /// Requests that stand in it. Refusals of one kind are folded into one event, which says how many.
    pub(crate) async fn requests(&self) -> anyhow::Result<u64> {
        let verified = self.audit(&["verify"]).await?;
        let verdict: Value = serde_json::from_str(verified.trim())?;
        ensure!(verdict["verified"] == true, "the audit book is broken: {verified}");
        let mut requests = verdict["count"].as_u64().context("a count")?;
        for kind in OTHERS {
            requests -= self.search(kind).await?.len() as u64;
        }
        for refused in self.search("call.refused").await? {
            requests += refused["event"]["detail"]["times"].as_u64().unwrap_or(1) - 1;
        }
        Ok(requests)
    }

    /// All events of a kind.
    pub(crate) async fn search(&self, kind: &str) -> anyhow::Result<Vec<Value>> {
        let (mut found, mut before) = (Vec::new(), u64::from(u32::MAX));
        loop {
            let (limit, last) = (PAGE.to_string(), before.to_string());
            let page = self.audit(&["search", "--kind", kind, "--limit", &limit, "--before", &last]).await?;
            let page = page.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
            let events: Vec<_> = page.into_iter().filter(|line| line["seq"].is_u64()).collect();
            let Some(oldest) = events.iter().filter_map(|event| event["seq"].as_u64()).min() else { return Ok(found) };
            before = oldest;
            found.extend(events);
        }
    }

    async fn audit(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(self.binary);
        command.args(["--config"]).arg(self.config).args(["--output", "json", "audit"]).args(arguments);
        let output = command.output().await?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "audit {arguments:?} failed: {told}");
        Ok(String::from_utf8(output.stdout)?)
    }
}
