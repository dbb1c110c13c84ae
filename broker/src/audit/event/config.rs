//! Changes of the config.

use serde::{Deserialize, Serialize};

use super::{Columns, Detail};

/// Another config came into force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigChanged {
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Sources.
    pub sources: usize,
    /// Targets.
    pub targets: usize,
    /// Grants.
    pub grants: usize,
    /// Keys whose change waits for a restart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<String>,
}

impl Detail for ConfigChanged {
    fn columns(&self) -> Columns {
        Columns::default()
    }
}
