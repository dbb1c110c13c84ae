//! Certificates for the peers, which want theirs in files; `openssl` makes them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/// Leaves an authority in `folder`: `root.pem`, and in the file `both` with its key before it.
pub(crate) fn authority(folder: &Path, both: &str) -> anyhow::Result<()> {
    let subject = ["req", "-x509", "-days", "2", "-subj", "/CN=bench", "-keyout", "root.key", "-out", "root.pem"];
    let use_ = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"];
    openssl(folder, &[&subject[..], &KEY, &use_].concat())?;
    join(folder, ["root.key", "root.pem"], both)
}

/// Leaves a leaf for `host` in `folder`: `leaf.pem`, `leaf.key`, both in `leaf-both.pem`, and the root that it is from.
pub(crate) fn leaf(folder: &Path, host: &str) -> anyhow::Result<()> {
    authority(folder, "authority.pem")?;
    let subject = format!("/CN={host}");
    let request = ["req", "-subj", &subject, "-keyout", "leaf.key", "-out", "leaf.csr"];
    openssl(folder, &[&request[..], &KEY].concat())?;
    std::fs::write(folder.join("san"), format!("subjectAltName=DNS:{host}\n"))?;
    let sign = ["x509", "-req", "-in", "leaf.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial"];
    openssl(folder, &[&sign[..], &["-days", "2", "-extfile", "san", "-out", "leaf.pem"]].concat())?;
    join(folder, ["leaf.pem", "leaf.key"], "leaf-both.pem")
}

fn join(folder: &Path, parts: [&str; 2], whole: &str) -> anyhow::Result<()> {
    let [first, second] = parts.map(|part| std::fs::read_to_string(folder.join(part)));
    std::fs::write(folder.join(whole), first? + &second?)?;
    Ok(())
}

fn openssl(folder: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let made = Command::new("openssl").args(arguments).current_dir(folder).output().context("openssl is needed")?;
    ensure!(made.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}
