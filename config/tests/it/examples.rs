//! Every YAML example in the documentation is a config that loads.

use std::path::{Path, PathBuf};

use config::Store;

use crate::root;

fn files(directory: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("docs can be read") {
        let path = entry.expect("docs can be read").path();
        if path.is_dir() {
            found.extend(files(&path, extensions));
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)) {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_example_in_the_documentation_loads_without_a_warning() {
    let examples = files(&root().join("docs"), &["yaml", "yml"]);
    assert!(!examples.is_empty(), "docs has examples");
    for example in examples {
        let checked = config::check(&example, &|_| None);
        assert!(checked.settings.is_some() && checked.report.findings.is_empty(), "{}", checked.report);
    }
}

/// Blocks of YAML in a Markdown text that are whole configs, not pieces of one.
fn configs_in(markdown: &str) -> Vec<String> {
    let blocks = markdown.split("```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    blocks.filter(|block| block.lines().any(|line| line == "version: 1")).map(str::to_owned).collect()
}

#[test]
fn every_config_in_a_page_of_the_documentation_is_one() {
    let mut pages = files(&root().join("docs"), &["md"]);
    pages.push(root().join("README.md"));
    for page in pages {
        for config in configs_in(&std::fs::read_to_string(&page).expect("docs can be read")) {
            let report = crate::check(&config).report;
            assert_eq!(report.errors, 0, "{}\n{report}", page.display());
        }
    }
}

#[test]
fn configs_are_found_in_pages() {
    let page = "a\n```yaml\nversion: 1\nrealm: a\n```\nb\n```yaml\nproxy: {}\n```\n```\nversion: 1\n```\n";
    assert_eq!(configs_in(page), ["version: 1\nrealm: a"]);
}

#[test]
fn the_example_says_what_the_demo_needs() {
    let path = root().join("docs/examples/countersign.yaml");
    let settings = config::load(&path, &|_| None).expect("the example loads");
    assert_eq!(settings.proxy.listen.to_string(), "127.0.0.1:18183");
    assert_eq!(settings.broker.issuer.as_str(), "http://127.0.0.1:18182/");
    assert_eq!(settings.sources[0].kind.issuer(), "http://127.0.0.1:18181");
    let sts = settings.endpoints.of("sts.us-east-1.amazonaws.com").map(url::Url::as_str);
    assert_eq!(sts, Some("http://127.0.0.1:18180/"));
    assert_eq!(settings.proxy.default_target.as_ref().map(access::TargetName::as_str), Some("everything"));
    let Store::File(file) = &settings.broker.store else { panic!("{:?}", settings.broker.store) };
    assert_eq!(*file, path.parent().expect("a directory").join("state/broker.db"));
}
