//! The table of everything that the API does.

use axum::handler::Handler as Serves;
use axum::http::{Method, StatusCode};
use axum::routing::{MethodFilter, on};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Ref, Schema, Type};

use super::{Api, Handler, groups, roles, tokens, users, workloads};

/// One method of one path.
pub struct Endpoint {
    /// The HTTP method.
    pub method: Method,
    /// The path below `/api/v1/organisations/{organisation}`.
    pub path: &'static str,
    /// What it does, in the words of grants and of the audit: `countersign:` is put before it.
    pub action: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    pub(super) takes: Option<Shape>,
    pub(super) gives: (StatusCode, Option<Shape>),
    pub(super) trait_of: Traits,
    pub(super) handler: Handler,
}

/// A body: its name, how to describe it, and everything that it refers to.
pub(super) struct Shape {
    pub(super) name: String,
    pub(super) schema: RefOr<Schema>,
    pub(super) others: Vec<(String, RefOr<Schema>)>,
}

impl Shape {
    pub(super) fn of<T: ToSchema>() -> Self {
        let mut others = Vec::new();
        T::schemas(&mut others);
        Self { name: T::name().into_owned(), schema: T::schema(), others }
    }

    /// A page of a list of these.
    fn list_of<T: ToSchema>() -> Self {
        let Self { name, schema, mut others } = Self::of::<T>();
        let items = ArrayBuilder::new().items(Ref::from_schema_name(&name));
        let items = items.description(Some("What is on this page, in the order in which it came."));
        let next = ObjectBuilder::new().schema_type(Type::String);
        let next = next.description(Some("The `cursor` of the next page; none: this is the last."));
        let list = ObjectBuilder::new().property("items", items).required("items").property("next", next);
        others.push((name.clone(), schema));
        Self { name: format!("{name}List"), schema: list.build().into(), others }
    }
}

/// What a route has besides.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Traits {
    /// A list, a page at a time.
    pub(super) is_list: bool,
    /// Changes a version: `If-Match` is needed.
    pub(super) is_conditional: bool,
    /// May come again under an `Idempotency-Key`.
    pub(super) is_repeatable: bool,
}

/// Everything that the API does.
pub fn all() -> Vec<Endpoint> {
    let rooms =
        [users::endpoints(), groups::endpoints(), roles::endpoints(), workloads::endpoints(), tokens::endpoints()];
    rooms.into_iter().flatten().collect()
}

impl Endpoint {
    pub(super) fn new<H, T>((method, path): (Method, &'static str), action: &'static str, handler: H) -> Self
    where
        H: Serves<T, Api>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("a method that HTTP knows");
        Self {
            method,
            path,
            action,
            summary: "",
            takes: None,
            gives: (StatusCode::NO_CONTENT, None),
            trait_of: Traits::default(),
            handler: on(filter, handler),
        }
    }

    /// What it does, in a sentence.
    pub(super) const fn says(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    /// What it takes.
    pub(super) fn takes<T: ToSchema>(mut self) -> Self {
        self.takes = Some(Shape::of::<T>());
        self
    }

    /// What it gives.
    pub(super) fn gives<T: ToSchema>(mut self, status: StatusCode) -> Self {
        self.gives = (status, Some(Shape::of::<T>()));
        self
    }

    /// It gives a list of these, a page at a time.
    pub(super) fn lists<T: ToSchema>(mut self) -> Self {
        self.gives = (StatusCode::OK, Some(Shape::list_of::<T>()));
        self.trait_of.is_list = true;
        self
    }

    /// It changes a version.
    pub(super) const fn conditional(mut self) -> Self {
        self.trait_of.is_conditional = true;
        self
    }

    /// It may come again.
    pub(super) const fn repeatable(mut self) -> Self {
        self.trait_of.is_repeatable = true;
        self
    }
}
