//! How our servers run: listen, TLS, drain, health, telemetry.
