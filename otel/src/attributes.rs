//! What spans and log records say of a request. Names are those of OpenTelemetry's semantic conventions where there is one,
//! and `countersign.…` with the words of the access log otherwise: docs/guides/operations.md.
//!
//! There is no query, no header and no body among them, for those may carry secrets.

use access::{Outcome, Record};

use crate::message::{AnyValue, KeyValue, Value};

/// The version of the semantic conventions that the names are taken from.
pub(crate) const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";

/// Longest text of an attribute, in bytes: a path may have as many as a head, and 512 requests are one message.
const MAX_TEXT: usize = 4096;

/// Attributes in the making.
#[derive(Debug, Default)]
pub(crate) struct Attributes(Vec<KeyValue>);

impl Attributes {
    pub(crate) fn text(&mut self, key: &str, text: impl Into<String>) {
        let mut text = text.into();
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        self.push(key, Value::Text(text));
    }

    pub(crate) fn maybe(&mut self, key: &str, text: Option<impl Into<String>>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    pub(crate) fn number(&mut self, key: &str, number: u64) {
        self.push(key, Value::Number(i64::try_from(number).unwrap_or(i64::MAX)));
    }

    pub(crate) fn fraction(&mut self, key: &str, number: f64) {
        self.push(key, Value::Fraction(number));
    }

    pub(crate) fn into_vec(self) -> Vec<KeyValue> {
        self.0
    }

    fn push(&mut self, key: &str, value: Value) {
        self.0.push(KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) });
    }

    /// What the request would do at the cloud.
    pub(crate) fn call(&mut self, record: &Record) {
        let Some(call) = &record.call else { return };
        self.text("cloud.provider", call.cloud.as_str());
        self.maybe("cloud.region", call.region.as_deref());
        self.text("rpc.system", "aws-api");
        self.text("rpc.service", call.service.as_str());
        self.maybe("rpc.method", operation(record));
    }

    /// Who asked, and what was decided.
    pub(crate) fn decision(&mut self, record: &Record) {
        self.text("countersign.request_id", record.id.to_string());
        self.text("countersign.decision", decision(&record.outcome));
        self.maybe("countersign.caller", record.caller.as_deref());
        self.maybe("countersign.target", record.target.as_ref().map(|target| target.as_str()));
        self.maybe("countersign.role", record.role.as_deref());
        self.maybe("countersign.derived", record.derived.as_deref());
        self.maybe("countersign.grant", record.grant.as_ref().map(|grant| grant.as_str()));
        self.maybe("countersign.lease", record.lease.map(|lease| lease.to_string()));
        let call = record.call.as_ref();
        self.maybe("countersign.action", call.and_then(|call| call.action.as_deref()));
        self.maybe("countersign.resource", call.and_then(|call| call.resource.as_deref()));
        self.maybe("countersign.reason", reason(&record.outcome));
        self.maybe("client.address", record.from.map(|from| from.to_string()));
    }
}

/// As the access log writes it.
pub(crate) const fn decision(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Countersigned { .. } => "countersigned",
        Outcome::Passed { .. } => "passed",
        Outcome::Tunnelled => "tunnelled",
        Outcome::Refused { .. } => "refused",
        Outcome::Broken { .. } => "broken",
    }
}

/// Why it was refused or broke off.
pub(crate) fn reason(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Refused { message, .. } | Outcome::Broken { message } => Some(message),
        Outcome::Countersigned { .. } | Outcome::Passed { .. } | Outcome::Tunnelled => None,
    }
}

/// The kind of the failure, if it is one of ours: a refusal's code, or that it broke off.
pub(crate) const fn failure(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Refused { code, .. } => Some(code.as_str()),
        Outcome::Broken { .. } => Some("broken"),
        Outcome::Countersigned { .. } | Outcome::Passed { .. } | Outcome::Tunnelled => None,
    }
}

/// The status of the destination's answer, if that is whole.
pub(crate) const fn status(outcome: &Outcome) -> Option<u16> {
    match outcome {
        Outcome::Countersigned { status } | Outcome::Passed { status } => Some(*status),
        Outcome::Tunnelled | Outcome::Refused { .. } | Outcome::Broken { .. } => None,
    }
}

/// The second half of an action: `GetObject`.
pub(crate) fn operation(record: &Record) -> Option<&str> {
    record.call.as_ref()?.action.as_deref()?.split_once(':').map(|(_, operation)| operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_letters() {
        let mut attributes = Attributes::default();
        attributes.text("url.path", "ä".repeat(3000) + "x");
        attributes.text("url.path", "x".to_owned() + &"ä".repeat(3000));
        let length = |attribute: KeyValue| match attribute.value.unwrap().value {
            Some(Value::Text(text)) => text.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!(attributes.into_vec().into_iter().map(length).collect::<Vec<_>>(), [4096, 4095]);
    }
}
