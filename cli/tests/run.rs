//! `countersign run`: the command gets placeholders and no credentials, its signals and its exit code are its own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const CONFIG: &str = include_str!("countersign.yaml");

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(folder.path().join("countersign.yaml"), CONFIG).expect("writable");
    folder
}

fn run(folder: &Path, command: &[&str]) -> Command {
    let mut run = Command::new(env!("CARGO_BIN_EXE_countersign"));
    run.args(["run", "--"]).args(command).current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin");
    run.stdin(Stdio::null());
    run
}

fn ended(command: &mut Command) -> Output {
    command.output().expect("the binary runs")
}

#[test]
fn the_commands_exit_code_is_ours_and_its_output_untouched() {
    let folder = folder();
    let output = ended(&mut run(folder.path(), &["sh", "-c", "echo out; echo err >&2; exit 7"]));
    assert_eq!(output.status.code(), Some(7));
    assert_eq!((&*output.stdout, &*output.stderr), (&b"out\n"[..], &b"err\n"[..]));
}

#[test]
fn a_command_that_a_signal_ends_gives_what_a_shell_gives() {
    let folder = folder();
    let output = ended(&mut run(folder.path(), &["sh", "-c", "kill -KILL $$"]));
    assert_eq!(output.status.code(), Some(128 + 9));
}

#[test]
fn a_command_that_is_not_there_or_cannot_be_executed_says_so() {
    let folder = folder();
    assert_eq!(ended(&mut run(folder.path(), &["no-such-command"])).status.code(), Some(127));
    assert_eq!(ended(&mut run(folder.path(), &["./countersign.yaml"])).status.code(), Some(126));
}

#[test]
fn the_command_gets_placeholders_and_loses_what_it_would_have_inherited() {
    let folder = folder();
    let mut command = run(folder.path(), &["env"]);
    command.env("AWS_SESSION_TOKEN", "inherited").env("ALL_PROXY", "http://elsewhere").env("AWS_PROFILE", "prod");
    let text = String::from_utf8(ended(&mut command).stdout).expect("UTF-8");
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    assert!(value("AWS_ACCESS_KEY_ID").is_some_and(|id| id.starts_with("AKIA") && id.len() == 20), "{text}");
    assert!(value("AWS_SECRET_ACCESS_KEY").is_some_and(|secret| secret.len() == 40), "{text}");
    assert_eq!(value("HTTPS_PROXY"), value("https_proxy"));
    assert!(value("HTTPS_PROXY").is_some_and(|proxy| proxy.starts_with("http://127.0.0.1:")), "{text}");
    for gone in ["AWS_SESSION_TOKEN", "ALL_PROXY", "AWS_PROFILE"] {
        assert_eq!(value(gone), None, "{gone}");
    }
    let bundle = value("SSL_CERT_FILE").expect("trust").to_owned();
    assert!(!Path::new(&bundle).exists(), "the run's directory is gone with it");
}

#[test]
fn a_signal_reaches_the_command() {
    let folder = folder();
    let script = "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = run(folder.path(), &["sh", "-c", script]).stdout(Stdio::piped()).spawn().expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "ready");
    let pid = Pid::from_raw(child.id().cast_signed()).expect("a process");
    kill_process(pid, Signal::TERM).expect("it runs");
    assert_eq!(lines.next().expect("a line").expect("text"), "asked");
    assert_eq!(child.wait().expect("it ends").code(), Some(3));
}

#[test]
fn a_command_whose_run_is_killed_ends_too() {
    let folder = folder();
    let script = "echo $$; while :; do sleep 0.05; done";
    let mut child = run(folder.path(), &["sh", "-c", script]).stdout(Stdio::piped()).spawn().expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let command = lines.next().expect("a line").expect("text");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    // Whoever inherits it may be slow to notice its end.
    let runs = || {
        let status = std::fs::read_to_string(format!("/proc/{command}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:") && !line.contains("zombie"))
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while runs() {
        assert!(std::time::Instant::now() < deadline, "it goes on alone");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_second_request_to_end_kills_a_command_that_does_not_listen() {
    let folder = folder();
    let script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = run(folder.path(), &["sh", "-c", script]).stdout(Stdio::piped()).spawn().expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "ready");
    let pid = Pid::from_raw(child.id().cast_signed()).expect("a process");
    // Signals of one kind that arrive together are one; so it is asked until it is gone.
    let status = loop {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status;
        }
        kill_process(pid, Signal::TERM).expect("it runs or waits to be seen");
        std::thread::yield_now();
    };
    assert_eq!(status.code(), Some(128 + 9));
}

#[test]
fn a_run_stands_beside_whoever_serves_the_issuers_documents_already() {
    let folder = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let config = CONFIG.replace("127.0.0.1:0", &address);
    std::fs::write(folder.path().join("countersign.yaml"), config).expect("writable");
    assert_eq!(ended(&mut run(folder.path(), &["true"])).status.code(), Some(0));

    let mut proxy = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let output = ended(proxy.arg("proxy").current_dir(folder.path()).env_clear());
    assert_eq!(output.status.code(), Some(7), "a proxy has to serve them");
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("help: is another `countersign proxy` or `countersign broker` running?")
    );
}

#[test]
fn names_of_the_config_are_completed() {
    let folder = folder();
    let mut complete = Command::new(env!("CARGO_BIN_EXE_countersign"));
    complete.args(["--", "countersign", "run", "--target", ""]).current_dir(folder.path()).env_clear();
    complete.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "3").env("_CLAP_IFS", "\n");
    let offered = String::from_utf8(ended(&mut complete).stdout).expect("UTF-8");
    assert!(offered.lines().any(|line| line == "receipts"), "{offered}");
}
