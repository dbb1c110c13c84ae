//! One bench per hot question; see README.md.
