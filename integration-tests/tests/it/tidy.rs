//! House rules as tests: arrows point down, files say what they are for and stay small.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// Past this a file has a second noun.
const MAX_LINES: usize = 450;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    metadata: Tables,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Tables {
    floors: BTreeMap<String, Vec<String>>,
    rooms: BTreeMap<String, Vec<Vec<String>>>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    path: Option<PathBuf>,
}

fn metadata() -> Metadata {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs: it runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON of this shape")
}

impl Package {
    fn folder(&self) -> &str {
        let folder = self.manifest_path.parent().and_then(Path::file_name);
        folder.and_then(|name| name.to_str()).expect("a manifest is in a folder with a name")
    }
}

/// The floors from the lowest up. TOML tables have no order, so the order is said here, and the names there.
const FLOORS: [&str; 5] = ["words", "knowledge", "servers", "composition", "outside"];

#[test]
fn a_crate_imports_only_from_lower_floors() {
    let metadata = metadata();
    let floor = |folder: &str| {
        let holds = |name: &&str| metadata.metadata.floors[*name].iter().any(|f| f == folder);
        FLOORS.iter().position(holds).unwrap_or_else(|| panic!("{folder} stands on no floor"))
    };
    let folders: BTreeMap<_, _> = metadata.packages.iter().map(|p| (p.name.as_str(), p.folder())).collect();
    for package in &metadata.packages {
        for dependency in package.dependencies.iter().filter(|d| d.path.is_some()) {
            let (above, below) = (package.folder(), folders[dependency.name.as_str()]);
            assert!(floor(below) < floor(above), "{above} imports {below}, which is not on a lower floor");
        }
    }
}

#[test]
fn a_room_uses_only_lower_rooms_of_its_crate() {
    let metadata = metadata();
    for (folder, rooms) in &metadata.metadata.rooms {
        let height = |room: &str| rooms.iter().position(|floor| floor.iter().any(|r| r == room));
        for (path, text) in sources(&metadata.workspace_root.join(folder).join("src")) {
            let Some(above) = room_of(&path, folder).and_then(|room| height(&room)) else { continue };
            for used in text.lines().filter_map(|line| line.trim().strip_prefix("use crate::")) {
                let used = used.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
                let Some(below) = height(used) else { continue };
                let itself = room_of(&path, folder).as_deref() == Some(used);
                assert!(below < above || itself, "{}: uses crate::{used}, which is no lower room", path.display());
            }
        }
    }
}

fn room_of(path: &Path, folder: &str) -> Option<String> {
    let inside = path.to_str()?.split_once(&format!("/{folder}/src/"))?.1;
    Some(inside.split('/').next()?.trim_end_matches(".rs").to_owned())
}

#[test]
fn every_source_file_says_its_purpose_in_its_first_line_and_has_one_noun() {
    let root = metadata().workspace_root;
    let mut seen = 0;
    for package in metadata().packages {
        for (path, text) in sources(&root.join(package.folder())) {
            assert!(text.starts_with("//! "), "{}: the first line says the file's purpose (`//! …`)", path.display());
            let lines = text.lines().count();
            assert!(lines <= MAX_LINES, "{}: {lines} lines; what is the second noun?", path.display());
            seen += 1;
        }
    }
    assert!(seen > 40, "only {seen} files were read: the walk is broken");
}

#[test]
fn every_test_runs_and_no_production_code_has_a_door_for_tests() {
    let root = metadata().workspace_root;
    let (ignored, unfinished) = (concat!("#[ign", "ore"), [concat!("todo", "!("), concat!("unimpl", "emented!(")]);
    for package in metadata().packages {
        for (path, text) in sources(&root.join(package.folder())) {
            assert!(!text.contains(ignored), "{}: an ignored test proves nothing", path.display());
            assert!(!unfinished.iter().any(|u| text.contains(u)), "{}: unfinished", path.display());
        }
    }
}

/// The tables that have rows of several organisations, as the migrations make them.
fn tables_of_organisations(root: &Path) -> Vec<String> {
    let mut tables = Vec::new();
    for entry in std::fs::read_dir(root.join("broker/migrations/sqlite")).expect("migrations") {
        let text = std::fs::read_to_string(entry.expect("a file").path()).expect("a readable file");
        for made in text.split("CREATE TABLE ").skip(1) {
            let (name, columns) = made.split_once(" (").expect("columns follow the name");
            if columns.trim_start().starts_with("organisation ") {
                tables.push(name.to_owned());
            }
        }
    }
    tables
}

/// The texts in a source file that are statements, each with the pieces that a `\` at the end of a line joins.
fn statements(text: &str) -> Vec<String> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| line.to_owned() + "\n").collect();
    let (mut found, mut rest) = (Vec::new(), code.as_str());
    while let Some(begin) = rest.find('"') {
        let inside = &rest[begin + 1..];
        let mut escaped = false;
        let end = inside.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let Some(end) = end else { break };
        let words: Vec<_> = inside[..end].split_whitespace().filter(|word| *word != "\\").collect();
        if ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].iter().any(|verb| words.first() == Some(verb)) {
            found.push(words.join(" "));
        }
        rest = &inside[end + 1..];
    }
    found
}

#[test]
fn every_statement_says_whose_rows_it_is_about() {
    let root = metadata().workspace_root;
    let tables = tables_of_organisations(&root);
    assert!(tables.iter().any(|table| table == "users") && tables.len() > 15, "{tables:?}");
    let mut seen = 0;
    for (path, text) in sources(&root.join("broker/src")) {
        for statement in statements(&text) {
            let words: Vec<_> = statement.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            if !tables.iter().any(|table| words.contains(&table.as_str())) {
                continue;
            }
            seen += 1;
            let is_bound = statement.contains("organisation = $1") || statement.contains("(organisation,");
            assert!(is_bound, "{}: may read or write what is another organisation's: {statement}", path.display());
        }
    }
    assert!(seen > 60, "only {seen} statements were read: the walk is broken");
}

/// Every `.rs` file below `folder` with its text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of this repository") {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).expect("a readable file");
                found.push((path, text));
            }
        }
    }
    found
}
