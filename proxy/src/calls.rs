//! What a request is and for whom it is made, and the signature that it leaves with.

pub(crate) mod classify;
pub(crate) mod derive;
pub(crate) mod echo;
pub(crate) mod form;
pub(crate) mod identify;
pub(crate) mod sign;
pub(crate) mod sign_in_token;
pub(crate) mod skews;
pub(crate) mod standing;
