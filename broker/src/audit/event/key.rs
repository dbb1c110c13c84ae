//! Signing keys come and go.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Columns, Detail};

/// A signing key was made and is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCreated {
    /// Its RFC 7638 thumbprint.
    pub kid: String,
    /// When it starts to sign.
    pub activates: Timestamp,
}

/// A signing key signs from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyActivated {
    /// Its RFC 7638 thumbprint.
    pub kid: String,
    /// The key that signed before.
    pub replaces: Option<String>,
}

/// A signing key is no longer published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRetired {
    /// Its RFC 7638 thumbprint.
    pub kid: String,
}

impl Detail for KeyCreated {
    fn columns(&self) -> Columns {
        Columns::default()
    }
}

impl Detail for KeyActivated {
    fn columns(&self) -> Columns {
        Columns::default()
    }
}

impl Detail for KeyRetired {
    fn columns(&self) -> Columns {
        Columns::default()
    }
}
