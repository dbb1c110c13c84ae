//! What the product logs on this thread, at the finest level, while somebody listens.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::sync::Once;

use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

thread_local! {
    static LISTENING: Cell<bool> = const { Cell::new(false) };
    static HEARD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Listens as long as it is there. A world on one thread has no log elsewhere.
#[derive(Debug)]
pub(crate) struct Log(());

impl Log {
    /// Begins to listen. The subscriber is the process's: one per test would race for which log statements are on.
    pub(crate) fn listen() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let lines = fmt::layer().with_ansi(false).with_writer(|| Ear);
            tracing_subscriber::registry().with(lines.with_filter(dynamic_filter_fn(|_, _| LISTENING.get()))).init();
        });
        LISTENING.set(true);
        Self(())
    }

    /// Everything that was logged.
    pub(crate) fn heard(&self) -> Vec<u8> {
        HEARD.with_borrow(Clone::clone)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        LISTENING.set(false);
    }
}

/// Writes to what was heard on this thread.
struct Ear;

impl Write for Ear {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        HEARD.with_borrow_mut(|heard| heard.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
