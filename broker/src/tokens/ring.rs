//! The signing keys that are there, and the transaction that changes them.

use std::sync::Arc;

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::KeysError;
use super::key::{PublicKey, SigningKey};
use super::rotation::{MAX_PUBLISHED, Plan, Times};
use super::seal::Seal;
use crate::audit::{KeyActivated, KeyCreated, KeyRetired, Pen, What};
use crate::store::{Store, Writing, time};

/// Keys in the order of their activation.
#[derive(Debug, Default)]
pub(super) struct Ring(Vec<(Times, Arc<SigningKey>)>);

impl Ring {
    pub(super) fn times(&self) -> Vec<Times> {
        self.0.iter().map(|(times, _)| *times).collect()
    }

    /// The key that signs at `now`.
    pub(super) fn signing(&self, now: Timestamp) -> Option<&SigningKey> {
        Plan::signing(&self.times(), now).map(|index| &*self.0[index].1)
    }

    /// The keys that verifiers may meet at `now`, the newest first.
    pub(super) fn published(&self, plan: &Plan, now: Timestamp) -> Vec<PublicKey> {
        let times = self.times();
        let published = (0..times.len()).rev().filter(|&index| plan.publishes(&times, index, now));
        published.map(|index| self.0[index].1.public().clone()).take(MAX_PUBLISHED).collect()
    }
}

/// How many keys there are.
pub(super) async fn count(store: &Store) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT COUNT(*) FROM signing_keys").fetch_one(store.read()).await
}

/// Does what is due at `now`, and returns the keys that are there then.
pub(super) async fn rotate(store: &Store, (seal, plan): (&Seal, &Plan), now: Timestamp) -> Result<Ring, KeysError> {
    let mut connection = store.read().acquire().await?;
    let before = stored(&mut connection).await?;
    drop(connection);
    // Making a key takes long; nobody waits for the write lock meanwhile.
    let fresh = if plan.due(&times(&before), now).is_some() { Some(generate(seal).await?) } else { None };

    let mut writing = store.write().await?;
    let pen = Pen::take(&mut writing, now).await?;
    let mut change = Change { writing, pen, plan, now };
    if let Some(fresh) = fresh {
        change.create(&fresh).await?;
    }
    change.announce().await?;
    change.retire().await?;
    let keys = stored(&mut change.writing).await?;
    change.writing.commit().await?;
    keys.iter().map(|key| key.open(seal)).collect::<Result<_, _>>().map(Ring)
}

/// A key as it stands in the store.
struct Stored {
    kid: String,
    sealed: String,
    times: Times,
    announced: bool,
}

impl Stored {
    fn read(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let announced: Option<i64> = row.try_get("announced")?;
        let times = Times { created: time(row.try_get("created")?)?, activates: time(row.try_get("activates")?)? };
        Ok(Self { kid: row.try_get("kid")?, sealed: row.try_get("sealed")?, times, announced: announced.is_some() })
    }

    fn open(&self, seal: &Seal) -> Result<(Times, Arc<SigningKey>), KeysError> {
        let pem = seal.open_sealed(&self.kid, &self.sealed)?;
        Ok((self.times, SigningKey::from_pem(&self.kid, &pem)?.into()))
    }
}

async fn stored(connection: &mut SqliteConnection) -> Result<Vec<Stored>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM signing_keys ORDER BY activates").fetch_all(connection).await?;
    rows.iter().map(Stored::read).collect()
}

fn times(keys: &[Stored]) -> Vec<Times> {
    keys.iter().map(|key| key.times).collect()
}

/// A key that was made and sealed, and is not in the store yet.
struct Fresh {
    kid: String,
    sealed: String,
}

async fn generate(seal: &Seal) -> Result<Fresh, KeysError> {
    let made = tokio::task::spawn_blocking(SigningKey::generate).await;
    let (key, pem) = made.map_err(|_| KeysError::Generate(aws_lc_rs::error::Unspecified))??;
    Ok(Fresh { sealed: seal.close(key.kid(), &pem)?, kid: key.kid().to_owned() })
}

/// The transaction, with its pen: every change of a key stands beside its event.
struct Change<'a> {
    writing: Writing,
    pen: Pen,
    plan: &'a Plan,
    now: Timestamp,
}

impl Change<'_> {
    /// Keeps a key, unless another process was quicker.
    async fn create(&mut self, fresh: &Fresh) -> Result<(), KeysError> {
        let keys = stored(&mut self.writing).await?;
        let Some(Times { created, activates }) = self.plan.due(&times(&keys), self.now) else { return Ok(()) };
        sqlx::query("INSERT INTO signing_keys (kid, sealed, created, activates) VALUES ($1, $2, $3, $4)")
            .bind(&fresh.kid)
            .bind(&fresh.sealed)
            .bind(created.as_microsecond())
            .bind(activates.as_microsecond())
            .execute(&mut *self.writing)
            .await?;
        self.tell(What::KeyCreated(KeyCreated { kid: fresh.kid.clone(), activates })).await
    }

    /// Tells the audit of every key that has started to sign.
    async fn announce(&mut self) -> Result<(), KeysError> {
        let keys = stored(&mut self.writing).await?;
        for (index, key) in keys.iter().enumerate() {
            if key.announced || key.times.activates > self.now {
                continue;
            }
            sqlx::query("UPDATE signing_keys SET announced = $1 WHERE kid = $2")
                .bind(self.now.as_microsecond())
                .bind(&key.kid)
                .execute(&mut *self.writing)
                .await?;
            let replaces = index.checked_sub(1).map(|before| keys[before].kid.clone());
            self.tell(What::KeyActivated(KeyActivated { kid: key.kid.clone(), replaces })).await?;
        }
        Ok(())
    }

    /// Deletes every key that nobody needs any more, private half and all.
    async fn retire(&mut self) -> Result<(), KeysError> {
        let keys = stored(&mut self.writing).await?;
        let times = times(&keys);
        for (index, key) in keys.iter().enumerate() {
            if self.plan.publishes(&times, index, self.now) {
                continue;
            }
            sqlx::query("DELETE FROM signing_keys WHERE kid = $1").bind(&key.kid).execute(&mut *self.writing).await?;
            self.tell(What::KeyRetired(KeyRetired { kid: key.kid.clone() })).await?;
        }
        Ok(())
    }

    async fn tell(&mut self, what: What) -> Result<(), KeysError> {
        self.pen.write(&mut self.writing, what).await?;
        Ok(())
    }
}
