//! The sidecar: every outbound call, from the program's socket to the cloud.
