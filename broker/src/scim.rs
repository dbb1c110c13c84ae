//! What a SCIM 2.0 endpoint understands (RFC 7643, RFC 7644), apart from HTTP and from where people are kept.
//!
//! ```text
//! filter  --parser--> Filter --bound--> Bound --compile--> Query: a condition for the store, a remainder for memory
//! body    --document--> Body: what is kept, and who is to be in a group
//! PATCH   --patch--> Patch --apply--> Patched: what is kept, what has changed, who comes and goes
//! many    --bulk--> Run: what to do next, once what it refers to is done
//! Resource --sort, project, list--> what is shown
//! ```
//!
//! All of it knows the attributes from the tables in [`schema`]. JSON is JSON only here: what leaves this room towards
//! the store are columns, texts and member changes.

pub mod attribute;
pub mod schema;

mod lexer;

pub mod filter;
pub mod parser;
pub mod path;

mod values;

pub mod document;
pub mod member;
pub mod resource;

pub mod bound;
pub mod check;

pub mod compile;
pub mod sort;

mod change;
mod draft;

pub mod patch;

pub mod bulk;

pub mod discovery;
pub mod list;
pub mod project;

pub mod error;

#[cfg(test)]
mod strategies;
