//! Founding organisations.

use access::{DisplayName, OrganisationName};
use jiff::Timestamp;

use super::DirectoryError;
use crate::audit::{By, Change, Hash, OrganisationCreated, What};
use crate::store::{Organisation, Store};

impl Organisation {
    /// Founds another organisation in a store. What it has is its own from its first event on.
    pub(crate) async fn found(
        store: &Store,
        (slug, name): (&OrganisationName, &DisplayName),
        by: By,
        now: Timestamp,
    ) -> Result<Self, DirectoryError> {
        let beginning = |id| Hash::beginning_of(id).into();
        let founded = store.found((slug.as_str(), name.as_str()), now, beginning).await?;
        let (organisation, writing) = founded.ok_or(DirectoryError::Taken { what: "organisation", field: "slug" })?;
        let mut change = Change::within(writing, &organisation, now).await?;
        let (slug, name) = (slug.clone(), name.clone());
        let created = OrganisationCreated { by, organisation: organisation.id(), slug, name };
        change.tell(What::OrganisationCreated(created))?;
        change.commit().await?;
        Ok(organisation)
    }
}
