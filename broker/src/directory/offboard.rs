//! Cutting somebody off, and letting them in again.

use access::{Epoch, PrincipalId};
use lease::Recalled;

use super::{DirectoryError, Edit};
use crate::audit::What;
use crate::store::Reads;

/// Whether somebody may do anything, and in which epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footing {
    pub(super) is_active: bool,
    pub(super) epoch: Epoch,
}

impl Edit {
    pub(super) async fn footing(&mut self, id: PrincipalId) -> Result<Footing, DirectoryError> {
        let read = self.sql("SELECT is_active, epoch FROM principals WHERE organisation = $1 AND id = $2");
        let row = self.row(read.bind(id.uuid())).await?.ok_or(DirectoryError::NotFound("principal"))?;
        Ok(Footing { is_active: row.get("is_active")?, epoch: Epoch::new(row.get("epoch")?) })
    }

    /// Cuts somebody off: nothing that was given before counts from now on, on any path. `what` tells of it, in the epoch
    /// that begins.
    pub(super) async fn cut_off(
        &mut self,
        id: PrincipalId,
        what: impl FnOnce(Epoch) -> What + Send,
    ) -> Result<Epoch, DirectoryError> {
        const LEASES: &str = "UPDATE leases SET recalled = $3 \
                              WHERE organisation = $1 AND principal = $2 AND recalled IS NULL AND until > $3";
        let epoch = self.begin_epoch(id, false).await?;
        let seq = self.tell(what(epoch))?;
        let leases = self.sql(LEASES).bind(id.uuid()).bind(self.at());
        self.execute(leases).await?;
        self.recall(seq, &Recalled::Principal { id, epoch }).await?;
        Ok(epoch)
    }

    /// Lets somebody in again. What was cut off stays cut off.
    pub(super) async fn let_in(&mut self, id: PrincipalId) -> Result<Epoch, DirectoryError> {
        self.begin_epoch(id, true).await
    }

    async fn begin_epoch(&mut self, id: PrincipalId, is_active: bool) -> Result<Epoch, DirectoryError> {
        let next = self.footing(id).await?.epoch.next();
        let update = self.sql("UPDATE principals SET is_active = $3, epoch = $4 WHERE organisation = $1 AND id = $2");
        self.execute(update.bind(id.uuid()).bind(is_active).bind(next.number())).await?;
        Ok(next)
    }
}
