//! Who somebody is in AWS, by the ARN.

/// A principal, by its ARN taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal<'a> {
    /// `aws`
    pub partition: &'a str,
    /// 12 digits.
    pub account: &'a str,
    /// Of which kind.
    pub kind: PrincipalKind<'a>,
}

/// Kinds of principals that can call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrincipalKind<'a> {
    /// A session of a role.
    Session {
        /// The role's name. Its path is not told.
        role: &'a str,
        /// The session's name, which whoever assumed the role has chosen.
        session: &'a str,
    },
    /// A role, with its path.
    Role(&'a str),
    /// A user, with its path; a federated user; the account itself.
    Other(&'a str),
}

impl<'a> Principal<'a> {
    /// Takes `arn:aws:sts::111122223333:assumed-role/Checkout/i-0abc` and its like.
    pub fn parse(arn: &'a str) -> Option<Self> {
        const LONGEST: usize = 2048;
        let mut parts = arn.splitn(6, ':');
        let mut next = || parts.next();
        let (prefix, partition, service) = (next()?, next()?, next()?);
        let (region, account, resource) = (next()?, next()?, next()?);
        let well_formed = prefix == "arn"
            && arn.len() <= LONGEST
            && arn.bytes().all(|b| b.is_ascii_graphic())
            && partition.starts_with("aws")
            && region.is_empty()
            && account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit());
        let kind = match (service, resource.split_once('/')) {
            ("sts", Some(("assumed-role", rest))) => {
                let (role, session) = rest.split_once('/')?;
                let whole = !role.is_empty() && !session.is_empty() && !session.contains('/');
                whole.then_some(PrincipalKind::Session { role, session })?
            }
            ("iam", Some(("role", role))) if !role.is_empty() => PrincipalKind::Role(role),
            ("iam", Some(("user", user))) if !user.is_empty() => PrincipalKind::Other(resource),
            ("sts", Some(("federated-user", user))) if !user.is_empty() => PrincipalKind::Other(resource),
            ("iam", None) if resource == "root" => PrincipalKind::Other(resource),
            _ => return None,
        };
        well_formed.then_some(Self { partition, account, kind })
    }

    /// The ARN of its role, if it has one; of a session's role without the path, which is not told.
    pub fn role(&self) -> Option<String> {
        let name = match self.kind {
            PrincipalKind::Session { role, .. } | PrincipalKind::Role(role) => role,
            PrincipalKind::Other(_) => return None,
        };
        Some(format!("arn:{}:iam::{}:role/{name}", self.partition, self.account))
    }

    /// The session's name, if it is one.
    pub const fn session(&self) -> Option<&'a str> {
        match self.kind {
            PrincipalKind::Session { session, .. } => Some(session),
            PrincipalKind::Role(_) | PrincipalKind::Other(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_have_their_roles_arn() {
        let session = Principal::parse("arn:aws-cn:sts::111122223333:assumed-role/Checkout/i-0abc").unwrap();
        assert_eq!(session.role().as_deref(), Some("arn:aws-cn:iam::111122223333:role/Checkout"));
        assert_eq!(session.session(), Some("i-0abc"));
        let role = Principal::parse("arn:aws:iam::111122223333:role/team/Checkout").unwrap();
        assert_eq!(
            (role.role().as_deref(), role.session()),
            (Some("arn:aws:iam::111122223333:role/team/Checkout"), None)
        );
        for arn in
            ["iam::111122223333:user/team/alice", "iam::111122223333:root", "sts::111122223333:federated-user/bob"]
        {
            let arn = format!("arn:aws:{arn}");
            assert_eq!(Principal::parse(&arn).map(|other| other.role()), Some(None), "{arn}");
        }
    }

    #[test]
    fn what_is_no_principal_is_none() {
        for arn in [
            "",
            "arn:aws:sts::111122223333:assumed-role/Checkout",
            "arn:aws:sts::111122223333:assumed-role//x",
            "arn:aws:sts::111122223333:assumed-role/a/b/c",
            "arn:aws:sts::11112222333:assumed-role/a/b",
            "arn:aws:sts:us-east-1:111122223333:assumed-role/a/b",
            "arn:mars:sts::111122223333:assumed-role/a/b",
            "arn:aws:s3::111122223333:role/a",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role/a b",
        ] {
            assert_eq!(Principal::parse(arn), None, "{arn}");
        }
    }
}
