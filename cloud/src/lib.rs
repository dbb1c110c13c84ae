//! AWS, GCP, Azure, OCI: recognise a call, exchange for a credential, sign.

pub mod aws;
