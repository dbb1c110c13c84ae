//! Calls: an access record becomes an event by how its request ended.

use access::{LeaseId, Outcome, Record};

use super::{Columns, Detail, What};

/// The kind of the event that an access record becomes.
pub(in crate::audit) const fn kind_of(record: &Record) -> &'static str {
    match record.outcome {
        Outcome::Countersigned { .. } => "call.countersigned",
        Outcome::Passed { .. } | Outcome::Tunnelled => "call.passed",
        Outcome::Refused { .. } => "call.refused",
        Outcome::Broken { .. } => "call.broken",
    }
}

/// What the event that an access record becomes is searched by.
pub(in crate::audit) fn columns_of(record: &Record) -> Columns {
    Columns {
        caller: record.caller.clone(),
        principal: None,
        target: record.target.as_ref().map(ToString::to_string),
        action: record.call.as_ref().and_then(|call| call.action.clone()),
        lease: record.lease.map(LeaseId::uuid),
        request: Some(record.id.uuid()),
    }
}

impl Detail for Record {
    fn columns(&self) -> Columns {
        columns_of(self)
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
}
