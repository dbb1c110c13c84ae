//! The REST API, `/api/v1`: an organisation's directory, and whatever else administrators and their programs need.
//!
//! Every route is a row of [`routes::all`]: method, path, action, what it takes and gives, what serves it. From that one
//! table come the router, the OpenAPI description and the list that the tests walk. A request passes `gate` first: who
//! asks, and may they? What serves it gets an `Authorised`, the only way to an organisation in here.

mod authorised;
mod body;
mod gate;
mod groups;
mod openapi;
mod problem;
mod query;
mod repeated;
mod roles;
mod routes;
mod tokens;
mod users;
mod version;
mod workloads;

use std::sync::Arc;

use axum::Router;
use axum::routing::MethodRouter;

use crate::Broker;

pub(crate) use authorised::Authorised;
pub use openapi::document;
pub(crate) use problem::Problem;
pub use routes::{Endpoint, all};

/// Where all of it is.
const PREFIX: &str = "/api/v1/organisations/{organisation}";

/// What serves requests.
pub(crate) type Api = Arc<Broker>;

/// The routes, to be served. Whatever is not one of them is a problem too (RFC 9457).
pub fn router(broker: &Arc<Broker>) -> Router {
    let mut router: Router<Api> = Router::new();
    for endpoint in all() {
        let gated = endpoint.handler.route_layer(axum::middleware::from_fn_with_state(
            gate::Gate { broker: broker.clone(), action: endpoint.action },
            gate::gate,
        ));
        router = router.route(&format!("{PREFIX}{}", endpoint.path), gated);
    }
    router
        .method_not_allowed_fallback(problem::no_such_method)
        .with_state(broker.clone())
        .fallback(problem::no_such_path)
}

/// What serves one method of one path.
type Handler = MethodRouter<Api>;
