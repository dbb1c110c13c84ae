//! The reference page: every key, its type, its default and its meaning, as Markdown.

use serde_json::{Map, Value};

/// The reference page, out of the same types that read the file.
pub fn reference() -> String {
    let schema = super::schema();
    let mut page = String::from(
        "# The config file\n\n\
         <!-- Generated from the types that read it: UPDATE_GOLDEN=1 cargo test -p countersign-config -->\n\n\
         One YAML 1.2 file. Keys that are not listed here are errors, and all errors are told at once.\n\
         Paths are relative to the file. A JSON Schema for editors: [config.schema.json](config.schema.json).\n\n",
    );
    section(&mut page, ("The top", &schema));
    for (name, definition) in schema.get("$defs").and_then(Value::as_object).into_iter().flatten() {
        section(&mut page, (name, definition));
    }
    page
}

fn section(page: &mut String, (name, schema): (&str, &Value)) {
    page.push_str(&format!("## {name}\n\n{}\n\n", text(schema, "description")));
    if let Some(alternatives) = schema.get("anyOf").and_then(Value::as_array) {
        for alternative in alternatives {
            let meaning = lower_first(&text(alternative, "description"));
            page.push_str(&format!("- {}: {meaning}\n", kind(alternative)));
        }
        page.push('\n');
    }
    let Some(keys) = schema.get("properties").and_then(Value::as_object) else { return };
    table(page, keys, &required(schema));
}

fn table(page: &mut String, keys: &Map<String, Value>, required: &[&str]) {
    page.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
    for (key, schema) in keys {
        let default = match schema.get("default") {
            Some(Value::String(default)) => format!("`{default}`"),
            Some(default) => format!("`{default}`"),
            None if required.contains(&key.as_str()) => "required".to_owned(),
            None => String::new(),
        };
        let meaning = text(schema, "description").replace('|', "\\|");
        page.push_str(&format!("| `{key}` | {} | {default} | {meaning} |\n", kind(schema)));
    }
    page.push('\n');
}

fn required(schema: &Value) -> Vec<&str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A type in words, with links to the sections of others.
fn kind(schema: &Value) -> String {
    if let Some(constant) = schema.get("const") {
        return format!("`{}`", constant.as_str().map_or_else(|| constant.to_string(), str::to_owned));
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix("#/$defs/")) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => "text".to_owned(),
        Some("integer") => "number".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("array") => format!("list of {}", schema.get("items").map(kind).unwrap_or_default()),
        Some("object") => match schema.get("additionalProperties") {
            Some(values @ Value::Object(_)) => format!("map of name to {}", kind(values)),
            _ => "map".to_owned(),
        },
        _ => "see below".to_owned(),
    }
}

fn text(schema: &Value, key: &str) -> String {
    schema.get(key).and_then(Value::as_str).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
