//! The reference page of the numbers is what the process tells.

use std::path::Path;

use crate::stage::{Running, Wish};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/metrics.md");

const HEAD: &str = "\
# Metrics

<!-- Generated from what the process tells: UPDATE_GOLDEN=1 cargo test -p countersign -->

`GET /metrics` on `telemetry.listen`, in Prometheus' text format. Label values come from closed sets: `service` is a signing name
that AWS is known to have, `other` for any other, `none` for what is no cloud's business; `cloud` is `aws` or `none`; `decision` is
`countersigned`, `passed`, `refused` or `broken`; `code` is a refusal's, as programs see it in `x-countersign-refusal`. No host, path,
name or address ever becomes a label. Counters begin at 0 with the process.

| metric | kind | meaning |
|---|---|---|
";

#[test]
fn the_reference_page_is_what_the_process_tells() {
    let (_, told) = Running::start(Wish::default()).get("/metrics");
    let mut page = HEAD.to_owned();
    let mut lines = told.lines();
    while let Some(line) = lines.next() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) else { continue };
        let kind = lines.next().and_then(|line| line.strip_prefix(&format!("# TYPE {name} ")));
        page.push_str(&format!("| `{name}` | {} | {help} |\n", kind.expect("a family says what it is")));
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(PAGE, &page).expect("docs can be written");
    }
    let written = std::fs::read_to_string(Path::new(PAGE)).unwrap_or_default();
    assert!(written == page, "docs/reference/metrics.md is not current; UPDATE_GOLDEN=1 rewrites it");
}
