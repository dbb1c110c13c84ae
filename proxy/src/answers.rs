//! What a program gets back: the destination's answer, or ours.

pub(crate) mod answer;
pub(crate) mod refuse;
pub(crate) mod switched;
pub(crate) mod trouble;
pub(crate) mod tunnel;
