//! Amazon Web Services: what a request would do, and how it is signed.

pub mod algorithm;
pub mod authorization;
pub mod credentialing;
pub mod endpoints;
pub mod form;
pub mod partition;
pub mod recognise;

pub mod claim;
pub mod cluster;
pub mod git;
pub mod placeholder;
pub mod post;
pub mod presigned;
pub mod sign_in;
pub mod v2;
pub mod v2_call;
pub mod verify;

pub mod host;
pub mod key;
pub mod mask;
pub mod mismatch;
pub mod operations;
pub mod payload;
pub mod sign;
pub mod signature;
pub mod skew;
pub mod strip;
pub mod uri;

pub mod caller;
pub mod exchange;
pub mod policy;
pub mod sts_answer;

pub mod vended;
pub mod vending;

pub mod body;
pub mod chain;
pub mod chunk;
pub mod digest;
pub mod event;

mod action;
mod endpoint_rules;
mod members;
mod naming;
mod object;
mod partiql;
mod query;
mod resource;
mod routes;
mod s3_action;
mod s3_deeds;
mod s3_target;
mod sqs;

mod canonical;
mod date;
mod key_pair;
mod presign;
mod readings;
mod trailer;

#[cfg(test)]
mod vectors;
