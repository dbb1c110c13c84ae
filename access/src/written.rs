//! How rules are written down as JSON, to be kept in a database, sent over an API, and carried in a signed permit.
//!
//! The shape is stable, and what is read is what was written: `read(write(x)) == x`. Unknown fields are refused, since what
//! one version does not know may be what narrows a grant. A list that is written is not empty: where leaving it out means
//! *any*, an empty one would be *none* to its reader. What these words cannot say is refused on writing, not rounded.

/// Lengths of time, in whole seconds: `"within_s": 900`.
pub(crate) mod seconds {
    use jiff::SignedDuration;
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Nothing that is lent or asked about lasts longer than a year; the days more are for those who count in leap years.
    const LONGEST_S: u64 = 366 * 86_400;

    pub(crate) fn serialize<S: Serializer>(length: &SignedDuration, serializer: S) -> Result<S::Ok, S::Error> {
        let whole = u64::try_from(length.as_secs()).ok().filter(|s| *s <= LONGEST_S && length.subsec_nanos() == 0);
        serializer.serialize_u64(whole.ok_or_else(|| S::Error::custom("not a number of whole seconds of a year"))?)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedDuration, D::Error> {
        let seconds = u64::deserialize(deserializer)?;
        let within = i64::try_from(seconds).ok().filter(|_| seconds <= LONGEST_S);
        within.map(SignedDuration::from_secs).ok_or_else(|| D::Error::custom("longer than a year"))
    }

    /// The same where there may be none.
    pub(crate) mod maybe {
        use serde::Serialize;

        use super::{Deserialize, Deserializer, Serializer, SignedDuration};

        #[derive(Serialize, Deserialize)]
        #[serde(transparent)]
        struct Seconds(#[serde(with = "super")] SignedDuration);

        pub(crate) fn serialize<S: Serializer>(
            length: &Option<SignedDuration>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            length.map(Seconds).serialize(serializer)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<SignedDuration>, D::Error> {
            Ok(Option::<Seconds>::deserialize(deserializer)?.map(|Seconds(length)| length))
        }
    }
}

/// A list that may be left out, but is not empty where it is written.
pub(crate) fn non_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    let list = <Vec<T> as serde::Deserialize>::deserialize(deserializer)?;
    if list.is_empty() {
        return Err(serde::de::Error::custom("this list is empty; leave it out, or write what is in it"));
    }
    Ok(list)
}

#[cfg(test)]
#[path = "written_tests.rs"]
mod tests;
