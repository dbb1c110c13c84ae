//! What the endpoint says of itself: `/Schemas`, `/ResourceTypes` and `/ServiceProviderConfig` (RFC 7643 §5–8).
//!
//! All of it comes from the tables in [`super::schema`], as does [`reference()`], the page for people.

use serde_json::{Map, Value, json};

use super::bulk;
use super::list::{DEFAULT_PAGE, MAX_PAGE};
use super::schema::{
    Attribute, Case, Count, Kind, RESOURCE_TYPE, RESOURCE_TYPES, ResourceType, SCHEMA, SCHEMAS,
    SERVICE_PROVIDER_CONFIG, Schema,
};

mod reference;

pub use reference::reference;

/// Every schema; `base` is where the endpoint is: `https://broker.example/scim/v2/acme`.
pub fn schemas(base: &str) -> Vec<Value> {
    SCHEMAS.iter().map(|schema| schema.to_json(base)).collect()
}

/// The schema with that URI.
pub fn schema(base: &str, urn: &str) -> Option<Value> {
    SCHEMAS.iter().find(|schema| urn.eq_ignore_ascii_case(schema.urn)).map(|schema| schema.to_json(base))
}

/// Every kind of resource.
pub fn resource_types(base: &str) -> Vec<Value> {
    RESOURCE_TYPES.iter().map(|of| of.to_json(base)).collect()
}

/// The kind of resource that is called so.
pub fn resource_type(base: &str, name: &str) -> Option<Value> {
    RESOURCE_TYPES.iter().find(|of| name == of.name).map(|of| of.to_json(base))
}

/// What the endpoint can do.
pub fn service_provider_config(base: &str) -> Value {
    let supported = |supported: bool| json!({ "supported": supported });
    json!({
        "schemas": [SERVICE_PROVIDER_CONFIG.urn],
        "patch": supported(true),
        "bulk": { "supported": true, "maxOperations": bulk::MAX_OPERATIONS, "maxPayloadSize": bulk::MAX_BYTES },
        "filter": { "supported": true, "maxResults": MAX_PAGE },
        "changePassword": supported(false),
        "sort": supported(true),
        "etag": supported(true),
        "pagination": {
            "cursor": true, "index": true, "defaultPaginationMethod": "index",
            "defaultPageSize": DEFAULT_PAGE, "maxPageSize": MAX_PAGE,
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token made for this endpoint, or one that the organisation's token endpoint has issued",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
        }],
        "meta": { "resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig") },
    })
}

impl Schema {
    fn to_json(&self, base: &str) -> Value {
        json!({
            "schemas": [SCHEMA.urn],
            "id": self.urn,
            "name": self.name,
            "description": self.description,
            "attributes": self.attributes.iter().copied().map(Attribute::told).collect::<Vec<_>>(),
            "meta": { "resourceType": "Schema", "location": format!("{base}/Schemas/{}", self.urn) },
        })
    }
}

impl Attribute {
    fn told(self) -> Value {
        let mut told = json!({
            "name": self.name,
            "type": self.kind.as_str(),
            "multiValued": self.count == Count::Many,
            "description": self.description,
            "required": self.required,
            "caseExact": self.case == Case::Exact,
            "mutability": self.mutability.as_str(),
            "returned": self.returned.as_str(),
            "uniqueness": self.uniqueness.as_str(),
        });
        if !self.canonical.is_empty() {
            told["canonicalValues"] = json!(self.canonical);
        }
        match self.kind {
            Kind::Reference(to) => told["referenceTypes"] = json!(to),
            Kind::Complex(parts) => told["subAttributes"] = parts.iter().copied().map(Self::told).collect(),
            Kind::Text | Kind::Flag | Kind::Integer | Kind::Instant | Kind::Binary => {}
        }
        told
    }
}

impl ResourceType {
    fn to_json(&self, base: &str) -> Value {
        let mut told = Map::new();
        told.insert("schemas".to_owned(), json!([RESOURCE_TYPE.urn]));
        told.insert("id".to_owned(), self.name.into());
        told.insert("name".to_owned(), self.name.into());
        told.insert("description".to_owned(), self.description.into());
        told.insert("endpoint".to_owned(), self.endpoint.into());
        told.insert("schema".to_owned(), self.schema.urn.into());
        if !self.extensions.is_empty() {
            let extensions = self.extensions.iter().map(|schema| json!({ "schema": schema.urn, "required": false }));
            told.insert("schemaExtensions".to_owned(), extensions.collect());
        }
        let location = format!("{base}/ResourceTypes/{}", self.name);
        told.insert("meta".to_owned(), json!({ "resourceType": "ResourceType", "location": location }));
        Value::Object(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://broker.example/scim/v2/acme";

    /// Whether a JSON object is what a schema says: it has what is required, and nothing that is not told of.
    fn fits(value: &Value, attributes: &[Attribute], place: &str) {
        let object = value.as_object().unwrap_or_else(|| panic!("{place} is an object"));
        for (name, value) in object.iter().filter(|(name, _)| !["schemas", "id", "meta"].contains(&name.as_str())) {
            let attribute = attributes.iter().find(|attribute| attribute.name == name);
            // The schema of schemas has parts of parts, which the standard lists no deeper.
            if let (None, "subAttributes", Some(parts)) = (attribute, name.as_str(), value.as_array()) {
                parts.iter().for_each(|part| fits(part, attributes, place));
                continue;
            }
            let attribute = attribute.unwrap_or_else(|| panic!("{place}.{name} stands in no schema"));
            let values = if attribute.count == Count::Many {
                value.as_array().expect(name).clone()
            } else {
                vec![value.clone()]
            };
            for value in values {
                match attribute.kind {
                    Kind::Complex(parts) => fits(&value, parts, &format!("{place}.{name}")),
                    Kind::Flag => assert!(value.is_boolean(), "{place}.{name}"),
                    Kind::Integer => assert!(value.is_i64(), "{place}.{name}"),
                    Kind::Text | Kind::Reference(_) | Kind::Binary | Kind::Instant => {
                        assert!(value.is_string(), "{place}.{name}");
                    }
                }
            }
        }
        for required in attributes.iter().filter(|attribute| attribute.required) {
            assert!(object.contains_key(required.name), "{place}.{} is required", required.name);
        }
    }

    #[test]
    fn what_is_told_is_what_its_own_schema_says() {
        fits(&service_provider_config(BASE), SERVICE_PROVIDER_CONFIG.attributes, "ServiceProviderConfig");
        resource_types(BASE).iter().for_each(|told| fits(told, RESOURCE_TYPE.attributes, "ResourceType"));
        schemas(BASE).iter().for_each(|told| fits(told, SCHEMA.attributes, "Schema"));
    }

    #[test]
    fn every_schema_that_is_referred_to_is_told_of() {
        for of in resource_types(BASE) {
            assert!(schema(BASE, of["schema"].as_str().unwrap()).is_some());
            for extension in of["schemaExtensions"].as_array().into_iter().flatten() {
                assert!(schema(BASE, &extension["schema"].as_str().unwrap().to_uppercase()).is_some());
            }
            assert_eq!(resource_type(BASE, of["id"].as_str().unwrap()), Some(of));
        }
        assert_eq!((schema(BASE, "urn:x"), resource_type(BASE, "user")), (None, None));
    }

    #[test]
    fn nothing_that_is_told_is_null() {
        let told = json!([schemas(BASE), resource_types(BASE), service_provider_config(BASE)]).to_string();
        assert!(!told.contains("null"), "Entra reads no nulls there");
    }
}
