//! What one request would do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The clouds that we countersign for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cloud {
    /// Amazon Web Services, all partitions.
    Aws,
    /// Google Cloud.
    Gcp,
    /// Microsoft Azure.
    Azure,
    /// Oracle Cloud Infrastructure.
    Oci,
}

impl Cloud {
    /// The name as configs, audit and APIs write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
            Self::Oci => "oci",
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not the name of a cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cloud is one of aws, gcp, azure, oci")]
pub struct UnknownCloud;

impl FromStr for Cloud {
    type Err = UnknownCloud;

    fn from_str(name: &str) -> Result<Self, UnknownCloud> {
        [Self::Aws, Self::Gcp, Self::Azure, Self::Oci].into_iter().find(|c| c.as_str() == name).ok_or(UnknownCloud)
    }
}

/// What one request would do, as far as the wire tells.
///
/// `PUT https://acme-receipts.s3.amazonaws.com/2026/07.pdf` is `aws`, service `s3`, region `us-east-1`, action
/// `s3:PutObject`, resource `arn:aws:s3:::acme-receipts/2026/07.pdf`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Whose API it is.
    pub cloud: Cloud,
    /// The name that the service signs under (AWS: the service part of the credential scope).
    pub service: String,
    /// The region signed for; `None` where the service has none or the wire does not tell.
    pub region: Option<String>,
    /// `prefix:Operation` in the words of the cloud's own policies; `None` where the wire does not tell.
    pub action: Option<String>,
    /// The cloud's name for what it acts on (AWS: an ARN); `None` where the wire does not tell.
    pub resource: Option<String>,
    /// HTTP method.
    pub method: String,
    /// Host without port, lower case.
    pub host: String,
    /// Path as on the wire, without the query: queries may carry secrets.
    pub path: String,
}
