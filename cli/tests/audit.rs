//! `countersign audit`: what it shows, and what it does not.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

const CONFIG: &str = include_str!("countersign.yaml");

#[test]
fn following_with_no_last_lines_does_not_begin_at_the_first_event() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(folder.path().join("countersign.yaml"), CONFIG).expect("writable");
    let countersign = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(arguments).args(["--output", "json"]).current_dir(folder.path()).env_clear();
        command
    };
    // The first key and its activation are the first two events.
    assert!(countersign(&["issuer"]).output().expect("the binary runs").status.success());
    let two = countersign(&["audit", "tail"]).output().expect("the binary runs");
    assert_eq!(two.stdout.iter().filter(|&&byte| byte == b'\n').count(), 2);

    let mut following = countersign(&["audit", "tail", "--lines", "0", "--follow"]);
    let mut following = following.stdout(Stdio::piped()).spawn().expect("the binary runs");
    // It looks three times a second.
    std::thread::sleep(Duration::from_secs(1));
    following.kill().expect("it still follows");
    following.wait().expect("it ended");
    let mut shown = String::new();
    following.stdout.take().expect("piped").read_to_string(&mut shown).expect("UTF-8");
    assert_eq!(shown, "");
}
