//! One line of the access record: one request through the proxy, from its first byte to its last.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Call, GrantName, LeaseId, RefusalCode, RequestId, TargetName};

/// What happened to one request. The audit book keeps it; it names secrets by id only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The request.
    pub id: RequestId,
    /// When its head had been read.
    pub at: Timestamp,
    /// Where it came from, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    /// The caller's subject, once known.
    pub caller: Option<String>,
    /// The app that it came from, where several share the proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Where it was to go, as the program wrote it, of what is no call: `db.acme.dev:5432`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The target that its placeholder stands for, once known.
    pub target: Option<TargetName>,
    /// The role that it was countersigned as.
    pub role: Option<String>,
    /// The temporary identity that it was countersigned as, where that was not the role itself but one that the cloud
    /// gave to an earlier call: `arn:aws:sts::123456789012:assumed-role/reports/nightly`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derived: Option<String>,
    /// The grant that covered it.
    pub grant: Option<GrantName>,
    /// The lease that it was countersigned with.
    pub lease: Option<LeaseId>,
    /// What it would do.
    pub call: Option<Call>,
    /// How it ended.
    pub outcome: Outcome,
    /// Bytes of body from the program.
    pub bytes_up: u64,
    /// Bytes of body to the program.
    pub bytes_down: u64,
    /// From the head read to the last byte of the answer.
    pub took: SignedDuration,
    /// Of that, from its head sent on to the head of the destination's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<SignedDuration>,
    /// How many requests this stands for: of a flood of refusals, one is told and the rest counted.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u64,
}

impl Record {
    /// Whether nobody knows whom it came from.
    pub const fn is_a_strangers(&self) -> bool {
        self.caller.is_none() && self.app.is_none()
    }
}

const fn once() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_once(times: &u64) -> bool {
    *times == 1
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// It was countersigned, and the cloud answered.
    Countersigned {
        /// The cloud's HTTP status.
        status: u16,
    },
    /// It carried no credential and was passed on as it was.
    Passed {
        /// The destination's HTTP status.
        status: u16,
    },
    /// Bytes went through both ways, untouched, until both sides had ended.
    Tunnelled,
    /// It was refused.
    Refused {
        /// Why, by kind.
        code: RefusalCode,
        /// Why, in words.
        message: String,
    },
    /// It was sent, and then a side went away before the answer was whole.
    Broken {
        /// What broke, in words.
        message: String,
    },
}
