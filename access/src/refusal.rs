//! What a caller is told when the answer is no: whose fault, may it be tried again, what to do.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Denial;

/// A refusal, towards whoever called. It never carries a secret, nor an upstream's own words where they could.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind.
    pub code: RefusalCode,
    /// One sentence: what happened, and why.
    pub message: String,
    /// What to do about it, if we know.
    pub help: Option<String>,
    /// Whom it is about, by the issuer's name for it, once that was verified. The audit keeps it; it is told to nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// The kinds of refusal. The names are stable: audit, metrics and clients see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// No evidence, or evidence that is not a token.
    EvidenceMissing,
    /// A token whose signature, audience or issuer is wrong.
    EvidenceInvalid,
    /// A token that has ended, or is not valid yet.
    EvidenceExpired,
    /// A token of a known issuer that fulfils no source's `match`.
    SourceUnmatched,
    /// Whoever asks was cut off from everything.
    Deactivated,
    /// No grant covers the call.
    NotGranted,
    /// A grant would, but a condition does not hold.
    ConditionUnmet,
    /// The request is signed with no placeholder of ours.
    PlaceholderUnknown,
    /// The signature made with the placeholder is wrong or stale.
    PlaceholderInvalid,
    /// A placeholder was on its way to somewhere that it does not stand for.
    PlaceholderAstray,
    /// A placeholder that stood for temporary credentials, and does so no more.
    PlaceholderExpired,
    /// The answer would hold a credential that nothing can stand for.
    CredentialWithheld,
    /// The request contradicts itself or HTTP.
    RequestMalformed,
    /// A limit was passed.
    RequestTooLarge,
    /// A destination that must not be reached.
    EgressDenied,
    /// A shared proxy does not know who asks.
    ProxyAuthentication,
    /// A program that does not accept our certificate.
    InterceptionRejected,
    /// A limit on what is done at once was reached.
    ProxyBusy,
    /// More came in a second than may.
    RateLimited,
    /// A form that is not countersigned yet.
    NotSupported,
    /// The cloud refused to exchange the token for a credential.
    ExchangeRefused,
    /// The cloud could not be asked.
    ExchangeUnavailable,
    /// Our own broker could not be asked, or failed.
    BrokerUnavailable,
    /// The destination could not be reached.
    UpstreamUnavailable,
    /// The destination did not answer in time.
    UpstreamTimeout,
}

/// Who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// The program or its owner.
    Caller,
    /// Whoever runs Countersign or grants access.
    Operator,
    /// The cloud, or the network to it.
    Upstream,
}

/// Whether the same request may succeed later with nobody acting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retry {
    /// No.
    Never,
    /// Yes, after a while.
    Later,
}

impl Refusal {
    /// Takes kind and sentence.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, subject: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds whom it is about.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }
}

impl RefusalCode {
    /// All of them, in the order of their definition.
    pub const ALL: [Self; 25] = [
        Self::EvidenceMissing,
        Self::EvidenceInvalid,
        Self::EvidenceExpired,
        Self::SourceUnmatched,
        Self::Deactivated,
        Self::NotGranted,
        Self::ConditionUnmet,
        Self::PlaceholderUnknown,
        Self::PlaceholderInvalid,
        Self::PlaceholderAstray,
        Self::PlaceholderExpired,
        Self::CredentialWithheld,
        Self::RequestMalformed,
        Self::RequestTooLarge,
        Self::EgressDenied,
        Self::ProxyAuthentication,
        Self::InterceptionRejected,
        Self::ProxyBusy,
        Self::RateLimited,
        Self::NotSupported,
        Self::ExchangeRefused,
        Self::ExchangeUnavailable,
        Self::BrokerUnavailable,
        Self::UpstreamUnavailable,
        Self::UpstreamTimeout,
    ];

    /// The stable name: `not-granted`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EvidenceMissing => "evidence-missing",
            Self::EvidenceInvalid => "evidence-invalid",
            Self::EvidenceExpired => "evidence-expired",
            Self::SourceUnmatched => "source-unmatched",
            Self::Deactivated => "deactivated",
            Self::NotGranted => "not-granted",
            Self::ConditionUnmet => "condition-unmet",
            Self::PlaceholderUnknown => "placeholder-unknown",
            Self::PlaceholderInvalid => "placeholder-invalid",
            Self::PlaceholderAstray => "placeholder-astray",
            Self::PlaceholderExpired => "placeholder-expired",
            Self::CredentialWithheld => "credential-withheld",
            Self::RequestMalformed => "request-malformed",
            Self::RequestTooLarge => "request-too-large",
            Self::EgressDenied => "egress-denied",
            Self::ProxyAuthentication => "proxy-authentication",
            Self::InterceptionRejected => "interception-rejected",
            Self::ProxyBusy => "proxy-busy",
            Self::RateLimited => "rate-limited",
            Self::NotSupported => "not-supported",
            Self::ExchangeRefused => "exchange-refused",
            Self::ExchangeUnavailable => "exchange-unavailable",
            Self::BrokerUnavailable => "broker-unavailable",
            Self::UpstreamUnavailable => "upstream-unavailable",
            Self::UpstreamTimeout => "upstream-timeout",
        }
    }

    /// Who has to act.
    pub const fn fault(self) -> Fault {
        match self {
            Self::PlaceholderUnknown
            | Self::PlaceholderInvalid
            | Self::PlaceholderAstray
            | Self::PlaceholderExpired
            | Self::RequestMalformed
            | Self::RequestTooLarge
            | Self::ProxyAuthentication
            | Self::NotSupported => Fault::Caller,
            Self::EvidenceMissing
            | Self::EvidenceInvalid
            | Self::EvidenceExpired
            | Self::SourceUnmatched
            | Self::Deactivated
            | Self::NotGranted
            | Self::ConditionUnmet
            | Self::CredentialWithheld
            | Self::ExchangeRefused
            | Self::EgressDenied
            | Self::InterceptionRejected
            | Self::ProxyBusy
            | Self::RateLimited
            | Self::BrokerUnavailable => Fault::Operator,
            Self::ExchangeUnavailable | Self::UpstreamUnavailable | Self::UpstreamTimeout => Fault::Upstream,
        }
    }

    /// Whether the same request may succeed later with nobody acting. A closed window opens by itself, but not soon
    /// enough for an SDK's back-off, so it counts as never.
    pub const fn retry(self) -> Retry {
        match self {
            Self::ProxyBusy
            | Self::RateLimited
            | Self::ExchangeUnavailable
            | Self::BrokerUnavailable
            | Self::UpstreamUnavailable
            | Self::UpstreamTimeout => Retry::Later,
            Self::EvidenceMissing
            | Self::EvidenceInvalid
            | Self::EvidenceExpired
            | Self::SourceUnmatched
            | Self::Deactivated
            | Self::NotGranted
            | Self::ConditionUnmet
            | Self::PlaceholderUnknown
            | Self::PlaceholderInvalid
            | Self::PlaceholderAstray
            | Self::PlaceholderExpired
            | Self::CredentialWithheld
            | Self::RequestMalformed
            | Self::RequestTooLarge
            | Self::NotSupported
            | Self::EgressDenied
            | Self::InterceptionRejected
            | Self::ProxyAuthentication
            | Self::ExchangeRefused => Retry::Never,
        }
    }
}

impl From<&Denial> for Refusal {
    fn from(denial: &Denial) -> Self {
        use crate::Reason;
        let code = match denial.reason {
            Reason::Expired => RefusalCode::EvidenceExpired,
            Reason::Condition { .. } => RefusalCode::ConditionUnmet,
            Reason::NoTarget(_)
            | Reason::NoGrant(_)
            | Reason::Service { .. }
            | Reason::Resource { .. }
            | Reason::OtherResource { .. }
            | Reason::Request { .. }
            | Reason::Denied { .. }
            | Reason::Action { .. } => RefusalCode::NotGranted,
        };
        Self::new(code, denial.to_string())
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_codes_are_all_in_their_order() {
        let places: Vec<_> = RefusalCode::ALL.iter().map(|code| *code as usize).collect();
        assert_eq!(places, (0..=RefusalCode::UpstreamTimeout as usize).collect::<Vec<_>>());
    }
}
