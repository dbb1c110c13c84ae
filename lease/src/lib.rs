//! Asking for, remembering and giving up temporary credentials.
