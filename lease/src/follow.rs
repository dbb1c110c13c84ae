//! Hearing what is taken back, for as long as the process runs.
//!
//! Whoever lends is asked again and again, each time from where it was heard last. What it says is applied before it is
//! asked again, so nothing is missed and nothing out of order. While it says nothing at all, leases serve for
//! `max_silence` and not longer: nobody could tell that they were taken back.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::recalled::{Heard, Position};
use crate::{Leases, Lessor};

/// After an answer that was none. A recall may take as long to be heard, and a lessor that restarts is not asked by a
/// thousand followers all the time.
const AGAIN: Duration = Duration::from_millis(500);

/// No answer takes longer: the lessor says that it is there every ten seconds.
const LONGEST: Duration = Duration::from_secs(30);

/// Follows the lessor of these leases. It never ends: whoever spawns it drops it.
pub async fn follow<L: Lessor>(leases: Arc<Leases<L>>, max_silence: Duration) {
    let mut position: Option<Position> = None;
    let mut silent_from = Instant::now() + max_silence;
    loop {
        let until = silent_from.min(Instant::now() + LONGEST).max(Instant::now() + AGAIN);
        match tokio::time::timeout_at(until, leases.lessor().recalls(position)).await {
            Ok(Ok(Heard { position: now, recalled })) => {
                match position {
                    Some(_) => leases.take_back(&recalled),
                    // What was lent before anybody listened may have been taken back before.
                    None => leases.recall(|_| false),
                }
                leases.is_heard(true);
                (position, silent_from) = (Some(now), Instant::now() + max_silence);
            }
            Ok(Err(refusal)) => {
                tracing::warn!(%refusal, "it cannot be heard what was taken back");
                tokio::time::sleep(AGAIN).await;
            }
            Err(_) => tracing::warn!("it cannot be heard what was taken back: no answer"),
        }
        if Instant::now() >= silent_from {
            leases.is_heard(false);
        }
    }
}
