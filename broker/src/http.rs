//! Everything that the broker serves, on one listener.

use std::sync::Arc;

use axum::Router;

use crate::{Broker, api, issuer};

/// The issuer's documents and the API.
pub fn routes(broker: &Arc<Broker>) -> Router {
    issuer::routes(&broker.issuer()).merge(api::router(broker))
}
