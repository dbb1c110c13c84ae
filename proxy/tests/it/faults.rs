//! What goes wrong on the way: connections that end at any byte, stall, or carry what nobody understands. Never a wrong
//! success, always one record, and afterwards the next request is answered.

mod answers;
mod far;
mod names;
mod near;
mod programs;
mod repeated;
mod requests;
mod stalls;
mod streams;

use std::time::Duration;

/// Everything here ends by itself long before: whatever does not hangs.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), work).await.expect("it hangs")
}
