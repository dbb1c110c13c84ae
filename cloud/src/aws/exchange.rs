//! Asks STS to exchange a token for a credential: `AssumeRoleWithWebIdentity`, unsigned, at the region's own STS.
//!
//! Pure: builds the request, reads the answer. Session tags and source identity have no parameter here; they are claims
//! of the token.

use access::{AwsCredential, Secret};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use jiff::SignedDuration;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::partition::partition_of;
use super::policy::SessionPolicy;
use super::sts_answer::{self, AnswerError};

/// The API version of every STS call.
const VERSION: &str = "2011-06-15";

/// `DurationSeconds` (STS API reference).
const SHORTEST: SignedDuration = SignedDuration::from_secs(900);
const LONGEST: SignedDuration = SignedDuration::from_hours(12);

/// At most ten managed policies narrow a session.
const MAX_POLICIES: usize = 10;

/// Inline policy and policy ARNs share this many characters.
const MAX_POLICY_CHARACTERS: usize = 2048;

/// Everything but the unreserved characters of RFC 3986 §2.3.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What is exchanged, for what.
#[derive(Debug, Clone)]
pub struct Exchange<'a> {
    /// The region whose STS is asked.
    pub region: &'a str,
    /// The role to assume.
    pub role_arn: &'a str,
    /// Shown by CloudTrail; 2–64 of `A–Z a–z 0–9 _ + = , . @ -`.
    pub session_name: &'a str,
    /// The signed JWT.
    pub token: &'a Secret<String>,
    /// 15 minutes to 12 hours, and no longer than the role allows.
    pub duration: SignedDuration,
    /// Narrows the session to this.
    pub policy: Option<&'a SessionPolicy>,
    /// Narrow it to these managed policies too.
    pub policy_arns: &'a [String],
}

/// What STS gave.
#[derive(Debug, Clone)]
pub struct Assumed {
    /// The credential.
    pub credential: AwsCredential,
    /// `arn:aws:sts::111122223333:assumed-role/ROLE/SESSION`
    pub arn: String,
}

/// What STS would refuse, or would be asked in vain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Not the shape of a region in any partition.
    #[error("`{0}` is not an AWS region; write one like eu-central-1")]
    Region(String),
    /// Not an ARN of an IAM role, of 20–2048 characters.
    #[error("`{0}` is not the ARN of an IAM role; write arn:aws:iam::111122223333:role/NAME")]
    RoleArn(String),
    /// China's STS knows no role of another partition, and so on.
    #[error("the role is in partition {role}, the region in {region}; ask the STS of a region in the role's partition")]
    Partition {
        /// The role's.
        role: String,
        /// The region's.
        region: &'static str,
    },
    /// Outside 2–64 characters of `[\w+=,.@-]`.
    #[error("session name `{0}` is not 2–64 letters, digits and `_+=,.@-`")]
    SessionName(String),
    /// Outside 4–20000 characters.
    #[error("the token has {0} characters; STS takes 4 to 20000")]
    Token(usize),
    /// Outside 15 minutes to 12 hours.
    #[error("a session of {0:#} cannot be had; STS gives 15m to 12h")]
    Duration(SignedDuration),
    /// More than ten managed policies.
    #[error("{0} managed policies narrow the session; STS takes {MAX_POLICIES}")]
    TooManyPolicies(usize),
    /// Not the ARN of a managed policy.
    #[error("`{0}` is not the ARN of a managed policy")]
    PolicyArn(String),
    /// Policy and ARNs are too long together.
    #[error(
        "session policy and policy ARNs have {0} characters together; STS takes {MAX_POLICY_CHARACTERS}: use wider patterns"
    )]
    PolicySize(usize),
}

impl Exchange<'_> {
    /// The request to send. Its body holds the token: never log it.
    pub fn request(&self) -> Result<Request<Bytes>, ExchangeError> {
        self.check()?;
        let uri = format!("https://{}/", sts_host(self.region)?);
        let mut request = Request::new(Bytes::from(self.form()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.parse().map_err(|_| ExchangeError::Region(self.region.to_owned()))?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/xml"));
        Ok(request)
    }

    fn check(&self) -> Result<(), ExchangeError> {
        let region = partition_of(self.region).ok_or_else(|| ExchangeError::Region(self.region.to_owned()))?;
        let role = role_partition(self.role_arn).ok_or_else(|| ExchangeError::RoleArn(self.role_arn.to_owned()))?;
        if role != region.id {
            return Err(ExchangeError::Partition { role: role.to_owned(), region: region.id });
        }
        if !is_session_name(self.session_name) {
            return Err(ExchangeError::SessionName(self.session_name.to_owned()));
        }
        let token = self.token.expose().chars().count();
        if !(4..=20_000).contains(&token) {
            return Err(ExchangeError::Token(token));
        }
        if !(SHORTEST..=LONGEST).contains(&self.duration) {
            return Err(ExchangeError::Duration(self.duration));
        }
        self.check_policies()
    }

    fn check_policies(&self) -> Result<(), ExchangeError> {
        if self.policy_arns.len() > MAX_POLICIES {
            return Err(ExchangeError::TooManyPolicies(self.policy_arns.len()));
        }
        if let Some(arn) = self.policy_arns.iter().find(|arn| !is_policy_arn(arn)) {
            return Err(ExchangeError::PolicyArn(arn.clone()));
        }
        let inline = self.policy.map_or(0, |policy| policy.as_str().chars().count());
        let size = inline + self.policy_arns.iter().map(String::len).sum::<usize>();
        if size > MAX_POLICY_CHARACTERS { Err(ExchangeError::PolicySize(size)) } else { Ok(()) }
    }

    fn form(&self) -> String {
        let mut form = String::with_capacity(1024 + self.token.expose().len());
        let mut field = |name: &str, value: &str| {
            if !form.is_empty() {
                form.push('&');
            }
            form.push_str(name);
            form.push('=');
            form.extend(utf8_percent_encode(value, FORM));
        };
        field("Action", "AssumeRoleWithWebIdentity");
        field("Version", VERSION);
        field("RoleArn", self.role_arn);
        field("RoleSessionName", self.session_name);
        field("DurationSeconds", &self.duration.as_secs().to_string());
        if let Some(policy) = self.policy {
            field("Policy", policy.as_str());
        }
        for (i, arn) in self.policy_arns.iter().enumerate() {
            field(&format!("PolicyArns.member.{}.arn", i + 1), arn);
        }
        field("WebIdentityToken", self.token.expose());
        form
    }
}

/// Reads what STS answered. `body` is what the caller was willing to read: an answer takes a few KiB.
pub fn answer(status: http::StatusCode, body: &[u8]) -> Result<Assumed, AnswerError> {
    sts_answer::read(status, body)
}

/// The region's own STS: `sts.eu-central-1.amazonaws.com`. Its tokens are valid in every region of the partition, which
/// those of the global endpoint are not.
pub fn sts_host(region: &str) -> Result<String, ExchangeError> {
    let partition = partition_of(region).ok_or_else(|| ExchangeError::Region(region.to_owned()))?;
    Ok(format!("sts.{region}.{}", partition.dns_suffix))
}

/// The partition of `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`.
fn role_partition(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let (head, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let name = resource.strip_prefix("role/")?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
    let fits = (20..=2048).contains(&arn.len());
    ((head, service, region) == ("arn", "iam", "") && is_account && is_name && fits).then_some(partition)
}

fn is_policy_arn(arn: &str) -> bool {
    let text = arn.bytes().all(|b| b.is_ascii_graphic());
    (20..=2048).contains(&arn.len()) && text && arn.starts_with("arn:") && arn.contains(":policy/")
}

fn is_session_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    (2..=64).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use access::{Pattern, Rule};

    use super::*;
    use crate::aws::policy::Narrowing;

    fn token() -> Secret<String> {
        Secret::new("eyJ.a+b/c=.sig".to_owned())
    }

    fn exchange(token: &Secret<String>) -> Exchange<'_> {
        Exchange {
            region: "eu-central-1",
            role_arn: "arn:aws:iam::111122223333:role/team/Receipts",
            session_name: "billing@acme",
            token,
            duration: SignedDuration::from_mins(15),
            policy: None,
            policy_arns: &[],
        }
    }

    #[test]
    fn the_request_goes_to_the_regions_own_sts_with_every_field_encoded() {
        let token = token();
        let (any, no_iam) = (Rule::default(), Rule::from(Pattern::new("iam:*").unwrap()));
        let narrowing = Narrowing { allow: &[any], deny: &[&no_iam], ..Narrowing::default() };
        let policy = SessionPolicy::compile(narrowing).unwrap().unwrap();
        let arns = ["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()];
        let request = Exchange { policy: Some(&policy), policy_arns: &arns, ..exchange(&token) }.request().unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "https://sts.eu-central-1.amazonaws.com/");
        let body = std::str::from_utf8(request.body()).unwrap();
        assert_eq!(
            body,
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15\
             &RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fteam%2FReceipts&RoleSessionName=billing%40acme\
             &DurationSeconds=900&Policy=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A\
             %22Allow%22%2C%22Action%22%3A%22%2A%22%2C%22Resource%22%3A%22%2A%22%7D%2C%7B%22Effect%22%3A%22Deny%22%2C\
             %22Action%22%3A%22iam%3A%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D\
             &PolicyArns.member.1.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FReadOnlyAccess\
             &WebIdentityToken=eyJ.a%2Bb%2Fc%3D.sig"
        );
    }

    #[test]
    fn every_partition_has_its_own_sts() {
        for (region, host) in [
            ("us-east-1", "sts.us-east-1.amazonaws.com"),
            ("us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
            ("us-iso-east-1", "sts.us-iso-east-1.c2s.ic.gov"),
            ("eusc-de-east-1", "sts.eusc-de-east-1.amazonaws.eu"),
        ] {
            assert_eq!(sts_host(region).as_deref(), Ok(host));
        }
        for no_region in ["", "eu-central-1.evil.example/", "EU-CENTRAL-1", "aws-global"] {
            assert!(matches!(sts_host(no_region), Err(ExchangeError::Region(_))), "{no_region}");
        }
    }

    #[test]
    fn what_sts_would_refuse_is_refused_before_it_is_asked() {
        let token = token();
        let good = exchange(&token);
        let refused = |exchange: Exchange<'_>| exchange.request().unwrap_err();
        let partition = Exchange { region: "cn-north-1", ..good.clone() };
        assert!(matches!(refused(partition), ExchangeError::Partition { region: "aws-cn", .. }));
        for arn in
            ["", "arn:aws:iam::111122223333:user/Bob", "arn:aws:iam::1:role/R", "arn:aws:iam::111122223333:role/"]
        {
            assert!(matches!(refused(Exchange { role_arn: arn, ..good.clone() }), ExchangeError::RoleArn(_)), "{arn}");
        }
        for name in ["a", "with space", "semi;colon", &"x".repeat(65)] {
            let named = Exchange { session_name: name, ..good.clone() };
            assert!(matches!(refused(named), ExchangeError::SessionName(_)), "{name}");
        }
        for duration in [SignedDuration::from_secs(899), SignedDuration::from_secs(43_201)] {
            assert_eq!(refused(Exchange { duration, ..good.clone() }), ExchangeError::Duration(duration));
        }
        let long = Secret::new("x".repeat(20_001));
        assert_eq!(refused(Exchange { token: &long, ..good.clone() }), ExchangeError::Token(20_001));
        let many = vec!["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned(); 11];
        assert_eq!(refused(Exchange { policy_arns: &many, ..good.clone() }), ExchangeError::TooManyPolicies(11));
        let big = vec![format!("arn:aws:iam::aws:policy/{}", "x".repeat(300)); 7];
        assert_eq!(refused(Exchange { policy_arns: &big, ..good.clone() }), ExchangeError::PolicySize(7 * 324));
        let odd = ["arn:aws:iam::aws:role/X-not-a-policy".to_owned()];
        assert!(matches!(refused(Exchange { policy_arns: &odd, ..good }), ExchangeError::PolicyArn(_)));
    }
}
