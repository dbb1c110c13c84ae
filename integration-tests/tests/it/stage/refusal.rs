//! Reading refusals as a program reads them, and finding them in the audit.

use access::{Outcome, RefusalCode};
use broker::audit::{Filter, What};
use serde_json::Value;

use super::program::Reply;
use super::world::World;

/// A refusal, as its receiver understands it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// In the words of AWS.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) request_id: String,
}

/// What is between two marks; a refusal without it has the wrong shape.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let inside = text.split_once(start).and_then(|(_, rest)| rest.split_once(end));
    inside.unwrap_or_else(|| panic!("no {start} in {text}")).0
}

impl Refusal {
    /// Reads `<Error>` of S3 and `<ErrorResponse>` of the query services.
    pub(crate) fn in_xml(reply: &Reply) -> Self {
        let text = reply.text();
        Self {
            status: reply.status(),
            code: between(&text, "<Code>", "</Code>").to_owned(),
            message: between(&text, "<Message>", "</Message>").replace("&quot;", "\"").replace("&amp;", "&"),
            request_id: between(&text, "<RequestId>", "</RequestId>").to_owned(),
        }
    }

    /// Reads `{"__type":…}` of the JSON services.
    pub(crate) fn in_json(reply: &Reply) -> Self {
        let body: Value = serde_json::from_slice(&reply.body).expect("a JSON body");
        let field = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned();
        let request_id = reply.head.get("x-amzn-requestid").expect("the header that SDKs log").to_owned();
        Self { status: reply.status(), code: field("__type"), message: field("message"), request_id }
    }

    /// Reads a line for a person.
    pub(crate) fn in_text(reply: &Reply) -> Self {
        let text = reply.text();
        let request_id = between(&text, "request id: ", "\n").to_owned();
        Self { status: reply.status(), code: String::new(), message: text, request_id }
    }
}

impl World {
    /// Holds a refusal against what is expected of it, and finds its request in the audit under the same kind.
    pub(crate) async fn refused(
        &self,
        refusal: &Refusal,
        (status, code, kind): (u16, &str, RefusalCode),
        reason: &str,
    ) {
        assert_eq!((refusal.status, refusal.code.as_str()), (status, code), "{refusal:?}");
        assert!(refusal.message.contains(reason), "{:?} does not say {reason:?}", refusal.message);
        assert!(refusal.message.contains(kind.as_str()), "{:?} does not name its kind", refusal.message);
        let filter =
            Filter { request: Some(refusal.request_id.clone()), kind: Some("call".to_owned()), ..Filter::default() };
        let found = self.audit(filter, 1).await;
        let [entry] = found.as_slice() else { panic!("one request, one record: {found:#?}") };
        let What::CallRefused(record) = &entry.event.what else { panic!("not a refusal: {entry:#?}") };
        let Outcome::Refused { code, message } = &record.outcome else { panic!("not a refusal: {record:#?}") };
        assert_eq!(*code, kind);
        assert!(message.contains(reason), "{message:?} does not say {reason:?}");
    }
}
