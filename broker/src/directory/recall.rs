//! What is taken back, for whoever follows.

use access::PrincipalId;
use lease::{Heard, Position, Recalled};

use super::{DirectoryError, Edit};
use crate::store::{Organisation, Reads};

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
        self.has_recalled();
        Ok(())
    }
}

/// The most that a follower hears at once.
const MOST: u32 = 1_000;

impl Organisation {
    /// Where a follower begins that holds nothing yet.
    pub(crate) async fn recalls_now(&self) -> Result<Position, DirectoryError> {
        let head = self.row(self.sql("SELECT events FROM heads WHERE organisation = $1")).await?;
        Ok(Position(head.ok_or(sqlx::Error::RowNotFound)?.get("events")?))
    }

    /// What was taken back after a position. Events are numbered in the order in which they are committed, so nothing with a
    /// smaller number comes later.
    pub(crate) async fn recalls_after(&self, Position(after): Position) -> Result<Heard, DirectoryError> {
        const NEXT: &str = "SELECT seq, what FROM recalls WHERE organisation = $1 AND seq > $2 ORDER BY seq LIMIT $3";
        let rows = self.rows(self.sql(NEXT).bind(after).bind(MOST)).await?;
        let mut heard = Heard { position: Position(after), recalled: Vec::with_capacity(rows.len()) };
        for row in &rows {
            let what: String = row.get("what")?;
            heard.recalled.push(serde_json::from_str(&what)?);
            heard.position = Position(row.get("seq")?);
        }
        Ok(heard)
    }
}
