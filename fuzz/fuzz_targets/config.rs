//! The config file: any bytes are understood or refused, and neither hang nor panic.
#![no_main]

use std::io;
use std::path::Path;

use config::Surroundings;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let nothing = |_: &Path| Err(io::ErrorKind::NotFound.into());
    let surroundings = Surroundings { directory: Path::new(""), env: &|_| None, read: &nothing };
    let checked = config::parse("fuzz.yaml", bytes, &surroundings);
    assert_eq!(checked.settings.is_some(), checked.report.errors == 0);
    assert!(!checked.report.to_string().is_empty());
});
