//! The table of what is lent.

use access::Lease;

use super::{Organisation, Sql};

/// Writes a lease down, beside the event that tells of it.
pub(crate) fn insert(of: &Organisation, lease: &Lease, (credential_id, event): (&str, u64)) -> Sql {
    let permit = lease.permit();
    let insert = of.sql(
        "INSERT INTO leases (organisation, id, event, caller, issuer, target, grant_name, credential_id, issued, until, \
         principal, epoch) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    );
    let insert = insert.bind(lease.id().uuid()).bind(event);
    let insert = insert.bind(&permit.caller().subject).bind(&permit.caller().issuer);
    let insert = insert.bind(permit.target().name.as_str()).bind(permit.grant().name.as_str()).bind(credential_id);
    let insert = insert.bind(lease.issued()).bind(lease.until());
    let principal = permit.caller().principal.as_deref();
    insert.bind(principal.map(|it| it.id.uuid())).bind(principal.map(|it| it.epoch.number()))
}
