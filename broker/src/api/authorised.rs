//! Who asks and may: the value that only the gate makes.

use std::sync::Arc;

use access::{Permit, PrincipalId, RequestId};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use jiff::Timestamp;

use super::Problem;
use crate::audit::{By, Subject};
use crate::directory::{DirectoryError, Edit};
use crate::store::Organisation;

/// Somebody who may do what the request asks for. Whoever has it has the organisation, and nothing else leads there.
#[derive(Debug, Clone)]
pub(crate) struct Authorised(Arc<Granted>);

#[derive(Debug)]
struct Granted {
    organisation: Organisation,
    permit: Permit,
    by: By,
    principal: PrincipalId,
    now: Timestamp,
}

impl Authorised {
    /// What the gate found. The permit says that the request may be served.
    pub(super) fn new(
        organisation: Organisation,
        permit: Permit,
        (principal, request): (access::Named<PrincipalId>, RequestId),
        now: Timestamp,
    ) -> Self {
        let access::Named { id, name } = principal;
        let by = By { subject: Subject::Principal { id, name }, request: Some(request) };
        Self(Arc::new(Granted { organisation, permit, by, principal: id, now }))
    }

    /// What it is about.
    pub(crate) fn organisation(&self) -> &Organisation {
        &self.0.organisation
    }

    /// Who asks.
    pub(crate) fn principal(&self) -> PrincipalId {
        self.0.principal
    }

    /// What lets it.
    pub(crate) fn permit(&self) -> &Permit {
        &self.0.permit
    }

    /// When it was asked.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.now
    }

    /// Begins to change something.
    pub(crate) async fn edit(&self) -> Result<Edit, DirectoryError> {
        Edit::begin(&self.0.organisation, self.0.by.clone(), self.0.now).await
    }
}

impl<S: Sync> FromRequestParts<S> for Authorised {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let authorised = parts.extensions.get::<Self>().cloned();
        authorised.ok_or_else(|| Problem::unauthenticated("nobody was asked who this is"))
    }
}
