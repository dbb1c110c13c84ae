//! What STS says about a proof.

use http::StatusCode;
use serde::Deserialize;

use super::Principal;

/// Who STS says it was.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CallerIdentity {
    /// 12 digits.
    pub account: String,
    /// `arn:aws:sts::111122223333:assumed-role/Checkout/i-0abc`
    pub arn: String,
    /// `AROAEXAMPLE:i-0abc`: another one when a role of the same name is made again.
    pub user_id: String,
}

/// STS does not say who.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoIdentity {
    /// It says no. Its code is told; its words may hold what was signed.
    #[error("STS refuses it: {0}")]
    Refused(String),
    /// It cannot answer now.
    #[error("STS cannot answer now: {0}")]
    Unavailable(String),
    /// Not the answer of STS.
    #[error("what answered (status {0}) does not speak the language of STS")]
    Unreadable(StatusCode),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "GetCallerIdentityResponse")]
    response: Response,
}

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "GetCallerIdentityResult")]
    result: CallerIdentity,
}

#[derive(Deserialize)]
struct Refused {
    #[serde(rename = "Error")]
    error: Code,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Code {
    code: String,
}

/// Reads the answer of STS to a request that asked for JSON.
///
/// # Errors
/// [`NoIdentity`], also if the parts of the answer contradict one another.
pub fn answer(status: StatusCode, body: &[u8]) -> Result<CallerIdentity, NoIdentity> {
    if status == StatusCode::OK {
        let Ok(Answer { response: Response { result } }) = serde_json::from_slice(body) else {
            return Err(NoIdentity::Unreadable(status));
        };
        let agrees = Principal::parse(&result.arn).is_some_and(|principal| principal.account == result.account);
        let well_formed = agrees && !result.user_id.is_empty() && result.user_id.bytes().all(|b| b.is_ascii_graphic());
        return if well_formed { Ok(result) } else { Err(NoIdentity::Unreadable(status)) };
    }
    let Ok(Refused { error: Code { code } }) = serde_json::from_slice(body) else {
        return Err(match status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            true => NoIdentity::Unavailable(status.to_string()),
            false => NoIdentity::Unreadable(status),
        });
    };
    const LONGEST: usize = 64;
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(LONGEST).collect();
    let may_pass = matches!(&*code, "Throttling" | "ThrottlingException" | "InternalFailure" | "ServiceUnavailable");
    if may_pass || status.is_server_error() {
        Err(NoIdentity::Unavailable(code))
    } else {
        Err(NoIdentity::Refused(code))
    }
}
