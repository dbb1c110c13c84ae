//! Where a request carries its signature. It leaves in the form in which it came.

/// The forms of a signature that are verified and made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// SigV4 in the `Authorization` header.
    Header,
}
