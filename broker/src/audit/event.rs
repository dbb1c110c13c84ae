//! What the book tells of. The JSON of these types is what is hashed, shown and exported: its names are stable.

use std::collections::BTreeMap;
use std::net::IpAddr;

use access::{
    Call, Caller, GrantName, GroupName, LeaseId, Outcome, Record, Refusal, RequestId, RoleName, SourceName, TargetName,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// UUIDv7.
    pub id: Uuid,
    /// When it was written, UTC.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "detail")]
pub enum What {
    /// A credential was lent.
    #[serde(rename = "lease.issued")]
    LeaseIssued(Box<LeaseIssued>),
    /// Somebody asked, and nothing was lent.
    #[serde(rename = "lease.refused")]
    LeaseRefused(Box<LeaseRefused>),
    /// A request was signed with a lent credential, and the cloud answered.
    #[serde(rename = "call.countersigned")]
    CallCountersigned(Box<Record>),
    /// A request was passed on as it was.
    #[serde(rename = "call.passed")]
    CallPassed(Box<Record>),
    /// A request was refused by the sidecar.
    #[serde(rename = "call.refused")]
    CallRefused(Box<Record>),
    /// A request was sent, and its answer did not arrive whole.
    #[serde(rename = "call.broken")]
    CallBroken(Box<Record>),
    /// Another config came into force while the broker ran.
    #[serde(rename = "config.changed")]
    ConfigChanged(ConfigChanged),
    /// A signing key was made and is published.
    #[serde(rename = "key.created")]
    KeyCreated(KeyCreated),
    /// A signing key signs from now on.
    #[serde(rename = "key.activated")]
    KeyActivated(KeyActivated),
    /// A signing key is no longer published, and its private half is gone.
    #[serde(rename = "key.retired")]
    KeyRetired(KeyRetired),
}

/// A credential was lent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseIssued {
    /// The lease.
    pub lease: LeaseId,
    /// The request that asked.
    pub request: RequestId,
    /// Who asked.
    pub caller: CallerSeen,
    /// From where, if that is known.
    pub from: Option<IpAddr>,
    /// What the first request would do.
    pub call: Call,
    /// At what target.
    pub target: TargetName,
    /// By which grant.
    pub grant: GrantName,
    /// As which identity at the cloud.
    pub role: String,
    /// The session's name at the cloud: what CloudTrail shows.
    pub session: String,
    /// The cloud's public name for the credential (AWS: the access key id, which CloudTrail shows).
    pub credential: String,
    /// The `jti` of the token that was exchanged for it.
    pub token: Uuid,
    /// When the lease ends.
    pub until: Timestamp,
}

/// Somebody asked, and nothing was lent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRefused {
    /// The request that asked.
    pub request: RequestId,
    /// Who asked, once that was verified.
    pub caller: Option<CallerSeen>,
    /// From where, if that is known.
    pub from: Option<IpAddr>,
    /// What the first request would do.
    pub call: Call,
    /// At what target.
    pub target: TargetName,
    /// Why not.
    pub refusal: Refusal,
    /// The grants that came near, and what stopped each.
    pub near: Vec<NearMiss>,
}

/// A grant that is for the caller, and what stopped it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearMiss {
    /// The grant.
    pub grant: GrantName,
    /// What stopped it.
    pub reason: String,
}

/// A verified caller, as the book remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerSeen {
    /// The issuer's name for it.
    pub subject: String,
    /// Who vouched for it.
    pub issuer: String,
    /// The sources that it matched.
    pub sources: Vec<SourceName>,
    /// Groups it was in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupName>,
    /// Roles it had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleName>,
    /// What the source said about it.
    pub attributes: BTreeMap<String, String>,
}

/// Another config came into force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigChanged {
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Sources.
    pub sources: usize,
    /// Targets.
    pub targets: usize,
    /// Grants.
    pub grants: usize,
    /// Keys whose change waits for a restart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<String>,
}

/// A signing key was made and is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCreated {
    /// Its RFC 7638 thumbprint.
    pub kid: String,
    /// When it starts to sign.
    pub activates: Timestamp,
}

/// A signing key signs from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyActivated {
    /// Its RFC 7638 thumbprint.
    pub kid: String,
    /// The key that signed before.
    pub replaces: Option<String>,
}

/// A signing key is no longer published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRetired {
    /// Its RFC 7638 thumbprint.
    pub kid: String,
}

/// The kinds of calls.
mod kind {
    pub(super) const COUNTERSIGNED: &str = "call.countersigned";
    pub(super) const PASSED: &str = "call.passed";
    pub(super) const REFUSED: &str = "call.refused";
    pub(super) const BROKEN: &str = "call.broken";
}

/// The kind of the event that an access record becomes.
pub(super) const fn kind_of(record: &Record) -> &'static str {
    match record.outcome {
        Outcome::Countersigned { .. } => kind::COUNTERSIGNED,
        Outcome::Passed { .. } | Outcome::Tunnelled => kind::PASSED,
        Outcome::Refused { .. } => kind::REFUSED,
        Outcome::Broken { .. } => kind::BROKEN,
    }
}

/// What events are searched by.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) caller: Option<String>,
    pub(super) target: Option<String>,
    pub(super) action: Option<String>,
    pub(super) lease: Option<Uuid>,
    pub(super) request: Option<Uuid>,
}

impl Columns {
    /// Of the event that an access record becomes.
    pub(super) fn of(record: &Record) -> Self {
        Self {
            caller: record.caller.clone(),
            target: record.target.as_ref().map(ToString::to_string),
            action: record.call.as_ref().and_then(|call| call.action.clone()),
            lease: record.lease.map(LeaseId::uuid),
            request: Some(record.id.uuid()),
        }
    }
}

impl What {
    /// Takes an access record in, by how the request ended.
    pub fn call(record: Record) -> Self {
        let record = Box::new(record);
        match record.outcome {
            Outcome::Countersigned { .. } => Self::CallCountersigned(record),
            Outcome::Passed { .. } | Outcome::Tunnelled => Self::CallPassed(record),
            Outcome::Refused { .. } => Self::CallRefused(record),
            Outcome::Broken { .. } => Self::CallBroken(record),
        }
    }

    /// The kind, as the book writes it: `lease.issued`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::LeaseIssued(_) => "lease.issued",
            Self::LeaseRefused(_) => "lease.refused",
            Self::CallCountersigned(_) => kind::COUNTERSIGNED,
            Self::CallPassed(_) => kind::PASSED,
            Self::CallRefused(_) => kind::REFUSED,
            Self::CallBroken(_) => kind::BROKEN,
            Self::ConfigChanged(_) => "config.changed",
            Self::KeyCreated(_) => "key.created",
            Self::KeyActivated(_) => "key.activated",
            Self::KeyRetired(_) => "key.retired",
        }
    }

    pub(super) fn columns(&self) -> Columns {
        match self {
            Self::LeaseIssued(issued) => Columns {
                caller: Some(issued.caller.subject.clone()),
                target: Some(issued.target.to_string()),
                action: issued.call.action.clone(),
                lease: Some(issued.lease.uuid()),
                request: Some(issued.request.uuid()),
            },
            Self::LeaseRefused(refused) => Columns {
                caller: refused
                    .caller
                    .as_ref()
                    .map(|caller| &caller.subject)
                    .or(refused.refusal.subject.as_ref())
                    .cloned(),
                target: Some(refused.target.to_string()),
                action: refused.call.action.clone(),
                lease: None,
                request: Some(refused.request.uuid()),
            },
            Self::CallCountersigned(record)
            | Self::CallPassed(record)
            | Self::CallRefused(record)
            | Self::CallBroken(record) => Columns::of(record),
            Self::ConfigChanged(_) | Self::KeyCreated(_) | Self::KeyActivated(_) | Self::KeyRetired(_) => {
                Columns::default()
            }
        }
    }
}

impl From<&Caller> for CallerSeen {
    fn from(caller: &Caller) -> Self {
        Self {
            subject: caller.subject.clone(),
            issuer: caller.issuer.clone(),
            sources: caller.sources.clone(),
            groups: caller.groups.clone(),
            roles: caller.roles.clone(),
            attributes: caller.attributes.clone(),
        }
    }
}

impl From<&access::Near> for NearMiss {
    fn from(near: &access::Near) -> Self {
        Self { grant: near.grant.clone(), reason: near.reason.to_string() }
    }
}
