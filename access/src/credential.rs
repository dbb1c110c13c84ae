//! What a cloud accepts.

use jiff::Timestamp;

use crate::{Cloud, Secret};

/// A temporary credential, per cloud.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Temporary security credentials of AWS STS.
    Aws(AwsCredential),
}

/// Temporary security credentials as AWS STS gives them.
#[derive(Debug, Clone)]
pub struct AwsCredential {
    /// `ASIA…`; AWS does not treat it as secret, and CloudTrail shows it.
    pub access_key_id: String,
    /// The signing secret.
    pub secret_access_key: Secret<String>,
    /// Sent along, signed, as `X-Amz-Security-Token`.
    pub session_token: Secret<String>,
    /// When AWS stops accepting it.
    pub expires: Timestamp,
}

impl Credential {
    /// Whose it is.
    pub const fn cloud(&self) -> Cloud {
        match self {
            Self::Aws(_) => Cloud::Aws,
        }
    }

    /// When the cloud stops accepting it.
    pub const fn expires(&self) -> Timestamp {
        match self {
            Self::Aws(aws) => aws.expires,
        }
    }
}
