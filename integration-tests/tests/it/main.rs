//! The whole product against servers that verify, and the rules of the house, in one test binary.

mod stage;

mod verifier;

mod callers;
mod countersigned;
mod faults;
mod records;
mod refusals;
mod secrets;
mod smuggling;
mod tunnels;

mod tidy;
