//! What one request would do.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

/// Whose API a call is to: the clouds that we countersign for, and we ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cloud {
    /// Amazon Web Services, all partitions.
    Aws,
    /// Google Cloud.
    Gcp,
    /// Microsoft Azure.
    Azure,
    /// Oracle Cloud Infrastructure.
    Oci,
    /// Our own broker's API. No config can name it: what may be done there is granted there.
    Countersign,
}

impl Cloud {
    /// The name as configs, audit and APIs write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
            Self::Oci => "oci",
            Self::Countersign => "countersign",
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not the name of a cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cloud is one of aws, gcp, azure, oci")]
pub struct UnknownCloud;

impl FromStr for Cloud {
    type Err = UnknownCloud;

    fn from_str(name: &str) -> Result<Self, UnknownCloud> {
        [Self::Aws, Self::Gcp, Self::Azure, Self::Oci].into_iter().find(|c| c.as_str() == name).ok_or(UnknownCloud)
    }
}

/// Stands in a resource for the account of the role that a call is made as: most names on the wire leave it out.
pub const OWN_ACCOUNT: &str = "{account}";

/// The resource of what acts on none in particular, such as listing all of a kind.
pub const NO_RESOURCE: &str = "*";

/// What one request would do, as far as the wire tells.
///
/// `PUT https://acme-receipts.s3.amazonaws.com/2026/07.pdf` is `aws`, service `s3`, region `us-east-1`, action
/// `s3:PutObject`, resource `arn:aws:s3:::acme-receipts/2026/07.pdf`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Whose API it is.
    pub cloud: Cloud,
    /// The name that the service signs under (AWS: the service part of the credential scope).
    pub service: String,
    /// What the service's actions begin with in the cloud's policies: `cloudwatch` for service `monitoring`.
    #[serde(default)]
    pub prefix: Cow<'static, str>,
    /// The region signed for; `None` where the service has none or the wire does not tell.
    pub region: Option<String>,
    /// `prefix:Operation` in the words of the cloud's own policies; `None` where the wire does not tell.
    pub action: Option<String>,
    /// The cloud's name for what it acts on (AWS: an ARN, perhaps with [`OWN_ACCOUNT`] in it); [`NO_RESOURCE`] for
    /// nothing in particular; `None` where the wire does not tell. Wildcards in it stand for all that they match.
    pub resource: Option<String>,
    /// What it does besides: a copy also reads its source.
    #[serde(default, skip_serializing_if = "Vec::is_empty", serialize_with = "abridged")]
    pub also: Vec<Deed>,
    /// HTTP method.
    pub method: String,
    /// Host without port, lower case.
    pub host: String,
    /// Path as on the wire, without the query: queries may carry secrets.
    pub path: String,
    /// How the path is to be read.
    #[serde(default)]
    pub spelling: Spelling,
}

/// How many of the deeds of a batch are written down: a delete names a thousand keys of a kilobyte each.
const MOST_WRITTEN: usize = 20;

/// The first of them, and one that says how many more there are.
fn abridged<S: Serializer>(also: &[Deed], serializer: S) -> Result<S::Ok, S::Error> {
    // What stands for the rest is read back as a deed, and written again as it was.
    if also.len() <= MOST_WRITTEN + 1 {
        return also.serialize(serializer);
    }
    let more = Deed { action: None, resource: Some(format!("({} more)", also.len() - MOST_WRITTEN)) };
    serializer.collect_seq(also[..MOST_WRITTEN].iter().chain([&more]))
}

/// What a call does besides, as it is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Besides<'a>(#[serde(serialize_with = "abridged")] &'a [Deed]);

/// One action on one resource. Most calls do one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed<T = String> {
    /// As [`Call::action`].
    pub action: Option<T>,
    /// As [`Call::resource`].
    pub resource: Option<T>,
}

/// What a wire path means to the service behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spelling {
    /// What it says.
    Plain,
    /// What it says when every escape in it is decoded, once.
    Escaped,
    /// One thing to who decodes or normalises it, and another to who does not: `/orders/%2e%2e/admin`.
    #[default]
    Doubtful,
}

impl Call {
    /// Everything that it does.
    pub fn deeds(&self) -> impl Iterator<Item = Deed<&str>> {
        let first = Deed { action: self.action.as_deref(), resource: self.resource.as_deref() };
        std::iter::once(first).chain(self.also.iter().map(Deed::as_deref))
    }

    /// What it does besides, if anything, to be written down.
    pub fn besides(&self) -> Option<Besides<'_>> {
        (!self.also.is_empty()).then_some(Besides(&self.also))
    }

    /// The path as the service reads it; `None` where readers differ.
    pub fn read_path(&self) -> Option<Cow<'_, str>> {
        match self.spelling {
            Spelling::Plain => Some(Cow::Borrowed(&self.path)),
            Spelling::Escaped => decoded(&self.path).map(Cow::Owned),
            Spelling::Doubtful => None,
        }
    }

    /// Writes the account of the role that the call is made as where the wire left it out.
    pub fn settle(&mut self, account: &str) {
        let also = self.also.iter_mut().map(|deed| &mut deed.resource);
        for resource in std::iter::once(&mut self.resource).chain(also).flatten() {
            if let Some(settled) = settled(resource, account) {
                *resource = settled;
            }
        }
    }
}

/// A resource with `account` in the place of [`OWN_ACCOUNT`]; `None` where that does not stand in an ARN's fifth part. An
/// object's key may hold the same letters, and means them.
pub(crate) fn settled(resource: &str, account: &str) -> Option<String> {
    let mut parts = resource.splitn(6, ':');
    let [arn, partition, service, region, own, rest] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    (own == OWN_ACCOUNT).then(|| [arn, partition, service, region, account, rest].join(":"))
}

impl Deed {
    fn as_deref(&self) -> Deed<&str> {
        Deed { action: self.action.as_deref(), resource: self.resource.as_deref() }
    }
}

/// Decodes percent-escapes; `None` where one is broken or the result is no text.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'%', [high, low, after @ ..]) => (nibble(*high)? << 4 | nibble(*low)?, after),
            (b'%', _) => return None,
            (byte, after) => (byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The book is written anew from what is read of it, and has to stay the same.
    #[test]
    fn call_that_does_a_thousand_things_is_written_with_a_few_of_them_and_their_number() {
        let deed =
            |number: usize| Deed { action: Some("s3:DeleteObject".into()), resource: Some(format!("k{number}")) };
        let call = |count: usize| Call {
            cloud: Cloud::Aws,
            service: "s3".into(),
            prefix: "s3".into(),
            region: None,
            action: None,
            resource: None,
            also: (0..count).map(deed).collect(),
            method: "POST".into(),
            host: "b.s3.amazonaws.com".into(),
            path: "/".into(),
            spelling: Spelling::Plain,
        };
        for (count, written) in [(0, 0), (21, 21), (22, 21), (999, 21)] {
            let text = serde_json::to_string(&call(count)).unwrap();
            let read: Call = serde_json::from_str(&text).unwrap();
            assert_eq!((read.also.len(), serde_json::to_string(&read).unwrap()), (written, text));
        }
        let text = serde_json::to_string(&call(999)).unwrap();
        assert!(text.contains("\"k19\"") && text.contains("(979 more)") && !text.contains("\"k20\""), "{text}");
    }
}
