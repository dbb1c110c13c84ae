//! What every certificate of ours has in common: its serial number and how its times are written.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, SerialNumber};
use thiserror::Error;

/// How far back a certificate's validity begins, so that a client whose clock is behind ours accepts it.
pub(crate) const BACKDATED: SignedDuration = SignedDuration::from_hours(1);

/// Octets in a serial number; RFC 5280 §4.1.2.2 allows 20.
const SERIAL_BYTES: usize = 16;

/// What a certificate needs from its surroundings, and did not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unusable {
    /// The operating system gave no randomness for a serial number.
    #[error("the operating system gave no randomness")]
    Randomness,
    /// A certificate cannot carry this time, so the clock is wrong.
    #[error("the clock says {0}, which is before 1970; set the clock")]
    Clock(Timestamp),
}

/// A random serial number whose DER is positive and minimal (RFC 5280 §4.1.2.2): strict verifiers refuse a first
/// octet above `7f`, and a leading `00` that the next octet does not need.
pub(crate) fn serial() -> Result<SerialNumber, Unusable> {
    let mut octets = [0u8; SERIAL_BYTES];
    aws_lc_rs::rand::fill(&mut octets).map_err(|_| Unusable::Randomness)?;
    Ok(SerialNumber::from_slice(&positive(octets)))
}

/// Sets the two top bits to `01`: positive, never zero, and always the same length.
const fn positive(mut octets: [u8; SERIAL_BYTES]) -> [u8; SERIAL_BYTES] {
    octets[0] = (octets[0] & 0x7f) | 0x40;
    octets
}

/// When a certificate that is made now begins to be valid.
pub(crate) fn backdated(now: Timestamp) -> Timestamp {
    now.checked_sub(BACKDATED).unwrap_or(Timestamp::MIN)
}

/// Writes both ends of the validity. Certificates hold whole seconds; fractions are cut.
pub(crate) fn set_validity(
    params: &mut CertificateParams,
    not_before: Timestamp,
    not_after: Timestamp,
) -> Result<(), Unusable> {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since_epoch =
        |time: Timestamp| u64::try_from(time.as_second()).map(Duration::from_secs).map_err(|_| Unusable::Clock(time));
    params.not_before = epoch + since_epoch(not_before)?;
    params.not_after = epoch + since_epoch(not_after)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn serial_is_minimal_and_positive_whatever_the_randomness(octets: [u8; SERIAL_BYTES]) {
            let serial = positive(octets);
            prop_assert!((0x40..0x80).contains(&serial[0]));
            prop_assert_eq!(&serial[1..], &octets[1..]);
        }
    }

    #[test]
    fn clock_before_1970_is_refused() {
        let before = Timestamp::from_second(-1).unwrap();
        let refusal = set_validity(&mut CertificateParams::default(), before, Timestamp::MAX);
        assert_eq!(refusal, Err(Unusable::Clock(before)));
    }

    #[test]
    fn last_day_of_all_can_be_written() {
        let mut params = CertificateParams::default();
        set_validity(&mut params, Timestamp::UNIX_EPOCH, Timestamp::MAX).unwrap();
        assert_eq!(params.not_after.unix_timestamp(), Timestamp::MAX.as_second());
    }
}
