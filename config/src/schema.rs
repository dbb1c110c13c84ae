//! The JSON Schema of the config file and the reference page, both out of the raw types.

mod page;

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::raw::Config;

pub use page::reference;

/// The JSON Schema (2020-12) of the config file, for editors and for tools that write configs.
///
/// It says what may be written where; what refers to what, and which values make sense, only [`crate::check`] tells.
pub fn schema() -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Config>();
    let mut schema = schema.to_value();
    without_null(&mut schema);
    if let Value::Object(root) = &mut schema {
        root.insert("title".to_owned(), json!("Countersign config"));
    }
    schema
}

/// An optional key is left out; nothing may be written as `null`, which an unfinished line would be.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(object) => {
            object.values_mut().for_each(without_null);
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = &types[..] {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(alternatives)) = object.get_mut("anyOf") {
                alternatives.retain(|schema| *schema != json!({ "type": "null" }));
                if let [Value::Object(only)] = &mut alternatives[..] {
                    let only = std::mem::take(only);
                    object.shift_remove("anyOf");
                    object.extend(only);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
