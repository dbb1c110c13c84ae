//! The one binary, `countersign`: wires a role together and runs it.
fn main() {}
