//! The proof that a grant covers a call.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::decide::Asked;
use crate::denial::Reason;
use crate::when::Asking;
use crate::{Call, Caller, Condition, Context, Grant, Rule, Target};

/// Proof that a grant covers what a caller asked for. [`crate::decide()`] is the only place that makes one:
///
/// ```compile_fail,E0451
/// # use access::{Caller, Grant, Permit, Target};
/// # use std::sync::Arc;
/// fn forge(caller: Arc<Caller>, target: Arc<Target>, grant: Arc<Grant>, decided: jiff::Timestamp) -> Permit {
///     Permit { caller, target, grant, denying: Vec::new(), decided } // its fields are private
/// }
/// ```
///
/// ```compile_fail,E0624
/// # use access::{Caller, Grant, Permit, Target};
/// # use std::sync::Arc;
/// fn forge(caller: Arc<Caller>, target: Arc<Target>, grant: Arc<Grant>, decided: jiff::Timestamp) -> Permit {
///     Permit::new(caller, target, (grant, Vec::new()), decided) // so is its constructor
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Permit {
    caller: Arc<Caller>,
    target: Arc<Target>,
    grant: Arc<Grant>,
    /// All grants whose denials bear on the caller's calls to the target.
    denying: Vec<Arc<Grant>>,
    decided: Timestamp,
}

impl Permit {
    pub(crate) fn new(
        caller: Arc<Caller>,
        target: Arc<Target>,
        (grant, denying): (Arc<Grant>, Vec<Arc<Grant>>),
        decided: Timestamp,
    ) -> Self {
        Self { caller, target, grant, denying, decided }
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

    /// What is denied in spite of it, by its own grant and by others that are for the caller.
    pub fn denials(&self) -> impl Iterator<Item = &Rule> {
        self.denying.iter().flat_map(|grant| &grant.deny)
    }

    /// Whether the same grant covers another call, here and now, and no other denies it: everything that the decision
    /// asked is asked again, so the end of a time window acts on the next call of an open connection.
    pub fn admits(&self, call: &Call, context: &Context) -> Result<(), Reason> {
        self.allowing(call, context).map(|_| ())
    }

    /// The rule of the grant that allows a call here and now: its first deed, if it does several.
    pub fn allowing(&self, call: &Call, context: &Context) -> Result<usize, Reason> {
        let (caller, target, grant) = (&*self.caller, &*self.target, &*self.grant);
        Asked { caller, target, grant, denying: &self.denying, asking: &Asking::new() }.covers(call, context)
    }

    /// Whether the grant allows a call by the name of its action, and not by a pattern that covers it among others.
    pub fn names(&self, call: &Call) -> bool {
        self.grant.names(call, &self.target)
    }

    /// How long a session at the cloud may be: what grant or target say, and no condition forbids.
    pub fn session(&self) -> SignedDuration {
        let wanted = self.grant.session.unwrap_or(self.target.session);
        let longest = self.grant.conditions.iter().filter_map(|c| match c.condition {
            Condition::MaxSession(longest) => Some(longest),
            Condition::Mfa { .. } | Condition::From(_) | Condition::During(_) | Condition::When(_) => None,
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
