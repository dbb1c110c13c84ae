//! `traceparent` and `tracestate`: any bytes give an answer, and what we send on in their place is read as what it is.
#![no_main]

use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use otel::{Context, Sampling, TRACEPARENT, Tracer};

fuzz_target!(|bytes: (&[u8], &[u8])| {
    let (parent, state) = (HeaderValue::from_bytes(bytes.0), HeaderValue::from_bytes(bytes.1));
    let (Ok(parent), Ok(state)) = (parent, state) else { return };
    let request = Request::builder().header(TRACEPARENT, &parent).header("tracestate", state);
    let mut head = request.body(()).expect("headers that are some").into_parts().0;
    let tracer = Tracer::new(Some(Sampling { per_million: 0 })).expect("a source of randomness");
    let read = Context::of(&head.headers);
    let trace = tracer.begin(&head);
    assert_eq!(read.is_some(), trace.is_some());
    let (Some(read), Some(trace)) = (read, trace) else { return };
    trace.continue_in(&mut head.headers);
    let sent = Context::of(&head.headers).expect("we write what can be read");
    if read.is_sampled() {
        assert!(sent.is_sampled() && sent != read);
    } else {
        assert_eq!(head.headers[TRACEPARENT], parent);
    }
    assert_eq!(trace.spans(), u64::from(read.is_sampled()));
});
