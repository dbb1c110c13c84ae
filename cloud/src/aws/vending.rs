//! Operations that hand out credentials, and of what kind. Generated from the service models.

use std::collections::HashMap;
use std::sync::OnceLock;

use access::Call;

use super::endpoints::resolve;
use super::{action, operations, sign_in};

/// `cloud/tools/aws_credentials.py` writes it and describes its lines.
const GENERATED: &str = include_str!("../../data/aws_credentials.tsv");

/// What of credentials the answer to a call holds, if the cloud does what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vends {
    /// None.
    Nothing,
    /// None that we know of, at a service or by a name that makes us look whether it is so.
    Hardly,
    /// Access keys with their session tokens.
    Keys {
        /// The answer may be without.
        perhaps: bool,
    },
    /// An access key or a password that has no end.
    Lasting,
    /// Another proof of an identity at AWS, for something that is not signed as AWS's APIs are: a registry, a database.
    Token,
    /// The service hands out credentials, and the request does not say clearly whether this is one that does.
    Unclear,
}

#[derive(Debug)]
struct Table {
    actions: HashMap<&'static str, Vends>,
    services: Vec<&'static str>,
}

/// What operations that hand out credentials have in their names, for those that are newer than the table.
const TELLING: [&str; 6] = ["access", "assume", "credential", "federat", "session", "token"];

/// What `call` hands out.
///
/// A request that could be read in two ways has no action ([`super::recognise`]). Where the service hands out credentials,
/// it is unclear then, and not nothing: two names for one request would otherwise be a way to have an answer through
/// unread. Of S3 that is true of the hosts alone that make sessions: much of S3 has no action.
pub fn vends(call: &Call) -> Vends {
    let table = table();
    let is_s3 = action::is_s3_family(&call.service);
    match &call.action {
        Some(action) => match table.actions.get(action.as_str()) {
            Some(known) => *known,
            None if !is_s3 && (table.services.contains(&call.service.as_str()) || is_telling(action)) => Vends::Hardly,
            None => Vends::Nothing,
        },
        // A page, or another spelling of a path at which keys are handed out.
        None if sign_in::is_for_people(&call.host) => Vends::Hardly,
        None if is_s3 && !makes_s3_sessions(&call.host) => Vends::Nothing,
        None if is_s3 || table.services.contains(&call.service.as_str()) => Vends::Unclear,
        None if operations::service(&call.service).is_none() => Vends::Hardly,
        None => Vends::Nothing,
    }
}

/// The same for a call that nobody signed. At a host that stands in for a cloud it may be any call: what it says of
/// itself there was taken from a URL that somebody else signed.
pub fn vends_to_anybody(call: &Call) -> Vends {
    match vends(call) {
        Vends::Nothing if resolve(&call.host).is_err() => Vends::Hardly,
        known => known,
    }
}

fn is_telling(action: &str) -> bool {
    let operation = action.split(':').next_back().unwrap_or_default().to_ascii_lowercase();
    TELLING.iter().any(|word| operation.contains(word))
}

/// Directory buckets (`CreateSession`), and S3 Control (`GetDataAccess`).
fn makes_s3_sessions(host: &str) -> bool {
    host.split('.').any(|label| label.starts_with("s3express") || label.starts_with("s3-control") || label == "control")
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let rows = || GENERATED.lines().filter_map(row);
        Table {
            actions: rows().map(|(action, _, vends)| (action, vends)).collect(),
            services: rows().map(|(_, service, _)| service).collect(),
        }
    })
}

fn row(line: &'static str) -> Option<(&'static str, &'static str, Vends)> {
    let mut fields = line.split('\t');
    let (kind, action, service, when) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let vends = match kind {
        "keys" => Vends::Keys { perhaps: when == "perhaps" },
        "lasting" => Vends::Lasting,
        "token" => Vends::Token,
        _ => return None,
    };
    Some((action, service, vends))
}

#[cfg(test)]
mod tests {
    use access::{Cloud, Spelling};

    use super::*;

    fn of(service: &str, action: Option<&str>) -> Vends {
        at("x.amazonaws.com", service, action)
    }

    fn at(host: &str, service: &str, action: Option<&str>) -> Vends {
        vends(&Call { action: action.map(str::to_owned), ..at_call(host, service) })
    }

    fn at_call(host: &str, service: &str) -> Call {
        Call {
            cloud: Cloud::Aws,
            service: service.into(),
            prefix: service.to_owned().into(),
            region: None,
            action: None,
            resource: None,
            also: Vec::new(),
            method: "POST".into(),
            host: host.into(),
            path: "/".into(),
            spelling: Spelling::Plain,
        }
    }

    #[test]
    fn operations_that_hand_out_credentials_are_known_by_their_actions() {
        for (service, action, expected) in [
            ("sts", "sts:AssumeRole", Vends::Keys { perhaps: false }),
            ("sts", "sts:AssumeRoleWithWebIdentity", Vends::Keys { perhaps: false }),
            ("s3express", "s3express:CreateSession", Vends::Keys { perhaps: false }),
            ("awsssoportal", "sso:GetRoleCredentials", Vends::Keys { perhaps: false }),
            ("cognito-identity", "cognito-identity:GetCredentialsForIdentity", Vends::Keys { perhaps: false }),
            ("codepipeline", "codepipeline:PollForJobs", Vends::Keys { perhaps: true }),
            ("iam", "iam:CreateAccessKey", Vends::Lasting),
            ("ecr", "ecr:GetAuthorizationToken", Vends::Token),
            ("sts", "sts:GetCallerIdentity", Vends::Hardly),
            ("sts", "sts:GetNewbornKeys", Vends::Hardly),
            ("newborn", "newborn:GetNewbornCredentials", Vends::Hardly),
            ("sqs", "sqs:ReceiveMessage", Vends::Nothing),
            ("s3", "s3:GetObject", Vends::Nothing),
        ] {
            assert_eq!(of(service, Some(action)), expected, "{action}");
        }
    }

    #[test]
    fn call_without_an_action_is_unclear_where_the_service_hands_out_credentials() {
        assert_eq!(of("sts", None), Vends::Unclear);
        assert_eq!(of("iam", None), Vends::Unclear);
        assert_eq!(of("s3", None), Vends::Nothing);
        assert_eq!(of("dynamodb", None), Vends::Nothing);
        assert_eq!(of("newborn", None), Vends::Hardly);
        assert_eq!(at("signin.aws.amazon.com", "signin", None), Vends::Hardly);
        assert_eq!(
            at("b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com", "s3express", None),
            Vends::Unclear
        );
        assert_eq!(at("123456789012.s3-control.us-east-1.amazonaws.com", "s3", None), Vends::Unclear);
    }

    /// A host that no rule knows may be any cloud's, whatever a URL of somebody else's says.
    #[test]
    fn answers_to_nobodys_calls_at_stand_ins_are_looked_at() {
        let call = |host: &str| Call { action: Some("s3:GetObject".into()), ..at_call(host, "s3") };
        assert_eq!(vends_to_anybody(&call("minio.acme.test")), Vends::Hardly);
        assert_eq!(vends_to_anybody(&call("b.s3.us-east-1.amazonaws.com")), Vends::Nothing);
    }

    #[test]
    fn every_line_is_read() {
        let lines = GENERATED.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(lines, GENERATED.lines().filter_map(row).count());
        assert!(lines > 50, "{lines}");
    }

    /// `docs/reference/credentials.md` lists what the table holds.
    #[test]
    fn reference_names_every_operation_under_its_kind() {
        let page = include_str!("../../../docs/reference/credentials.md");
        let sections = ["## Temporary access keys", "## Without an end", "## Tokens"];
        for (title, kind) in sections.into_iter().zip(["keys", "lasting", "token"]) {
            let section = page.split_once(title).expect(title).1.split("\n## ").next().unwrap_or_default();
            let listed: Vec<&str> =
                section.lines().filter_map(|line| line.strip_prefix("- `")?.strip_suffix('`')).collect();
            let lines = GENERATED.lines().filter_map(|line| line.strip_prefix(kind)?.strip_prefix('\t'));
            let known: Vec<&str> = lines.filter_map(|line| line.split('\t').next()).collect();
            assert_eq!(listed, known, "{title}");
        }
    }
}
