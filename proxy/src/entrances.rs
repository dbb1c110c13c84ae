//! From a program's socket to its requests: every way in, and what each begins with.

pub(crate) mod accept;
pub(crate) mod asked;
pub(crate) mod connection;
pub(crate) mod distrust;
pub(crate) mod intercept;
pub(crate) mod meeting;
pub(crate) mod opening;
pub(crate) mod redirect;
pub(crate) mod shared;
pub(crate) mod socks_entrance;
pub(crate) mod streams;
pub(crate) mod words;
