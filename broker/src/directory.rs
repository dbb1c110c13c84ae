//! The directory: who is in an organisation, and what follows from it.
//!
//! Whatever changes it goes through an [`Edit`]: one transaction with the change, the events that tell of it, and the
//! recall of what was lent because of what is no more.

mod answers;
mod api_tokens;
mod edit;
mod effective;
mod groups;
mod members;
mod offboard;
mod organisations;
mod page;
mod recall;
mod resolve;
mod roles;
mod users;
mod workloads;

use crate::audit::AuditError;

pub use answers::Answer;
pub use api_tokens::{ApiToken, LONGEST, NotTaken};
pub use edit::{Edit, Version};
pub use effective::{Effective, Via};
pub use groups::{Group, GroupProfile};
pub use members::{MemberIds, Members, MembersDelta};
pub use page::{MAX_PAGE, Page};
pub use resolve::Resolved;
pub use roles::{Holder, Role, RoleProfile};
pub use users::{Profile, User};
pub use workloads::{Workload, WorkloadProfile};

/// What was asked of the directory cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// There is no such thing; perhaps it was deleted.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Another has this name.
    #[error("another {what} has this {field}")]
    Taken {
        /// What it is.
        what: &'static str,
        /// Which of its fields must be its own.
        field: &'static str,
    },
    /// It was changed since it was read.
    #[error("it has changed since it was read: it is version {0} now")]
    Stale(u64),
    /// A group would be in itself.
    #[error("the group would be in itself, through others")]
    Circle,
    /// More than anybody needs, and more than can be looked through.
    #[error("too much: {0}")]
    TooMany(&'static str),
    /// A value that is none.
    #[error("{field}: {why}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The store failed.
    #[error("the directory cannot be reached")]
    Store(#[from] sqlx::Error),
    /// The book failed.
    #[error("a change cannot be told to the audit")]
    Audit(#[from] AuditError),
    /// What stands in the store is no JSON of ours.
    #[error("the directory holds something that cannot be read")]
    Damaged(#[from] serde_json::Error),
}
