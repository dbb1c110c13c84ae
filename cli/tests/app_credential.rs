//! `countersign app-credential`: made anew each time, and the config takes what it prints.

use std::process::Command;

const CONFIG: &str = include_str!("countersign.yaml");

#[test]
fn credential_is_new_each_time_and_its_hash_is_one_that_a_config_takes() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let countersign = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        let output = command.args(arguments).current_dir(folder.path()).env_clear().output().expect("the binary runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let made = || {
        serde_json::from_str::<serde_json::Value>(&countersign(&["app-credential", "--output", "json"])).expect("JSON")
    };
    let (one, other) = (made(), made());
    assert!(
        one["credential"].as_str().is_some_and(|credential| credential.starts_with("csapp_") && credential.len() > 40)
    );
    assert_ne!(one["credential"], other["credential"]);
    let shared = format!(
        "shared: {{ listen: '127.0.0.1:1', apps: {{ a: {{ token_file: t, credential_hash: {} }} }} }}",
        one["credential_hash"]
    );
    let config = CONFIG.replacen("proxy: { ", &format!("proxy: {{ {shared}, "), 1);
    assert_ne!(config, CONFIG);
    std::fs::write(folder.path().join("countersign.yaml"), config).expect("writable");
    countersign(&["validate"]);
}
