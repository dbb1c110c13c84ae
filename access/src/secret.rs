//! `Secret<T>`: a value that never shows itself and is wiped when dropped.

use std::fmt;

use zeroize::Zeroize;

/// A value that must not reach a log, an error, a metric or a trace. It has no `Display` and no `Serialize`, its
/// `Debug` says nothing, and its memory is wiped on drop. Reading it is one word that a reviewer can search for.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes the value in.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Whoever calls this answers for where it goes.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_secret_shows_nothing_of_it() {
        let shown = format!("{:?} {:#?}", Secret::new("hunter2".to_owned()), Secret::new(vec![7u8, 7]));
        assert!(!shown.contains("hunter2") && !shown.contains('7'), "{shown}");
    }
}
