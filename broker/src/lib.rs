//! The identity broker: sources, decisions, tokens, exchange, audit.
