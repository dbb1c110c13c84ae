//! What is taken back, for whoever follows.

use access::{Epoch, LeaseId, PrincipalId, TargetName};
use serde::{Deserialize, Serialize};

use super::{DirectoryError, Edit};
use crate::store::Reads;

/// What is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "recalled", rename_all = "snake_case", deny_unknown_fields)]
pub enum Recalled {
    /// Everything that somebody was given before an epoch.
    Principal {
        /// Whose.
        id: PrincipalId,
        /// What was given in an earlier one counts no more.
        epoch: Epoch,
    },
    /// What some hold has to be asked for again: the answer may be another one.
    Doubted {
        /// Who.
        ids: Vec<PrincipalId>,
    },
    /// One lease.
    Lease {
        /// Which.
        id: LeaseId,
    },
    /// What is held for some targets has to be asked for again: the rules have changed.
    Targets {
        /// Which; none: all.
        names: Vec<TargetName>,
    },
}

impl Edit {
    /// Lets those of these principals who hold something ask for it again, because of the event with this number.
    pub(super) async fn doubt(&mut self, seq: u64, ids: &[PrincipalId]) -> Result<(), DirectoryError> {
        const OPEN: &str = "SELECT DISTINCT principal FROM leases \
                            WHERE organisation = $1 AND until > $2 AND recalled IS NULL AND principal IN ";
        let open = self.sql(OPEN).bind(self.at()).list(ids.iter().map(|id| id.uuid()));
        let open = self.rows(open).await?;
        let ids = open.iter().map(|row| row.get("principal").map(PrincipalId::new)).collect::<Result<Vec<_>, _>>()?;
        if ids.is_empty() { Ok(()) } else { self.recall(seq, &Recalled::Doubted { ids }).await }
    }

    /// Lets everybody ask again for what they hold, because of the event with this number.
    pub(super) async fn doubt_all(&mut self, seq: u64) -> Result<(), DirectoryError> {
        self.recall(seq, &Recalled::Targets { names: Vec::new() }).await
    }

    /// Takes something back, because of the event with this number.
    pub(super) async fn recall(&mut self, seq: u64, recalled: &Recalled) -> Result<(), DirectoryError> {
        let what = serde_json::to_string(recalled)?;
        let insert = self.sql("INSERT INTO recalls (organisation, seq, at, what) VALUES ($1, $2, $3, $4)");
        let insert = insert.bind(seq).bind(self.at()).bind(what);
        self.execute(insert).await?;
        Ok(())
    }
}
