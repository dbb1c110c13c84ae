//! Who may do what: the words and the rules of Countersign; no I/O, no clock.
//!
//! ```text
//! Evidence --verified--> Caller --decide(caller, call, rules, context)--> Permit --exchanged--> Lease
//! ```
//!
//! Nothing here reads a socket, a file or the time. What a function needs to know it is told, and what it
//! proves it returns: a [`Lease`] cannot be made without a [`Permit`], and a [`Permit`] comes only out of [`decide()`].

mod clock;
mod id;
mod secret;

mod call;
mod caller;
mod pattern;
mod principal;

mod condition;
mod grant;
mod network;
mod rule;
mod when;
mod who;
mod window;
mod written;

mod counterfactual;
mod decide;
mod denial;
mod index;
mod permit;
mod rules;

mod credential;
mod lease;

mod record;
mod refusal;

pub use call::{Besides, Call, Cloud, Deed, NO_RESOURCE, OWN_ACCOUNT, Spelling, UnknownCloud};
pub use caller::{Assurance, Caller, Evidence, EvidenceKind};
pub use clock::Clock;
pub use condition::{Condition, NamedCondition, Unmet};
pub use counterfactual::{Change, Otherwise, otherwise};
pub use credential::{AwsCredential, Credential};
pub use decide::{Context, decide};
pub use denial::{Denial, Near, Reason};
pub use grant::{Grant, Target};
pub use id::{ConditionName, GrantName, GroupName, InvalidName, RoleName, SourceName, TargetName};
pub use id::{GroupId, LeaseId, PrincipalId, RequestId, RoleId};
pub use lease::Lease;
pub use network::Networks;
pub use pattern::{Pattern, PatternError};
pub use permit::Permit;
pub use principal::{Actor, DisplayName, Epoch, MAX_ACTORS, Named, OrganisationName, Principal, PrincipalKind, folded};
pub use principal::{InvalidDisplayName, InvalidOrganisation, TooManyActors};
pub use record::{Outcome, Record};
pub use refusal::{Fault, Refusal, RefusalCode, Retry};
pub use rule::Rule;
pub use rules::Rules;
pub use secret::Secret;
pub use when::{When, WhenError, WhenErrors};
pub use who::{ByIdOrName, InvalidWorkload, Who, Workload};
pub use window::{TimeWindow, Weekdays, WindowError};
