//! What was answered to requests that may come again.

use access::PrincipalId;
use jiff::Timestamp;

use super::{DirectoryError, Edit};
use crate::store::Reads;

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// SHA-256 of the request that it was given to.
    pub request: Vec<u8>,
    /// Its HTTP status.
    pub status: u16,
    /// Its body, JSON.
    pub body: String,
    /// The version of what it showed.
    pub version: u64,
}

impl Edit {
    /// What was answered to this key of a principal's.
    pub async fn answer(&mut self, of: PrincipalId, key: &str) -> Result<Option<Answer>, DirectoryError> {
        const READ: &str = "SELECT request, status, body, version FROM answers \
                            WHERE organisation = $1 AND principal = $2 AND idempotency = $3 AND expires > $4";
        let read = self.sql(READ).bind(of.uuid()).bind(key).bind(self.at());
        let Some(row) = self.row(read).await? else { return Ok(None) };
        let status = u16::try_from(row.get::<u64>("status")?).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Some(Answer { request: row.get("request")?, status, body: row.get("body")?, version: row.get("version")? }))
    }

    /// Keeps an answer until some time, in place of one that has ended.
    pub async fn keep_answer(
        &mut self,
        (of, key): (PrincipalId, &str),
        answer: &Answer,
        until: Timestamp,
    ) -> Result<(), DirectoryError> {
        let ended = self.sql("DELETE FROM answers WHERE organisation = $1 AND expires <= $2").bind(self.at());
        self.execute(ended).await?;
        let keep = self.sql(
            "INSERT INTO answers (organisation, principal, idempotency, request, status, body, version, expires) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        );
        let keep = keep.bind(of.uuid()).bind(key).bind(&answer.request[..]).bind(u64::from(answer.status));
        self.execute(keep.bind(&answer.body).bind(answer.version).bind(until)).await?;
        Ok(())
    }
}
