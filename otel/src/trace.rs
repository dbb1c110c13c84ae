//! One request's part of a trace, as far as it has come.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Version};

use crate::context::{Context, TRACEPARENT};
use crate::ids::{Ids, SpanId, TraceId};

/// Longest id of a cloud's that is kept; those of AWS have 76 characters at most.
const MAX_CLOUD_ID: usize = 128;

/// Where a cloud tells its own id of a request, and what more support asks for.
const CLOUD_IDS: [&str; 3] = ["x-amzn-requestid", "x-amz-request-id", "x-amz-requestid"];
const EXTENDED_ID: &str = "x-amz-id-2";

/// What is known of a request's trace. There is one only where there is something to know.
#[derive(Debug)]
pub struct Trace {
    pub(crate) id: TraceId,
    /// What the program said; nothing, if the trace begins here.
    pub(crate) caller: Option<Context>,
    pub(crate) recorded: Option<Recorded>,
}

/// Names a place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// The trace.
    pub trace: TraceId,
    /// Our span; where we make none, the caller's.
    pub span: SpanId,
}

/// What becomes two spans: one for what the program asked of us, one for what we asked of the destination.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) asked: SpanId,
    pub(crate) asking: SpanId,
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) toward: Option<Toward>,
    /// The status that the program was told.
    pub(crate) told: Option<u16>,
    pub(crate) cloud_id: Option<String>,
    pub(crate) extended_id: Option<String>,
}

/// Where a request was sent on to, and when.
#[derive(Debug)]
pub(crate) struct Toward {
    /// What the program asked for.
    pub(crate) asked: Place,
    /// Where that really is.
    pub(crate) to: Place,
    /// Since the request's head was read.
    pub(crate) after: Duration,
}

/// Where something is: `https`, `s3.us-east-1.amazonaws.com`, 443.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// A name or an address.
    pub host: Arc<str>,
    /// The port.
    pub port: u16,
}

impl Trace {
    /// One that spans are made for.
    pub(crate) fn recorded(id: TraceId, caller: Option<Context>, (ids, head): (&Ids, &Parts)) -> Box<Self> {
        let recorded = Recorded {
            asked: ids.span(),
            asking: ids.span(),
            method: head.method.clone(),
            version: head.version,
            toward: None,
            told: None,
            cloud_id: None,
            extended_id: None,
        };
        Box::new(Self { id, caller, recorded: Some(recorded) })
    }

    /// One that is only named.
    pub(crate) fn mentioned(caller: Context) -> Box<Self> {
        Box::new(Self { id: caller.trace, caller: Some(caller), recorded: None })
    }

    /// Where it stands.
    pub fn reference(&self) -> Reference {
        let ours = self.recorded.as_ref().map(|recorded| recorded.asked);
        let span = ours.or_else(|| self.caller.as_ref().map(|caller| caller.parent));
        Reference { trace: self.id, span: span.expect("it is recorded, or somebody named it") }
    }

    /// The flags of its spans, as `traceparent` has them.
    pub(crate) fn flags(&self) -> u32 {
        self.caller.as_ref().map_or(0, |caller| caller.flags.into()) | u32::from(self.recorded.is_some())
    }

    /// How many spans it is by now.
    pub fn spans(&self) -> u64 {
        self.recorded.as_ref().map_or(0, |recorded| 1 + u64::from(recorded.toward.is_some()))
    }

    /// Puts our span in the place of the caller's, in a request that goes on. Where nobody was named, or nothing is
    /// recorded, the headers stay what they are; one that was meant for us only (`Connection: traceparent`) does not come back.
    pub fn continue_in(&self, headers: &mut HeaderMap) {
        let Some(named) = headers.get_mut(TRACEPARENT) else { return };
        if let (Some(caller), Some(recorded)) = (&self.caller, &self.recorded) {
            *named = caller.below(recorded.asking);
        }
    }

    /// What the program asked for is sent on to where that really is, so long after the request's head was read.
    pub fn sent(&mut self, (asked, to): (Place, Place), after: Duration) {
        if let Some(recorded) = &mut self.recorded {
            recorded.toward = Some(Toward { asked, to, after });
        }
    }

    /// The destination has answered.
    pub fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        let Some(recorded) = &mut self.recorded else { return };
        recorded.told = Some(status.as_u16());
        recorded.cloud_id = CLOUD_IDS.iter().find_map(|name| id_in(headers, name));
        recorded.extended_id = id_in(headers, EXTENDED_ID);
    }

    /// We have answered ourselves.
    pub const fn told(&mut self, status: u16) {
        if let Some(recorded) = &mut self.recorded {
            recorded.told = Some(status);
        }
    }
}

/// What came over the wire is kept if it looks like an id.
fn id_in(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    let mark = |b: u8| b.is_ascii_alphanumeric() || b"-_+/=.:".contains(&b);
    ((1..=MAX_CLOUD_ID).contains(&text.len()) && text.bytes().all(mark)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};

    use super::*;
    use crate::tracer::{Sampling, Tracer};

    const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn began(traceparent: Option<&str>, sampling: Option<u32>) -> (Option<Box<Trace>>, HeaderMap) {
        let request = traceparent.into_iter().fold(Request::builder(), |r, value| r.header("traceparent", value));
        let head = request.header("tracestate", "a=1").body(()).unwrap().into_parts().0;
        let tracer = Tracer::new(sampling.map(|per_million| Sampling { per_million })).unwrap();
        (tracer.begin(&head), head.headers)
    }

    #[test]
    fn request_that_goes_on_names_our_span_as_its_parent_and_keeps_its_state() {
        let (trace, mut headers) = began(Some(CALLER), Some(0));
        let trace = trace.unwrap();
        trace.continue_in(&mut headers);
        let ours = Context::of(&headers).unwrap();
        assert_eq!((ours.trace, ours.parent), (trace.id, trace.recorded.as_ref().unwrap().asking));
        assert_eq!((headers.len(), ours.state.as_str()), (2, "a=1"));
    }

    #[test]
    fn header_stays_where_nothing_is_recorded_and_none_is_added_where_none_was() {
        let not_sampled = CALLER.replace("-01", "-00");
        for (traceparent, sampling) in [(Some(CALLER), None), (Some(&*not_sampled), Some(1_000_000))] {
            let (trace, mut headers) = began(traceparent, sampling);
            trace.unwrap().continue_in(&mut headers);
            assert_eq!(headers["traceparent"], traceparent.unwrap());
        }
        for other in [None, Some("00-nonsense")] {
            let (trace, mut headers) = began(other, Some(1_000_000));
            trace.unwrap().continue_in(&mut headers);
            assert_eq!(headers.get("traceparent").map(HeaderValue::as_bytes), other.map(str::as_bytes));
        }
    }

    #[test]
    fn header_that_ended_at_this_hop_does_not_come_back() {
        let (trace, mut headers) = began(Some(CALLER), Some(0));
        headers.remove(TRACEPARENT);
        trace.unwrap().continue_in(&mut headers);
        assert!(!headers.contains_key(TRACEPARENT));
    }

    #[test]
    fn only_what_looks_like_an_id_is_taken_for_one() {
        let id = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-amz-request-id", HeaderValue::from_bytes(value.as_bytes()).unwrap());
            id_in(&headers, "x-amz-request-id")
        };
        assert_eq!(id("C9ER4AJX75574TDJ").as_deref(), Some("C9ER4AJX75574TDJ"));
        for other in ["", "a b", "<script>", "ä", &"x".repeat(129)] {
            assert_eq!(id(other), None, "{other}");
        }
    }
}
