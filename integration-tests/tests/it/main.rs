//! The whole product against servers that verify, and the rules of the house, in one test binary.

mod stage;

mod verifier;

mod bodies;
mod callers;
mod changes;
mod clocks;
mod countersigned;
mod echoes;
mod elsewhere;
mod faults;
mod grants;
mod posts;
mod presigned;
mod records;
mod refusals;
mod secrets;
mod sessions;
mod shapes;
mod shared;
mod sign_in;
mod smuggling;
mod sockets;
mod spellings;
mod traces;
mod tunnels;
mod version2;
mod virtualised;
mod withheld;

mod http2;

mod tidy;
