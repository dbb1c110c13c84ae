//! An event put into words, before it has a number: that takes longest, and needs no lock.

use access::Record;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::event::{Columns, columns_of, kind_of};
use super::{AuditError, Event, What};
use crate::store::new_id;

/// Room for an event: a call has some 800 bytes.
const USUAL_BODY: usize = 1024;

/// What will stand in the book.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(super) at: Timestamp,
    pub(super) kind: &'static str,
    pub(super) columns: Columns,
    pub(super) body: String,
}

impl Draft {
    /// Of something that happened.
    pub(crate) fn of(what: What, at: Timestamp) -> Result<Self, AuditError> {
        let (kind, columns) = (what.kind(), what.columns());
        Self::written((kind, columns), at, &Event { id: new_id(at), at, what })
    }

    /// Of what an access record tells, as [`What::call`] has it; the record stays whose it is, for they are many.
    pub(crate) fn of_call(record: &Record, at: Timestamp) -> Result<Self, AuditError> {
        let kind = kind_of(record);
        Self::written((kind, columns_of(record)), at, &Called { id: new_id(at), at, kind, detail: record })
    }

    fn written(
        (kind, columns): (&'static str, Columns),
        at: Timestamp,
        event: &impl Serialize,
    ) -> Result<Self, AuditError> {
        let mut body = Vec::with_capacity(USUAL_BODY);
        serde_json::to_writer(&mut body, event).map_err(AuditError::Unwritable)?;
        let body = String::from_utf8(body).expect("JSON is text");
        Ok(Self { at, kind, columns, body })
    }
}

/// The event of a call, as [`Event`] has it.
#[derive(Serialize)]
struct Called<'a> {
    id: Uuid,
    at: Timestamp,
    kind: &'static str,
    detail: &'a Record,
}

#[cfg(test)]
mod tests {
    use access::{Outcome, RequestId};
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn call_is_written_as_the_event_that_is_read() {
        let (id, at) = (Uuid::from_u128(7), Timestamp::UNIX_EPOCH);
        let outcomes = [
            Outcome::Countersigned { status: 200 },
            Outcome::Passed { status: 404 },
            Outcome::Refused { code: access::RefusalCode::NotGranted, message: "no".to_owned() },
            Outcome::Broken { message: "it broke off".to_owned() },
        ];
        for outcome in outcomes {
            let record = Record {
                id: RequestId::new(Uuid::nil()),
                at,
                caller: Some("shop:checkout".to_owned()),
                target: None,
                role: None,
                grant: None,
                lease: None,
                call: None,
                outcome,
                derived: None,
                from: None,
                bytes_up: 1,
                bytes_down: 2,
                took: SignedDuration::from_millis(3),
                upstream: None,
                times: 1,
                app: None,
                destination: None,
            };
            let written = Called { id, at, kind: kind_of(&record), detail: &record };
            let event = Event { id, at, what: What::call(record.clone()) };
            assert_eq!(serde_json::to_string(&written).unwrap(), serde_json::to_string(&event).unwrap());
            assert_eq!((kind_of(&record), columns_of(&record)), (event.what.kind(), event.what.columns()));
        }
    }
}
