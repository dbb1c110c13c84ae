//! `Expect: 100-continue`, relayed (RFC 9110 §10.1.1): the program's body waits until the destination wants it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::HeaderMap;
use http::header::EXPECT;
use tokio::time::{Sleep, sleep};

use crate::wire::interim::{GoOn, Mouth};

/// How long a destination may say nothing before the body is sent anyway. botocore waits as long before it does.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether the program wants to be told to go on before it sends its body.
pub(crate) fn is_expected(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Closed until the destination says `100 Continue`, or nothing for a second. A final answer never opens it, so the
/// program never sends a body that nobody wants.
#[derive(Debug)]
pub(crate) struct Gate {
    go_on: Arc<GoOn>,
    /// Begins when the body is asked for the first time: that is when the head has gone out.
    enough: Option<Pin<Box<Sleep>>>,
}

impl Gate {
    /// A gate before the body of `program`.
    pub(crate) fn new(program: Option<Mouth>) -> Self {
        Self { go_on: Arc::new(GoOn::of(program)), enough: None }
    }

    /// What opens it.
    pub(crate) fn go_on(&self) -> Arc<GoOn> {
        self.go_on.clone()
    }

    /// Ready once it is open.
    pub(crate) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.go_on.poll_said(cx).is_pending() {
            ready!(self.enough.get_or_insert_with(|| Box::pin(sleep(PATIENCE))).as_mut().poll(cx));
        }
        self.open();
        Poll::Ready(())
    }

    /// Opens it whatever the destination thinks.
    pub(crate) fn open(&self) {
        self.go_on.tell();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::Instant;

    use super::*;

    #[test]
    fn expectation_is_compared_without_regard_to_case() {
        let expecting = |value: &'static str| is_expected(&HeaderMap::from_iter([(EXPECT, value.parse().unwrap())]));
        assert!(expecting("100-Continue"));
        assert!(!expecting("200-ok"));
        assert!(!is_expected(&HeaderMap::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn gate_of_a_silent_destination_opens_after_a_second() {
        let began = Instant::now();
        let mut gate = Gate::new(None);
        poll_fn(|cx| gate.poll_open(cx)).await;
        assert_eq!(began.elapsed(), PATIENCE);
    }
}
