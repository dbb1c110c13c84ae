//! Tokens for the API: made by somebody or by an operator, to do a part of what they may, for a while.

use access::{DisplayName, Named, PrincipalId, PrincipalKind, Rule, Secret};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::page::rows_for;
use super::{DirectoryError, Edit, Page};
use crate::audit::{ApiTokenChanged, What};
use crate::store::{Organisation, Reads, Row, kept};

/// What every token begins with, so that whoever searches for leaked secrets finds it.
const PREFIX: &str = "csat_";
/// An id and 256 random bits, together 64 characters in base64url.
const ID: usize = 16;
const SECRET: usize = 32;
/// The longest that a token lasts. Machines that administer for longer get another.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);
/// The most rules that one token has.
const MAX_SCOPES: usize = 100;
/// Its last use is written down so often: a row is not written with every request.
const USED: SignedDuration = SignedDuration::from_mins(1);

/// A token, without what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id, which stands in the token and in the audit.
    pub id: PrincipalId,
    /// What it is for.
    pub name: DisplayName,
    /// Whose it is; an operator's if nobody's.
    pub owner: Option<PrincipalId>,
    /// What may be done with it.
    pub scopes: Vec<Rule>,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// When it was last used, to the minute.
    pub used: Option<Timestamp>,
    /// Whether it may be used: nobody has revoked it.
    pub is_active: bool,
}

const COLUMNS: &str = "SELECT t.id, name, owner, hash, scopes, created, expires, used, is_active, \
     (SELECT is_active FROM principals o WHERE o.organisation = t.organisation AND o.id = t.owner) AS owner_is_active \
     FROM api_tokens t JOIN principals p ON p.organisation = t.organisation AND p.id = t.id WHERE t.organisation = $1";
const NO_TOKEN: DirectoryError = DirectoryError::NotFound("API token");

impl ApiToken {
    fn read(row: &Row) -> Result<Self, DirectoryError> {
        let (name, scopes): (String, String) = (row.get("name")?, row.get("scopes")?);
        Ok(Self {
            id: PrincipalId::new(row.get("id")?),
            name: DisplayName::new(&name).map_err(|error| sqlx::Error::Decode(error.into()))?,
            owner: row.get::<Option<Uuid>>("owner")?.map(PrincipalId::new),
            scopes: serde_json::from_str(&scopes)?,
            created: row.get("created")?,
            expires: row.get("expires")?,
            used: row.get("used")?,
            is_active: row.get("is_active")?,
        })
    }

    /// What people call it.
    pub fn named(&self) -> Named<PrincipalId> {
        Named { id: self.id, name: self.name.clone() }
    }
}

/// Why a token is not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// It is none of ours, or not whole.
    #[error("this is no API token of this organisation")]
    Unknown,
    /// It has ended.
    #[error("the API token ended at {0}")]
    Expired(Timestamp),
    /// It was revoked, or whoever it belongs to was cut off.
    #[error("the API token was revoked")]
    Revoked,
    /// Whether it is one cannot be told.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl From<sqlx::Error> for NotTaken {
    fn from(error: sqlx::Error) -> Self {
        Self::Directory(error.into())
    }
}

impl Organisation {
    /// Whose token this is, if it counts at `now`.
    pub async fn api_token(&self, token: &str, now: Timestamp) -> Result<ApiToken, NotTaken> {
        let (id, secret) = parse(token).ok_or(NotTaken::Unknown)?;
        let row = self.row(self.sql(COLUMNS).with(" AND t.id = $2").bind(id)).await?.ok_or(NotTaken::Unknown)?;
        let hash: Vec<u8> = row.get("hash")?;
        verify_slices_are_equal(&hash, digest(&SHA256, &secret).as_ref()).map_err(|_| NotTaken::Unknown)?;
        let found = ApiToken::read(&row)?;
        if !found.is_active || row.get::<Option<i64>>("owner_is_active")? == Some(0) {
            return Err(NotTaken::Revoked);
        }
        if now >= found.expires {
            return Err(NotTaken::Expired(found.expires));
        }
        self.note_use(&found, now).await?;
        Ok(found)
    }

    /// Tokens in the order in which they were made.
    pub async fn api_tokens(&self, after: Option<PrincipalId>, limit: u32) -> Result<Page<ApiToken>, DirectoryError> {
        let page = self.sql(COLUMNS).with(" AND t.id > $2 ORDER BY t.id LIMIT $3");
        let page = page.bind(after.map_or(Uuid::nil(), PrincipalId::uuid)).bind(rows_for(limit));
        let tokens = self.rows(page).await?.iter().map(ApiToken::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(tokens, limit, |token| token.id.uuid()))
    }

    /// A token, by its id.
    pub async fn api_token_with(&self, id: PrincipalId) -> Result<ApiToken, DirectoryError> {
        let row = self.row(self.sql(COLUMNS).with(" AND t.id = $2").bind(id.uuid())).await?;
        row.as_ref().map(ApiToken::read).transpose()?.ok_or(NO_TOKEN)
    }

    async fn note_use(&self, token: &ApiToken, now: Timestamp) -> Result<(), sqlx::Error> {
        if token.used.is_some_and(|used| now.duration_since(used) < USED) {
            return Ok(());
        }
        let mut writing = self.write().await?;
        let used = self.sql("UPDATE api_tokens SET used = $3 WHERE organisation = $1 AND id = $2");
        writing.execute(used.bind(token.id.uuid()).bind(now)).await?;
        writing.commit().await
    }
}

impl Edit {
    /// Makes a token. What it is comes back once, and is kept nowhere.
    pub async fn create_api_token(
        &mut self,
        (name, owner): (DisplayName, Option<PrincipalId>),
        scopes: Vec<Rule>,
        expires: Timestamp,
    ) -> Result<(ApiToken, Secret<String>), DirectoryError> {
        let lasts = expires.duration_since(self.at());
        if lasts <= SignedDuration::ZERO || lasts > LONGEST {
            let why = format!("a token lasts until some time within {} days", LONGEST.as_hours() / 24);
            return Err(DirectoryError::Invalid { field: "expires", why });
        }
        if scopes.is_empty() || scopes.len() > MAX_SCOPES {
            let why = format!("a token has 1 to {MAX_SCOPES} scopes");
            return Err(DirectoryError::Invalid { field: "scopes", why });
        }
        let (id, secret, expires) = (PrincipalId::new(self.id()), secret(), kept(expires));
        let token = ApiToken { id, name, owner, scopes, created: self.at(), expires, used: None, is_active: true };
        self.add_principal((id, PrincipalKind::ApiToken), true).await?;
        let insert = self.sql(
            "INSERT INTO api_tokens (organisation, id, name, owner, hash, scopes, created, expires) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        );
        let insert = insert.bind(id.uuid()).bind(token.name.as_str()).bind(owner.map(PrincipalId::uuid));
        let insert = insert.bind(digest(&SHA256, secret.expose()).as_ref());
        let insert = insert.bind(serde_json::to_string(&token.scopes)?).bind(token.created).bind(expires);
        self.execute(insert).await?;
        self.tell(What::ApiTokenCreated(self.token_changed(&token)?))?;
        let bytes = Secret::new([id.uuid().as_bytes(), &secret.expose()[..]].concat());
        Ok((token, Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes.expose())))))
    }

    /// Revokes a token: it counts no more from now on.
    pub async fn revoke_api_token(&mut self, id: PrincipalId) -> Result<(), DirectoryError> {
        let row = self.row(self.sql(COLUMNS).with(" AND t.id = $2").bind(id.uuid())).await?;
        let token = row.as_ref().map(ApiToken::read).transpose()?.ok_or(NO_TOKEN)?;
        if !token.is_active {
            return Ok(());
        }
        let changed = self.token_changed(&token)?;
        self.cut_off(id, |_| What::ApiTokenRevoked(changed)).await?;
        Ok(())
    }

    fn token_changed(&self, token: &ApiToken) -> Result<ApiTokenChanged, DirectoryError> {
        let (owner, expires) = (token.owner, token.expires);
        let scopes = serde_json::to_value(&token.scopes)?;
        Ok(ApiTokenChanged { by: self.by(), token: token.named(), owner, scopes, expires })
    }
}

fn secret() -> Secret<Vec<u8>> {
    let mut bytes = vec![0; SECRET];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random generator does not fail once it has started");
    Secret::new(bytes)
}

fn parse(token: &str) -> Option<(Uuid, Vec<u8>)> {
    let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
    let (id, secret) = bytes.split_at_checked(ID)?;
    (secret.len() == SECRET).then_some((Uuid::from_slice(id).ok()?, secret.to_vec()))
}
