//! What is taken back, as whoever lends tells it.

use access::{Epoch, Lease, LeaseId, PrincipalId, TargetName};
use serde::{Deserialize, Serialize};

/// What is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "recalled", rename_all = "snake_case", deny_unknown_fields)]
pub enum Recalled {
    /// Everything that somebody was given before an epoch.
    Principal {
        /// Whose.
        id: PrincipalId,
        /// What was given in an earlier one counts no more.
        epoch: Epoch,
    },
    /// What some hold has to be asked for again: the answer may be another one.
    Doubted {
        /// Who.
        ids: Vec<PrincipalId>,
    },
    /// One lease.
    Lease {
        /// Which.
        id: LeaseId,
    },
    /// What is held for some targets has to be asked for again: the rules have changed.
    Targets {
        /// Which; none: all.
        names: Vec<TargetName>,
    },
}

/// How far a follower has heard: the number of the last event that it knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64);

/// What a follower hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// How far it is now.
    pub position: Position,
    /// What was taken back since, in this order.
    pub recalled: Vec<Recalled>,
}

impl Recalled {
    /// Whether a lease still counts.
    pub(crate) fn leaves(&self, lease: &Lease) -> bool {
        let principal = lease.permit().caller().principal.as_deref();
        match self {
            Self::Principal { id, epoch } => principal.is_none_or(|it| it.id != *id || it.epoch >= *epoch),
            Self::Doubted { ids } => principal.is_none_or(|it| !ids.contains(&it.id)),
            Self::Lease { id } => lease.id() != *id,
            Self::Targets { names } => !names.is_empty() && !names.contains(&lease.permit().target().name),
        }
    }
}
