//! Which requests get spans: those whose callers were sampled, and a share of those that come without a trace.

use aws_lc_rs::error::Unspecified;
use http::request::Parts;

use crate::context::Context;
use crate::ids::{Ids, TraceId};
use crate::trace::Trace;

/// How many of the requests that come without a trace begin one. Where the caller has decided, its decision is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Of a million.
    pub per_million: u32,
}

/// Begins our part of traces.
#[derive(Debug)]
pub struct Tracer {
    ids: Ids,
    sampling: Option<Sampling>,
}

impl Tracer {
    /// Without `sampling` nothing is recorded, and what programs say of their traces is only read.
    pub fn new(sampling: Option<Sampling>) -> Result<Self, Unspecified> {
        Ok(Self { ids: Ids::new()?, sampling })
    }

    /// What is known of the trace of a request whose head is here; nothing, if there is none.
    pub fn begin(&self, head: &Parts) -> Option<Box<Trace>> {
        match (Context::of(&head.headers), self.sampling) {
            (Some(context), Some(_)) if context.is_sampled() => {
                Some(Trace::recorded(context.trace, Some(context), (&self.ids, head)))
            }
            (Some(context), _) => Some(Trace::mentioned(context)),
            (None, Some(sampling)) => {
                let id = self.ids.trace();
                sampling.takes(id).then(|| Trace::recorded(id, None, (&self.ids, head)))
            }
            (None, None) => None,
        }
    }
}

impl Sampling {
    /// By the last seven bytes of the trace id, which are random (W3C Trace Context Level 2 §3.2.2.5.2): others who sample
    /// so take the same traces.
    fn takes(self, TraceId(id): TraceId) -> bool {
        const MILLION: u128 = 1_000_000;
        const RANGE: u128 = 1 << 56;
        let random = u128::from_be_bytes(id) % RANGE;
        random >= RANGE - RANGE * u128::from(self.per_million) / MILLION
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(traceparent: Option<&str>) -> Parts {
        let request = Request::builder().uri("/");
        let request = traceparent.into_iter().fold(request, |request, value| request.header("traceparent", value));
        request.body(()).unwrap().into_parts().0
    }

    fn tracer(per_million: Option<u32>) -> Tracer {
        Tracer::new(per_million.map(|per_million| Sampling { per_million })).unwrap()
    }

    fn spans(tracer: &Tracer, traceparent: Option<&str>) -> Option<u64> {
        tracer.begin(&head(traceparent)).map(|trace| trace.spans())
    }

    const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const NOT_SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    #[test]
    fn caller_that_has_decided_is_followed_whatever_the_share() {
        for share in [0, 1_000_000] {
            assert_eq!(spans(&tracer(Some(share)), Some(SAMPLED)), Some(1), "{share}");
            assert_eq!(spans(&tracer(Some(share)), Some(NOT_SAMPLED)), Some(0), "{share}");
        }
    }

    #[test]
    fn without_a_trace_the_share_decides() {
        assert_eq!(spans(&tracer(Some(0)), None), None);
        assert_eq!(spans(&tracer(Some(1_000_000)), None), Some(1));
        assert_eq!(spans(&tracer(Some(1_000_000)), Some("00-nonsense")), Some(1), "nonsense is no trace");
        let tenth = tracer(Some(100_000));
        let taken = (0..20_000).filter(|_| spans(&tenth, None).is_some()).count();
        assert!((1800..2200).contains(&taken), "{taken}");
    }

    #[test]
    fn where_nothing_is_recorded_traces_are_still_named() {
        let named = tracer(None).begin(&head(Some(SAMPLED))).unwrap();
        let reference = named.reference();
        assert_eq!(reference.trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!((reference.span.to_string().as_str(), named.spans()), ("b7ad6b7169203331", 0));
        assert!(tracer(None).begin(&head(None)).is_none());
    }
}
