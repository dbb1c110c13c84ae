//! The signing keys that are there, and the transaction that changes them.

use std::sync::Arc;

use super::KeysError;
use super::key::{PublicKey, SigningKey};
use super::rotation::{MAX_PUBLISHED, Plan, Times};
use super::seal::Seal;
use crate::audit::{Change, KeyActivated, KeyCreated, KeyRetired, What};
use crate::store::{Organisation, Reads, Row, Sql};
use jiff::Timestamp;

/// What a key is for, as the store has it: tokens that clouds take.
const CLOUD: &str = "cloud";

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
pub(super) async fn count(of: &Organisation) -> Result<i64, sqlx::Error> {
    let count = of.sql("SELECT COUNT(*) AS keys FROM signing_keys WHERE organisation = $1");
    of.row(count).await?.map_or(Ok(0), |row| row.get("keys"))
}

/// Does what is due at `now`, and returns the keys that are there then.
pub(super) async fn rotate(of: &Organisation, (seal, plan): (&Seal, &Plan), now: Timestamp) -> Result<Ring, KeysError> {
    let before = read(&of.rows(stored(of)).await?)?;
    // Making a key takes long; nobody waits for the write lock meanwhile.
    let fresh = if plan.due(&times(&before), now).is_some() { Some(generate(seal).await?) } else { None };

    let mut rotation = Rotation { change: Change::begin(of, now).await?, of, plan };
    if let Some(fresh) = fresh {
        rotation.create(&fresh).await?;
    }
    rotation.announce().await?;
    rotation.retire().await?;
    let keys = rotation.keys().await?;
    rotation.change.commit().await?;
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
    fn read(row: &Row) -> Result<Self, sqlx::Error> {
        let announced: Option<Timestamp> = row.get("announced")?;
        let times = Times { created: row.get("created")?, activates: row.get("activates")? };
        Ok(Self { kid: row.get("kid")?, sealed: row.get("sealed")?, times, announced: announced.is_some() })
    }

    fn open(&self, seal: &Seal) -> Result<(Times, Arc<SigningKey>), KeysError> {
        let pem = seal.open_sealed(&self.kid, &self.sealed)?;
        Ok((self.times, SigningKey::from_pem(&self.kid, &pem)?.into()))
    }
}

fn stored(of: &Organisation) -> Sql {
    of.sql("SELECT * FROM signing_keys WHERE organisation = $1 AND purpose = $2 ORDER BY activates").bind(CLOUD)
}

fn read(rows: &[Row]) -> Result<Vec<Stored>, sqlx::Error> {
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

/// The transaction: every change of a key stands beside its event.
struct Rotation<'a> {
    change: Change,
    of: &'a Organisation,
    plan: &'a Plan,
}

impl Rotation<'_> {
    async fn keys(&mut self) -> Result<Vec<Stored>, sqlx::Error> {
        read(&self.change.rows(stored(self.of)).await?)
    }

    /// Keeps a key, unless another process was quicker.
    async fn create(&mut self, fresh: &Fresh) -> Result<(), KeysError> {
        let keys = self.keys().await?;
        let Some(Times { created, activates }) = self.plan.due(&times(&keys), self.change.at()) else { return Ok(()) };
        let insert = self.change.sql(
            "INSERT INTO signing_keys (organisation, purpose, kid, sealed, created, activates) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        );
        let insert = insert.bind(CLOUD).bind(&fresh.kid).bind(&fresh.sealed).bind(created).bind(activates);
        self.change.execute(insert).await?;
        self.change.tell(What::KeyCreated(KeyCreated { kid: fresh.kid.clone(), activates }))?;
        Ok(())
    }

    /// Tells the audit of every key that has started to sign.
    async fn announce(&mut self) -> Result<(), KeysError> {
        let (keys, now) = (self.keys().await?, self.change.at());
        for (index, key) in keys.iter().enumerate() {
            if key.announced || key.times.activates > now {
                continue;
            }
            const ANNOUNCED: &str =
                "UPDATE signing_keys SET announced = $4 WHERE organisation = $1 AND purpose = $2 AND kid = $3";
            let announced = self.change.sql(ANNOUNCED).bind(CLOUD).bind(&key.kid).bind(now);
            self.change.execute(announced).await?;
            let replaces = index.checked_sub(1).map(|before| keys[before].kid.clone());
            self.change.tell(What::KeyActivated(KeyActivated { kid: key.kid.clone(), replaces }))?;
        }
        Ok(())
    }

    /// Deletes every key that nobody needs any more, private half and all.
    async fn retire(&mut self) -> Result<(), KeysError> {
        let (keys, now) = (self.keys().await?, self.change.at());
        let times = times(&keys);
        for (index, key) in keys.iter().enumerate() {
            if self.plan.publishes(&times, index, now) {
                continue;
            }
            const DELETE: &str = "DELETE FROM signing_keys WHERE organisation = $1 AND purpose = $2 AND kid = $3";
            let delete = self.change.sql(DELETE).bind(CLOUD).bind(&key.kid);
            self.change.execute(delete).await?;
            self.change.tell(What::KeyRetired(KeyRetired { kid: key.kid.clone() }))?;
        }
        Ok(())
    }
}
