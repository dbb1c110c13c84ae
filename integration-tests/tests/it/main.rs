//! The whole product against servers that verify, and the rules of the house, in one test binary.

mod tidy;
