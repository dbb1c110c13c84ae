//! The whole product against servers that verify, in one test binary.
