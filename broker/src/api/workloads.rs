//! `/workloads`: programs, by what their platform says about them.

use std::collections::BTreeMap;

use access::{DisplayName, Pattern, PrincipalId, SourceName, Workload as KnownBy};
use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::Body;
use super::query::{List, Paging};
use super::repeated::Repeatable;
use super::routes::Endpoint;
use super::version::{IfMatch, Versioned};
use super::{Authorised, Problem};
use crate::directory::{Edit, Effective, Version, Workload, WorkloadProfile};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new((Method::GET, "/workloads"), "ListWorkloads", list)
            .says("Programs, in the order in which they came.")
            .lists::<WorkloadView>(),
        Endpoint::new((Method::POST, "/workloads"), "CreateWorkload", create)
            .says("Takes a program in.")
            .takes::<WorkloadWritten>()
            .gives::<WorkloadView>(StatusCode::CREATED)
            .repeatable(),
        Endpoint::new((Method::GET, "/workloads/{workload}"), "GetWorkload", get)
            .says("A program.")
            .gives::<WorkloadView>(StatusCode::OK),
        Endpoint::new((Method::PUT, "/workloads/{workload}"), "UpdateWorkload", replace)
            .says("Says something else about a program. One that is made inactive is cut off from everything with it.")
            .takes::<WorkloadWritten>()
            .gives::<WorkloadView>(StatusCode::OK)
            .conditional(),
        Endpoint::new((Method::DELETE, "/workloads/{workload}"), "DeleteWorkload", delete)
            .says("Takes a program out, and cuts it off from everything. Its id stays taken for ever.")
            .conditional(),
        Endpoint::new((Method::POST, "/workloads/{workload}/deactivate"), "DeactivateWorkload", deactivate)
            .says("Cuts a program off from everything, now. It stays in the directory.")
            .gives::<WorkloadView>(StatusCode::OK),
        Endpoint::new((Method::GET, "/workloads/{workload}/permissions"), "GetWorkloadPermissions", permissions)
            .says("What a program may do, and how each permission comes about.")
            .gives::<Effective>(StatusCode::OK),
    ]
}

/// What is said about a program.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkloadWritten {
    /// Its name; no other program may have it, in whatever letter case.
    #[schema(value_type = String, min_length = 1, max_length = 256, example = "checkout")]
    name: DisplayName,
    /// Which source tells of it.
    #[schema(value_type = String, min_length = 1, max_length = 64, example = "shop-pods")]
    source: SourceName,
    /// What the source must say: attribute names and patterns, at least one.
    #[schema(value_type = BTreeMap<String, String>, example = json!({"service_account": "checkout"}))]
    attributes: BTreeMap<String, Pattern>,
    /// Whether it may do anything.
    #[serde(default = "yes")]
    #[schema(default = true)]
    active: bool,
}

const fn yes() -> bool {
    true
}

/// A program.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WorkloadView {
    /// What never changes, and no other ever gets.
    id: Uuid,
    /// Its name.
    name: String,
    /// Which source tells of it.
    source: String,
    /// What the source must say.
    attributes: BTreeMap<String, String>,
    /// Whether it may do anything.
    active: bool,
    /// How often it was cut off or let in again.
    epoch: u64,
    /// When it came.
    #[schema(value_type = String, format = "date-time")]
    created: Timestamp,
    /// When something of this changed.
    #[schema(value_type = String, format = "date-time")]
    modified: Timestamp,
    /// How often that was; the `ETag`.
    version: u64,
}

impl WorkloadWritten {
    fn profile(self) -> Result<WorkloadProfile, Problem> {
        let Self { name, source, attributes, .. } = self;
        let known_by = KnownBy::new(source, attributes);
        let known_by =
            known_by.map_err(|error| Problem::invalid(error.to_string()).at("/attributes", error.to_string()))?;
        Ok(WorkloadProfile { name, known_by })
    }
}

impl From<Workload> for WorkloadView {
    fn from(workload: Workload) -> Self {
        let WorkloadProfile { name, known_by } = workload.profile;
        let attributes = known_by.attributes().iter().map(|(name, pattern)| (name.clone(), pattern.to_string()));
        Self {
            id: workload.id.uuid(),
            name: name.to_string(),
            source: known_by.source().to_string(),
            attributes: attributes.collect(),
            active: workload.is_active,
            epoch: workload.epoch.number(),
            created: workload.created,
            modified: workload.modified,
            version: workload.version,
        }
    }
}

fn shown(workload: Workload) -> Versioned<WorkloadView> {
    Versioned::found(workload.version, workload.into())
}

/// An id in a path. What is none is no program's.
fn id((_, workload): (String, String)) -> Result<PrincipalId, Problem> {
    workload.parse().map(PrincipalId::new).map_err(|_| Problem::not_found("there is no such workload"))
}

async fn list(authorised: Authorised, paging: Paging) -> Result<Json<List<WorkloadView>>, Problem> {
    let workloads = authorised.organisation().workloads(paging.after.map(PrincipalId::new), paging.limit).await?;
    Ok(Json(List::of(workloads, WorkloadView::from)))
}

async fn create(
    authorised: Authorised,
    repeatable: Repeatable,
    Body { value, bytes }: Body<WorkloadWritten>,
) -> Result<Response, Problem> {
    let is_active = value.active;
    let profile = value.profile()?;
    let work = async |edit: &mut Edit| {
        let mut workload = edit.create_workload(profile).await?;
        if !is_active {
            let profile = workload.profile.clone();
            workload = edit.change_workload((workload.id, Version::Any), profile, false).await?;
        }
        Ok(Versioned::created(workload.version, WorkloadView::from(workload)))
    };
    repeatable.once((&authorised, &bytes), work).await
}

async fn get(authorised: Authorised, headers: HeaderMap, path: Path<(String, String)>) -> Result<Response, Problem> {
    let workload = authorised.organisation().workload(id(path.0)?).await?;
    Ok(shown(workload).unless_known(&headers))
}

async fn replace(
    authorised: Authorised,
    IfMatch(version): IfMatch,
    path: Path<(String, String)>,
    Body { value, .. }: Body<WorkloadWritten>,
) -> Result<Versioned<WorkloadView>, Problem> {
    let (id, is_active) = (id(path.0)?, value.active);
    let mut edit = authorised.edit().await?;
    let workload = edit.change_workload((id, version), value.profile()?, is_active).await?;
    edit.commit().await?;
    Ok(shown(workload))
}

async fn delete(
    authorised: Authorised,
    IfMatch(version): IfMatch,
    path: Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let id = id(path.0)?;
    let mut edit = authorised.edit().await?;
    edit.delete_workload(id, version).await?;
    edit.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn deactivate(authorised: Authorised, path: Path<(String, String)>) -> Result<Versioned<WorkloadView>, Problem> {
    let id = id(path.0)?;
    let mut edit = authorised.edit().await?;
    let before = edit.workload(id).await?;
    let workload = edit.change_workload((id, Version::Any), before.profile, false).await?;
    edit.commit().await?;
    Ok(shown(workload))
}

async fn permissions(authorised: Authorised, path: Path<(String, String)>) -> Result<Json<Effective>, Problem> {
    let organisation = authorised.organisation();
    let workload = organisation.workload(id(path.0)?).await?;
    Ok(Json(organisation.effective(workload.id).await?))
}
