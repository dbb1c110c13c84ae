//! The reference page of the command line is what the binary says, and its exit codes are what it gives.

use std::path::Path;
use std::process::{Command, Output};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/cli.md");

/// What stands above the generated part.
const HEAD: &str = "\
# The command line

stdout carries only what was asked for; everything else goes to stderr. `--output json` gives one JSON document, or one a line where
the answer is a list; errors then come as `{\"schema\":\"countersign.error/v1\",\"error\":{\"exit\",\"message\",\"cause\",\"help\"}}` on stderr.

| exit code | means |
|---|---|
| 0 | done |
| 1 | anything that has no code of its own |
| 2 | the command line is wrong |
| 3 | the config is wrong |
| 7 | a network or a port failed us |
| 9 | not there |
| 10 | a check found something: `validate --strict`, `audit verify` |
| 125 | `run` itself failed |
| 126, 127 | the command of `run` cannot be executed, does not exist |
| 128 + n | the command of `run` was ended by signal n |
| 143 | a second signal ended `countersign` at once |

`run` otherwise gives the command's own code.

Completion: `source <(COMPLETE=bash countersign)`, or the same for `zsh`, `fish`, `elvish`, `powershell`.
`countersign completion SHELL` prints a script for packages.

What follows is `--help` of each command; a test holds this page to it.
";

const COMMANDS: [&[&str]; 14] = [
    &[],
    &["proxy"],
    &["run"],
    &["validate"],
    &["explain"],
    &["audit"],
    &["audit", "tail"],
    &["audit", "search"],
    &["audit", "verify"],
    &["issuer"],
    &["app-credential"],
    &["schema"],
    &["completion"],
    &["version"],
];

fn countersign(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(arguments).env_clear().current_dir(env!("CARGO_TARGET_TMPDIR"));
    command.output().expect("the binary runs")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn the_reference_page_is_what_help_says() {
    let mut page = HEAD.to_owned();
    for command in COMMANDS {
        let help = countersign(&[command, &["--help"]].concat());
        let lines = text(help.stdout);
        let lines: Vec<_> = lines.lines().map(str::trim_end).collect();
        let title = [&["countersign"], command].concat().join(" ");
        page.push_str(&format!("\n## {title}\n\n```text\n{}\n```\n", lines.join("\n").trim_end()));
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(PAGE, &page).expect("docs can be written");
    }
    let written = std::fs::read_to_string(Path::new(PAGE)).unwrap_or_default();
    assert!(written == page, "docs/reference/cli.md is not current; UPDATE_GOLDEN=1 rewrites it");
}

#[test]
fn a_wrong_command_line_config_or_path_each_has_its_exit_code() {
    for (arguments, code, says) in [
        (&["prxy"][..], 2, "unrecognized subcommand"),
        (&["validate", "missing.yaml"][..], 3, "cannot be read"),
        (&["proxy", "--config", "missing.yaml"][..], 3, "countersign validate missing.yaml"),
        (&["explain", "--from", "nobody"][..], 3, "need a config"),
    ] {
        let answer = countersign(arguments);
        let said = text(answer.stderr) + &text(answer.stdout);
        assert_eq!(answer.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

#[test]
fn an_error_is_one_json_document_where_json_was_asked_for() {
    let answer = countersign(&["explain", "--from", "nobody", "--output", "json"]);
    let error: serde_json::Value = serde_json::from_slice(&answer.stderr).expect("JSON");
    assert_eq!(error["schema"], "countersign.error/v1");
    assert_eq!(error["error"]["exit"], 3);
}
