//! What a program is told over HTTP/1.1 before its answer (1xx, RFC 9110 §15.2). The HTTP server has no way to say it, so
//! it is said below the server, at a moment when that has nothing half said.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

/// Bytes that wait for a program that does not read. Whoever sends more loses the rest.
const MAX_WAITING: usize = 64 * 1024;

/// Words for the program on one connection. All of it happens on the task of that connection.
#[derive(Debug)]
pub(crate) struct Aside {
    /// A request is being worked on, and its answer has not begun.
    is_open: AtomicBool,
    /// The server has handed on all that it had to say.
    is_quiet: AtomicBool,
    has_words: AtomicBool,
    words: Mutex<BytesMut>,
}

impl Default for Aside {
    fn default() -> Self {
        Self {
            is_open: AtomicBool::new(false),
            is_quiet: AtomicBool::new(true),
            has_words: AtomicBool::new(false),
            words: Mutex::default(),
        }
    }
}

impl Aside {
    /// A request has begun: what came before it is answered, though perhaps not written yet.
    pub(crate) fn open(&self) {
        self.is_open.store(true, Ordering::Relaxed);
    }

    /// Its answer is there. What was said before goes out before it; behind the rest of an earlier answer, which nobody
    /// has read yet, it would come too late, and it is forgotten.
    pub(crate) fn close(&self) {
        self.is_open.store(false, Ordering::Relaxed);
        if self.has_words.load(Ordering::Relaxed) && !self.is_quiet.load(Ordering::Relaxed) {
            self.all();
        }
    }

    /// Says something. `false` if it is not passed on.
    pub(crate) fn say(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        if !self.is_open.load(Ordering::Relaxed) {
            return false;
        }
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let before = words.len();
        let reason = status.canonical_reason().unwrap_or_default();
        let mut write = |parts: [&[u8]; 4]| parts.into_iter().for_each(|part| words.extend_from_slice(part));
        write([b"HTTP/1.1 ", status.as_str().as_bytes(), b" ", reason.as_bytes()]);
        for (name, value) in headers {
            write([b"\r\n", name.as_str().as_bytes(), b": ", value.as_bytes()]);
        }
        words.extend_from_slice(b"\r\n\r\n");
        let fits = words.len() <= MAX_WAITING;
        if !fits {
            words.truncate(before);
        }
        self.has_words.store(!words.is_empty(), Ordering::Relaxed);
        fits
    }

    /// The server has written something, perhaps not all that it has.
    pub(crate) fn server_speaks(&self) {
        self.is_quiet.store(false, Ordering::Relaxed);
    }

    /// The server has written all that it has, and it flushes.
    pub(crate) fn server_is_quiet(&self) {
        self.is_quiet.store(true, Ordering::Relaxed);
    }

    /// What is to be said now.
    pub(crate) fn now(&self) -> Option<Bytes> {
        let may = self.has_words.load(Ordering::Relaxed) && self.is_quiet.load(Ordering::Relaxed);
        may.then(|| self.all())
    }

    fn all(&self) -> Bytes {
        self.has_words.store(false, Ordering::Relaxed);
        self.words.lock().unwrap_or_else(PoisonError::into_inner).split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::LINK;

    use super::*;

    fn hint() -> HeaderMap {
        HeaderMap::from_iter([(LINK, HeaderValue::from_static("</a>"))])
    }

    #[test]
    fn words_are_heard_between_messages_of_the_server_and_never_within_one() {
        let aside = Aside::default();
        assert!(!aside.say(StatusCode::EARLY_HINTS, &hint()), "nobody has asked");
        aside.open();
        assert!(aside.say(StatusCode::EARLY_HINTS, &hint()));
        aside.server_speaks();
        assert_eq!(aside.now(), None);
        aside.server_is_quiet();
        assert_eq!(aside.now().unwrap(), "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
        assert_eq!(aside.now(), None);
    }

    #[test]
    fn what_could_not_be_said_before_the_answer_is_not_said_after_it() {
        let aside = Aside::default();
        for (is_quiet, is_said) in [(true, true), (false, false)] {
            aside.open();
            if !is_quiet {
                aside.server_speaks();
            }
            aside.say(StatusCode::PROCESSING, &HeaderMap::new());
            aside.close();
            aside.server_is_quiet();
            assert_eq!(aside.now().is_some(), is_said);
            assert!(!aside.say(StatusCode::PROCESSING, &HeaderMap::new()));
        }
    }

    #[test]
    fn words_that_nobody_reads_have_a_limit() {
        let aside = Aside::default();
        aside.open();
        let said = (0..10_000).filter(|_| aside.say(StatusCode::EARLY_HINTS, &hint())).count();
        assert!(said < 10_000 && aside.now().unwrap().len() <= MAX_WAITING);
    }
}
