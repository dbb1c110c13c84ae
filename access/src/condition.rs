//! What must hold besides being named in a grant: a second factor, a network, an hour, a length of session.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Call, Caller, ConditionName, Context, Networks, Target, TimeWindow, When, written};

/// One condition of a grant: `{"mfa": {"within_s": 900}}`, `{"from": ["10.0.0.0/8"]}`, `{"max_session_s": 3600}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// A second factor was shown, not longer ago than this if a time is given. A workload has none, so it never meets this.
    Mfa {
        /// How long ago at the most.
        #[serde(
            default,
            rename = "within_s",
            skip_serializing_if = "Option::is_none",
            with = "written::seconds::maybe"
        )]
        within: Option<SignedDuration>,
    },
    /// The call comes from one of these networks; from an unknown address it does not.
    From(Networks),
    /// The window is open.
    During(TimeWindow),
    /// No session, of the person or at the cloud, is longer than this.
    #[serde(rename = "max_session_s", with = "written::seconds")]
    MaxSession(SignedDuration),
    /// An expression is true of the caller and the call.
    When(When),
}

/// A condition and, if the operator gave it one, its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedCondition {
    /// The name under which the config defines it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ConditionName>,
    /// The condition.
    pub condition: Condition,
}

/// Why a condition does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmet {
    /// No second factor was shown.
    #[error("a second factor is required and none was shown")]
    NoMfa,
    /// It was shown too long ago.
    #[error("the second factor was shown {ago:#} ago; at most {within:#} is allowed")]
    StaleMfa {
        /// How long ago it was shown.
        ago: SignedDuration,
        /// How long ago it may have been.
        within: SignedDuration,
    },
    /// Nobody knows where the call comes from.
    #[error("the caller's address is not known, and only some networks are allowed")]
    UnknownNetwork,
    /// It comes from elsewhere.
    #[error("{address} is in none of the allowed networks")]
    Network {
        /// Where it comes from.
        address: std::net::IpAddr,
    },
    /// The window is closed.
    #[error("{local} is outside the time window{}", next(opens.as_deref()))]
    Closed {
        /// The time on the wall in the window's zone.
        local: String,
        /// When it opens again.
        opens: Option<String>,
    },
    /// The person's session is too old.
    #[error("the session began {ago:#} ago; at most {longest:#} is allowed")]
    LongSession {
        /// How long ago it began.
        ago: SignedDuration,
        /// How long it may be.
        longest: SignedDuration,
    },
    /// The expression is false.
    #[error("`{when}` is false{}", where_seen(seen))]
    False {
        /// The expression.
        when: String,
        /// What it was asked about.
        seen: String,
    },
    /// Nobody can tell whether the expression is true.
    #[error("whether `{when}` is true cannot be told: {why}")]
    Untold {
        /// The expression.
        when: String,
        /// What is missing.
        why: String,
    },
    /// More expressions than one decision asks.
    #[error("the caller has more grants with expressions than one decision asks")]
    TooMuch,
}

fn where_seen(seen: &str) -> String {
    if seen.is_empty() { String::new() } else { format!(": {seen}") }
}

fn next(opens: Option<&str>) -> String {
    opens.map(|at| format!("; it opens {at}")).unwrap_or_default()
}

impl Condition {
    /// Whether it holds for what `caller` would do in `context`. What cannot be told does not hold.
    pub fn check(&self, caller: &Caller, (call, target): (&Call, &Target), context: &Context) -> Result<(), Unmet> {
        match self {
            Self::Mfa { within } => mfa(caller, *within, context.now),
            Self::From(networks) => match context.from {
                None => Err(Unmet::UnknownNetwork),
                Some(address) if networks.contain(address) => Ok(()),
                Some(address) => Err(Unmet::Network { address: address.to_canonical() }),
            },
            Self::During(window) if window.contains(context.now) => Ok(()),
            Self::During(window) => Err(closed(window, context.now)),
            Self::MaxSession(longest) => max_session(caller, *longest, context.now),
            Self::When(when) => when.check(caller, (call, target), context),
        }
    }

    /// The last instant to which something lent at `now` may be used under this condition, if it sets one.
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            // What an expression says of the time is asked again at every call.
            Self::Mfa { .. } | Self::From(_) | Self::When(_) => None,
            Self::During(window) => window.closes(now),
            Self::MaxSession(longest) => now.checked_add(*longest).ok(),
        }
    }
}

fn mfa(caller: &Caller, within: Option<SignedDuration>, now: Timestamp) -> Result<(), Unmet> {
    let shown = caller.assurance.mfa.ok_or(Unmet::NoMfa)?;
    let Some(within) = within else { return Ok(()) };
    let ago = now.duration_since(shown);
    if ago > within { Err(Unmet::StaleMfa { ago, within }) } else { Ok(()) }
}

fn max_session(caller: &Caller, longest: SignedDuration, now: Timestamp) -> Result<(), Unmet> {
    let Some(began) = caller.assurance.signed_in else { return Ok(()) };
    let ago = now.duration_since(began);
    if ago >= longest { Err(Unmet::LongSession { ago, longest }) } else { Ok(()) }
}

fn closed(window: &TimeWindow, now: Timestamp) -> Unmet {
    const SHOWN: &str = "%a %Y-%m-%d %H:%M %Z";
    Unmet::Closed {
        local: now.to_zoned(window.zone().clone()).strftime(SHOWN).to_string(),
        opens: window.opens(now).map(|at| at.strftime(SHOWN).to_string()),
    }
}

impl std::fmt::Display for NamedCondition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(name) = &self.name {
            return write!(f, "{name}");
        }
        f.write_str(match self.condition {
            Condition::Mfa { .. } => "require_mfa",
            Condition::From(_) => "allowed_ips",
            Condition::During(_) => "time_window",
            Condition::MaxSession(_) => "max_session",
            Condition::When(_) => "when",
        })
    }
}
