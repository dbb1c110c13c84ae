//! Leases: what was lent, and what was not.

use std::collections::BTreeMap;
use std::net::IpAddr;

use access::{Call, Caller, GrantName, GroupName, LeaseId, Refusal, RequestId, RoleName, SourceName, TargetName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Columns, Detail};

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

impl Detail for LeaseIssued {
    fn columns(&self) -> Columns {
        Columns {
            caller: Some(self.caller.subject.clone()),
            target: Some(self.target.to_string()),
            action: self.call.action.clone(),
            lease: Some(self.lease.uuid()),
            request: Some(self.request.uuid()),
            ..Columns::default()
        }
    }
}

impl Detail for LeaseRefused {
    fn columns(&self) -> Columns {
        let caller = self.caller.as_ref().map(|caller| &caller.subject);
        Columns {
            caller: caller.or(self.refusal.subject.as_ref()).cloned(),
            target: Some(self.target.to_string()),
            action: self.call.action.clone(),
            request: Some(self.request.uuid()),
            ..Columns::default()
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
