//! The API's description (OpenAPI 3.1), from the table of routes.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use utoipa::ToSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ComponentsBuilder, KnownFormat, ObjectBuilder, Ref, Schema, SchemaFormat, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, RefOr, Required};

use super::problem::MEDIA_TYPE;
use super::routes::{Endpoint, Shape, all};
use super::{PREFIX, Problem};
use crate::directory::MAX_PAGE;

const SECURITY: &str = "token";
const JSON: &str = "application/json";

/// The description, as JSON.
pub fn document() -> String {
    let mut described = Described::default();
    described.shape(Shape::of::<Problem>());
    let mut paths: BTreeMap<String, PathItem> = BTreeMap::new();
    for mut endpoint in all() {
        let path = format!("{PREFIX}{}", endpoint.path);
        let item = PathItem::new(method(&endpoint.method), described.operation(&mut endpoint));
        paths.entry(path).or_default().merge_operations(item);
    }
    let paths = paths.into_iter().fold(PathsBuilder::new(), |paths, (path, item)| paths.path(path, item));
    let api: OpenApi = OpenApiBuilder::new()
        .info(InfoBuilder::new().title("Countersign").version("1").description(Some(ABOUT)).build())
        .paths(paths)
        .components(Some(described.components()))
        .security(Some([SecurityRequirement::new::<_, [&str; 0], &str>(SECURITY, [])]))
        .build();
    let mut text = api.to_pretty_json().expect("a description has a JSON form");
    text.push('\n');
    text
}

const ABOUT: &str = "Directory and access of an organisation. Times are RFC 3339, in UTC. What goes wrong is told as RFC 9457 \
    has it. Every answer has an `x-request-id`, under which the audit shows the request.";

fn method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

/// The schemas that were referred to so far.
#[derive(Default)]
struct Described(BTreeMap<String, RefOr<Schema>>);

impl Described {
    /// Takes a body's schema and all that it refers to; returns the reference.
    fn shape(&mut self, shape: Shape) -> Ref {
        let Shape { name, schema, others } = shape;
        self.0.insert(name.clone(), schema);
        self.0.extend(others);
        Ref::from_schema_name(name)
    }

    fn components(self) -> utoipa::openapi::Components {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("csat_…").build();
        self.0
            .into_iter()
            .fold(ComponentsBuilder::new(), |components, (name, schema)| components.schema(name, schema))
            .security_scheme(SECURITY, SecurityScheme::Http(bearer))
            .build()
    }

    fn operation(&mut self, endpoint: &mut Endpoint) -> Operation {
        let (takes, (status, shape)) = (endpoint.takes.take(), (endpoint.gives.0, endpoint.gives.1.take()));
        let mut operation = OperationBuilder::new()
            .operation_id(Some(lower_first(endpoint.action)))
            .summary(Some(endpoint.summary))
            .tag(endpoint.path.split('/').nth(1).unwrap_or_default());
        for name in names(PREFIX).chain(names(endpoint.path)) {
            operation = operation.parameter(in_path(name));
        }
        for parameter in besides(endpoint) {
            operation = operation.parameter(parameter);
        }
        let has_body = takes.is_some();
        if let Some(shape) = takes {
            let content = Content::new(Some(self.shape(shape)));
            let body = RequestBodyBuilder::new().content(JSON, content).required(Some(Required::True)).build();
            operation = operation.request_body(Some(body));
        }
        operation = operation.response(status.as_str(), self.given(endpoint, shape));
        for status in failures(endpoint, has_body) {
            operation = operation.response(status.as_str(), problem(status));
        }
        operation.build()
    }

    fn given(&mut self, endpoint: &Endpoint, shape: Option<Shape>) -> Response {
        let mut response = ResponseBuilder::new().description(endpoint.summary);
        if let Some(shape) = shape {
            response = response.content(JSON, Content::new(Some(self.shape(shape))));
            if !endpoint.trait_of.is_conditional {
                return response.build();
            }
            let text = ObjectBuilder::new().schema_type(Type::String).build();
            let tag =
                HeaderBuilder::new().schema(Some(text)).description(Some("The version that is there now.")).build();
            response = response.header("ETag", tag);
        }
        response.build()
    }
}

fn lower_first(action: &str) -> String {
    let mut letters = action.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

/// The parameters that a path names.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn in_path(name: &str) -> ParameterBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let text = match name {
        "organisation" => text.pattern(Some("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")),
        "kind" => text.enum_values(Some(["principal", "group"])),
        _ => text.format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))),
    };
    ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True).schema(Some(text))
}

fn besides(endpoint: &Endpoint) -> Vec<ParameterBuilder> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let mut parameters = Vec::new();
    if endpoint.trait_of.is_list {
        let limit = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(MAX_PAGE));
        let limit =
            ParameterBuilder::new().name("limit").schema(Some(limit)).description(Some("How many at the most."));
        let cursor = ParameterBuilder::new().name("cursor").schema(Some(text()));
        let cursor = cursor.description(Some("`next` of the page before."));
        parameters.extend([limit, cursor].map(|it| it.parameter_in(ParameterIn::Query).required(Required::False)));
    }
    if endpoint.trait_of.is_conditional {
        let about = "The `ETag` of the version that is changed, or `*`.";
        let header = ParameterBuilder::new().name("If-Match").parameter_in(ParameterIn::Header).schema(Some(text()));
        parameters.push(header.required(Required::True).description(Some(about)));
    }
    if endpoint.trait_of.is_repeatable {
        let about = "With the same key, the same request gets the same answer for a day, and is done once.";
        let key = text().min_length(Some(1)).max_length(Some(255));
        let header = ParameterBuilder::new().name("Idempotency-Key").parameter_in(ParameterIn::Header);
        parameters.push(header.schema(Some(key)).required(Required::False).description(Some(about)));
    }
    parameters
}

/// What may go wrong.
fn failures(endpoint: &Endpoint, has_body: bool) -> Vec<StatusCode> {
    let mut failures = vec![StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
    if names(endpoint.path).next().is_some() {
        failures.push(StatusCode::NOT_FOUND);
    }
    if endpoint.trait_of.is_conditional {
        failures.extend([StatusCode::PRECONDITION_FAILED, StatusCode::PRECONDITION_REQUIRED]);
    }
    if has_body {
        failures.extend([StatusCode::CONFLICT, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNSUPPORTED_MEDIA_TYPE]);
    }
    if has_body || endpoint.trait_of.is_list {
        failures.push(StatusCode::UNPROCESSABLE_ENTITY);
    }
    failures.push(StatusCode::SERVICE_UNAVAILABLE);
    failures
}

fn problem(status: StatusCode) -> Response {
    let content = Content::new(Some(Ref::from_schema_name(Problem::name())));
    ResponseBuilder::new().description(status.canonical_reason().unwrap_or("")).content(MEDIA_TYPE, content).build()
}
