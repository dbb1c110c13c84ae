//! The table of what is lent.

use access::Lease;
use sqlx::SqliteConnection;

/// Writes a lease down, beside the event that tells of it.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    lease: &Lease,
    credential_id: &str,
    event: u64,
) -> Result<(), sqlx::Error> {
    let permit = lease.permit();
    sqlx::query(
        "INSERT INTO leases (id, event, caller, issuer, target, grant_name, credential_id, issued, until) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(lease.id().to_string())
    .bind(event.cast_signed())
    .bind(&permit.caller().subject)
    .bind(&permit.caller().issuer)
    .bind(permit.target().name.as_str())
    .bind(permit.grant().name.as_str())
    .bind(credential_id)
    .bind(lease.issued().as_microsecond())
    .bind(lease.until().as_microsecond())
    .execute(connection)
    .await?;
    Ok(())
}
