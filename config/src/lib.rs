//! Everything an operator can write, and what it means.
