//! Typed ids: the names that an operator gives to things, and the ids that we give to leases and requests.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

/// Longest name an operator may give: it must still fit beside others in an AWS session name (64 characters).
const MAX_NAME: usize = 64;

/// A name that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing was written.
    #[error("a name must not be empty")]
    Empty,
    /// More than 64 characters.
    #[error("a name has at most {MAX_NAME} characters")]
    TooLong,
    /// A character outside `[A-Za-z0-9._/:@-]`, or one of the marks at either end.
    #[error("a name is made of letters, digits and `. _ - / : @`, and starts and ends with a letter or digit")]
    Character,
}

fn check(name: &str) -> Result<(), InvalidName> {
    let (Some(first), Some(last)) = (name.bytes().next(), name.bytes().next_back()) else {
        return Err(InvalidName::Empty);
    };
    if name.len() > MAX_NAME {
        return Err(InvalidName::TooLong);
    }
    let inside = |b: u8| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b);
    let at_end = |b: u8| b.is_ascii_alphanumeric();
    if !(name.bytes().all(inside) && at_end(first) && at_end(last)) {
        return Err(InvalidName::Character);
    }
    Ok(())
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a name of 1 to 64 letters, digits and `. _ - / : @`.
            pub fn new(name: &str) -> Result<Self, InvalidName> {
                check(name).map(|()| Self(name.into()))
            }

            /// The name as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(name: String) -> Result<Self, InvalidName> {
                Self::new(&name)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    )+};
}

names! {
    /// Where an identity comes from: `billing-pods`.
    SourceName,
    /// What may be reached: `receipts`.
    TargetName,
    /// A grant: `billing-reads-receipts`.
    GrantName,
    /// A role that callers have: `cloud-admin`.
    RoleName,
    /// A group that callers are in: `engineering`.
    GroupName,
    /// A condition with a name: `office-hours`.
    ConditionName,
}

macro_rules! uuids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes a UUID that the caller made (UUIDv7, so that ids sort by time; RFC 9562 §5.7).
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID inside.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

uuids! {
    /// One lease; audit events and access records name it.
    LeaseId,
    /// One request through the proxy; the program sees it in `x-amzn-requestid`, the audit under the same value.
    RequestId,
    /// Somebody or something in a directory. An id is never given a second time, also not to who is created anew.
    PrincipalId,
    /// A group in a directory.
    GroupId,
    /// A role in a directory.
    RoleId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_control_characters_spaces_or_hanging_marks_are_refused() {
        for name in ["a b", "a\n", "-a", "a/", "é", "a\"b"] {
            assert_eq!(TargetName::new(name), Err(InvalidName::Character), "{name:?}");
        }
        assert_eq!(TargetName::new(""), Err(InvalidName::Empty));
        assert_eq!(TargetName::new(&"a".repeat(65)), Err(InvalidName::TooLong));
        assert!(TargetName::new("production/Admin").is_ok());
    }
}
