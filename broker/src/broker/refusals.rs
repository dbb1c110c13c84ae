//! Why nothing was lent, in words that say what to do.

use access::{Call, Caller, Denial, Lease, Reason, Refusal, RefusalCode};

use crate::directory::DirectoryError;
use crate::outbound::in_words;
use crate::scribe::Unwritten;
use crate::tokens::MintError;

/// A denial, and what would change it.
pub(super) fn helped(denial: &Denial, caller: &Caller, call: &Call) -> Refusal {
    let refusal = Refusal::from(denial);
    match &denial.reason {
        Reason::NoGrant(target) => {
            let sources = caller.sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            refusal.help(format!(
                "{} came in through {sources}; a grant from there to {target} would let it",
                caller.subject
            ))
        }
        Reason::Action { .. } => {
            let action = call.action.as_deref().unwrap_or("the whole service, since the request names no action");
            refusal.help(format!("add {action} to the grant's `allow` if that is meant"))
        }
        Reason::OtherResource { grant, resource: Some(resource), .. } => {
            refusal.help(format!("add {resource} to the rule's `resources` in grant {grant} if that is meant"))
        }
        Reason::OtherResource { grant, resource: None, .. } => {
            refusal.help(format!("let a rule of grant {grant} allow that action without `resources` if that is meant"))
        }
        Reason::Request { grant, .. } => {
            refusal.help(format!("add method and path to a rule of grant {grant} if that is meant"))
        }
        Reason::Denied { .. } => {
            refusal.help("a denial counts whatever else allows the call; take it out or narrow it")
        }
        Reason::Expired => {
            refusal.help("is the projected volume mounted? kubelet renews the token there before it ends")
        }
        Reason::NoTarget(_) | Reason::Service { .. } | Reason::Resource { .. } | Reason::Condition { .. } => refusal,
    }
}

pub(super) fn unresolved(error: &DirectoryError) -> Refusal {
    Refusal::new(RefusalCode::BrokerUnavailable, format!("the directory cannot be asked: {}", in_words(error)))
}

pub(super) fn unsigned(error: &MintError) -> Refusal {
    Refusal::new(RefusalCode::BrokerUnavailable, format!("no token can be signed: {}", in_words(error)))
}

pub(super) fn ended(lease: &Lease) -> Refusal {
    let message = format!("what was obtained for the call has ended already, at {}", lease.until());
    Refusal::new(RefusalCode::ExchangeUnavailable, message).help("does the clock of this machine go right?")
}

pub(super) fn cut_off() -> Refusal {
    Refusal::new(RefusalCode::Deactivated, "whoever asks was deactivated in the directory")
        .help("an administrator of the organisation can activate it again")
}

pub(super) fn unwritten(error: &Unwritten) -> Refusal {
    if matches!(error, Unwritten::CutOff) {
        return cut_off();
    }
    Refusal::new(
        RefusalCode::BrokerUnavailable,
        format!("nothing is lent that is not written down: {}", in_words(error)),
    )
    .help("is the disk with the store full or read-only, or does another process hold the store?")
}
