//! The proof that a grant covers a call.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::decide::covers;
use crate::denial::Reason;
use crate::{Call, Caller, Context, Grant, Target};

/// Proof that a grant covers what a caller asked for. [`crate::decide()`] is the only place that makes one:
///
/// ```compile_fail,E0451
/// # use access::{Caller, Grant, Permit, Target};
/// # use std::sync::Arc;
/// fn forge(caller: Arc<Caller>, target: Arc<Target>, grant: Arc<Grant>, decided: jiff::Timestamp) -> Permit {
///     Permit { caller, target, grant, decided } // its fields are private
/// }
/// ```
///
/// ```compile_fail,E0624
/// # use access::{Caller, Grant, Permit, Target};
/// # use std::sync::Arc;
/// fn forge(caller: Arc<Caller>, target: Arc<Target>, grant: Arc<Grant>, decided: jiff::Timestamp) -> Permit {
///     Permit::new(caller, target, grant, decided) // so is its constructor
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Permit {
    caller: Arc<Caller>,
    target: Arc<Target>,
    grant: Arc<Grant>,
    decided: Timestamp,
}

impl Permit {
    pub(crate) fn new(caller: Arc<Caller>, target: Arc<Target>, grant: Arc<Grant>, decided: Timestamp) -> Self {
        Self { caller, target, grant, decided }
    }

    /// Who may.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// At what.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// By which grant.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Whether the same grant covers another call, here and now: everything that the decision asked is asked again, so
    /// the end of a time window acts on the next call of an open connection.
    pub fn admits(&self, call: &Call, context: &Context) -> Result<(), Reason> {
        covers((&self.caller, &self.target, &self.grant), call, context)
    }

    /// How long a session at the cloud may be: what grant or target say, and no condition forbids.
    pub fn session(&self) -> SignedDuration {
        let wanted = self.grant.session.unwrap_or(self.target.session);
        let longest = self.grant.conditions.iter().filter_map(|c| match c.condition {
            crate::Condition::MaxSession(longest) => Some(longest),
            crate::Condition::Mfa { .. } | crate::Condition::From(_) | crate::Condition::During(_) => None,
        });
        longest.fold(wanted, SignedDuration::min)
    }

    /// When this permit ends: with the session, with the caller's evidence, or with the first condition that ends.
    pub fn until(&self) -> Timestamp {
        let session = self.decided.checked_add(self.session()).unwrap_or(Timestamp::MAX);
        let conditions = self.grant.conditions.iter().filter_map(|c| c.condition.until(self.decided));
        conditions.fold(session.min(self.caller.until), Timestamp::min)
    }
}
