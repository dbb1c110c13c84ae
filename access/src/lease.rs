//! Permit + credential + until.

use jiff::Timestamp;

use crate::denial::Reason;
use crate::{Call, Context, Credential, LeaseId, Permit};

/// A credential lent to a caller for a while. There is none without a [`Permit`], and no signature without one.
#[derive(Debug, Clone)]
pub struct Lease {
    id: LeaseId,
    permit: Permit,
    credential: Credential,
    issued: Timestamp,
    until: Timestamp,
}

impl Lease {
    /// Binds a credential to the permit that it was obtained for. It ends when the first of the two does.
    pub fn new(id: LeaseId, permit: Permit, credential: Credential, issued: Timestamp) -> Self {
        let until = permit.until().min(credential.expires());
        Self { id, permit, credential, issued, until }
    }

    /// Its id, which audit events and access records name.
    pub const fn id(&self) -> LeaseId {
        self.id
    }

    /// What it was lent for.
    pub const fn permit(&self) -> &Permit {
        &self.permit
    }

    /// When it was lent.
    pub const fn issued(&self) -> Timestamp {
        self.issued
    }

    /// When it ends.
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// Whether it may be used at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.until
    }

    /// Whether it covers `call`, here and now.
    pub fn admits(&self, call: &Call, context: &Context) -> Result<(), Reason> {
        if !self.is_live(context.now) {
            return Err(Reason::Expired);
        }
        self.permit.admits(call, context)
    }

    /// The credential, to sign with.
    pub const fn credential(&self) -> &Credential {
        &self.credential
    }
}
