//! Tokens that AWS gives its principals (`sts:GetWebIdentityToken`): one issuer for each account.

use access::{Refusal, RefusalCode};
use cloud::aws::caller::Principal;
use jsonwebtoken::Algorithm;
use serde::Deserialize;

use super::claims::Claims;
use super::fit::Facts;
use super::jws::{Needed, Rules};
use super::keyset::Usage;
use super::shown;

/// What they are like (AWS, "Understanding token claims").
pub(super) const RULES: Rules = Rules {
    noun: "AWS token",
    whole: "a web identity token of AWS",
    obtain: "aws sts get-web-identity-token, at a regional endpoint",
    audience: "aws sts get-web-identity-token --audience {}",
    renew: "ask STS again; tokens last for five minutes unless more is asked for",
    types: &[],
    algorithms: &[Algorithm::RS256, Algorithm::ES384],
    kid: Needed::Yes,
    issued_at: Needed::Yes,
    keys: Usage::Signatures,
};

#[derive(Debug, Deserialize)]
struct Token {
    #[serde(rename = "https://sts.amazonaws.com/")]
    sts: Sts,
}

#[derive(Debug, Deserialize)]
struct Sts {
    aws_account: String,
    source_region: Option<String>,
    org_id: Option<String>,
    ou_path: Option<String>,
    lambda_source_function_arn: Option<String>,
}

/// What the token says. Tags are not told: whoever asks for a token chooses `request_tags`.
pub(super) fn facts(claims: &Claims, subject: &str) -> Result<Facts, Refusal> {
    let Token { sts } = claims.read(&RULES)?;
    let principal = Principal::parse(subject).filter(|principal| principal.account == sts.aws_account);
    let Some(principal) = principal else {
        let message = format!("the AWS token is for {} and of account {}", shown(subject), shown(&sts.aws_account));
        return Err(Refusal::new(RefusalCode::EvidenceInvalid, message));
    };
    let all = [
        ("account", Some(sts.aws_account)),
        ("arn", Some(subject.to_owned())),
        ("role", principal.role()),
        ("region", sts.source_region),
        ("organization", sts.org_id),
        ("ou_path", sts.ou_path),
        ("lambda_function", sts.lambda_source_function_arn),
    ];
    Ok(Facts { attributes: super::told(all), ..Facts::default() })
}
