//! Operations by service: which REST route is which operation, and what IAM calls it. Generated from the service models.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::action::IOT_GATEWAY;
use super::query;
use super::routes::Routes;

/// `cloud/tools/aws_operations.py` writes it and describes its lines.
const GENERATED: &str = include_str!("../../data/aws_operations.tsv");

/// One service, under its signing name.
#[derive(Debug)]
pub(super) struct Service {
    /// What its actions begin with in IAM's policies: `cloudwatch` for `monitoring`.
    pub(super) iam_prefix: &'static str,
    protocols: &'static str,
    /// Lines of aliases, of resources and of routes.
    lines: &'static str,
    routes: OnceLock<Routes>,
    /// Ways to resources by operation.
    resources: OnceLock<HashMap<&'static str, &'static str>>,
    /// Templates by operation and method; `None` where it has several.
    templates: OnceLock<HashMap<(&'static str, &'static str), Option<&'static str>>>,
}

/// The service that signs under this name; `None` where no model is known.
pub(super) fn service(signing_name: &str) -> Option<&'static Service> {
    services().get(signing_name)
}

/// The names that services with a model sign under.
pub fn service_names() -> impl Iterator<Item = &'static str> {
    services().keys().copied()
}

fn services() -> &'static HashMap<&'static str, Service> {
    static SERVICES: OnceLock<HashMap<&'static str, Service>> = OnceLock::new();
    SERVICES.get_or_init(|| index(GENERATED))
}

/// What the actions of a service begin with, by its signing name. S3's four share one: clients sign `s3` for the hosts of
/// the other three. A service that no model is known of is called by its signing name.
pub(super) fn prefixes(signing_name: &str) -> Vec<&str> {
    match signing_name {
        "s3" => vec!["s3", "s3express", "s3-outposts", "s3-object-lambda"],
        "s3express" | "s3-outposts" | "s3-object-lambda" => vec![signing_name],
        IOT_GATEWAY => vec!["iot"],
        name => vec![service(name).map_or(name, |service| service.iam_prefix)],
    }
}

fn index(text: &'static str) -> HashMap<&'static str, Service> {
    // Each section begins with `service`; what stands before the first is the head line.
    let sections = text.split("\nservice\t").skip(1);
    sections
        .filter_map(|section| {
            let (head, lines) = section.split_once('\n').unwrap_or((section, ""));
            let mut fields = head.split('\t');
            let (name, iam_prefix, protocols) = (fields.next()?, fields.next()?, fields.next()?);
            Some((
                name,
                Service {
                    iam_prefix,
                    protocols,
                    lines,
                    routes: OnceLock::new(),
                    resources: OnceLock::new(),
                    templates: OnceLock::new(),
                },
            ))
        })
        .collect()
}

impl Service {
    /// Whether it takes its operation from the parameter `Action` (query and EC2 protocols).
    pub(super) fn speaks_query(&self) -> bool {
        self.protocols.contains('q')
    }

    /// Whether it takes its operation from `X-Amz-Target` (AWS JSON).
    pub(super) fn speaks_json(&self) -> bool {
        self.protocols.contains('j')
    }

    /// Whether its operation may stand in the path `/service/…/operation/…` (Smithy RPC v2 CBOR).
    pub(super) fn speaks_cbor(&self) -> bool {
        self.protocols.contains('c')
    }

    /// The operation that a method, a path and a query name; `None` where no route or more than one fits.
    pub(super) fn operation(&self, method: &str, path: &str, query: &query::Query<'_>) -> Option<&'static str> {
        let routes = self.routes.get_or_init(|| Routes::new(self.routes()));
        routes.find(method, path, query)
    }

    /// Method, template and operation of every route.
    fn routes(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        let fields = self.lines.lines().filter_map(|line| line.split_once('\t'));
        let routes = fields.filter(|(method, _)| !matches!(*method, "alias" | "on" | "unlisted"));
        routes.filter_map(|(method, rest)| rest.split_once('\t').map(|(uri, name)| (method, uri, name)))
    }

    /// The template of an operation's one route by this method.
    pub(super) fn template(&self, method: &str, operation: &str) -> Option<&'static str> {
        let templates = self.templates.get_or_init(|| {
            let mut found = HashMap::new();
            for (method, template, operation) in self.routes() {
                found.entry((operation, method)).and_modify(|known| *known = None).or_insert(Some(template));
            }
            found
        });
        templates.get(&(operation, method)).copied().flatten()
    }

    /// The ways to the resources of an operation; `None` where none is known.
    pub(super) fn ways(&self, operation: &str) -> Option<&'static str> {
        let resources = self.resources.get_or_init(|| {
            let lines = self.lines.lines().filter_map(|line| line.strip_prefix("on\t")?.split_once('\t'));
            lines.flat_map(|(ways, names)| names.split(' ').map(move |name| (name, ways))).collect()
        });
        resources.get(operation).copied()
    }

    /// Whether IAM knows no action of this name, as far as we know: it asks for another one then.
    pub(super) fn is_unlisted(&self, action: &str) -> bool {
        let own = action.split(':').next_back().unwrap_or_default();
        let mut unlisted = self.lines.lines().filter_map(|line| line.strip_prefix("unlisted\t"));
        unlisted.any(|names| names.split(' ').any(|name| name == own))
    }

    /// `prefix:Action` for an operation.
    pub(super) fn action(&self, operation: &str) -> String {
        format!("{}:{}", self.iam_prefix, self.alias(operation))
    }

    /// What IAM calls an operation.
    pub(super) fn alias<'n>(&self, operation: &'n str) -> &'n str
    where
        'static: 'n,
    {
        let alias = self.lines.lines().map_while(|line| line.strip_prefix("alias\t")).find_map(|line| {
            let (from, to) = line.split_once('\t')?;
            (from == operation).then_some(to)
        });
        alias.unwrap_or(operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(name: &str, method: &str, uri: &str) -> Option<String> {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let service = service(name).expect("a known service");
        service.operation(method, path, &query::Query::parse(Some(query))).map(|operation| service.action(operation))
    }

    #[test]
    fn rest_routes_name_their_actions() {
        for (name, method, uri, expected) in [
            ("lambda", "POST", "/2015-03-31/functions/bill/invocations", "lambda:InvokeFunction"),
            ("lambda", "GET", "/2015-03-31/functions/", "lambda:ListFunctions"),
            ("bedrock", "POST", "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ap%2Fx/converse", "bedrock:InvokeModel"),
            ("eks", "GET", "/clusters/prod", "eks:DescribeCluster"),
            ("route53", "POST", "/2013-04-01/hostedzone/Z1/rrset/", "route53:ChangeResourceRecordSets"),
            ("cloudfront", "POST", "/2019-03-26/tagging?Operation=Untag", "cloudfront:UntagResource"),
            ("cloudfront", "POST", "/2020-05-31/distribution?WithTags", "cloudfront:CreateDistributionWithTags"),
            ("glacier", "POST", "/-/vaults/v/tags?operation=add", "glacier:AddTagsToVault"),
            ("iotdata", "POST", "/topics/a%2Fb", "iot:Publish"),
            ("execute-api", "POST", "/@connections/abc", "execute-api:ManageConnections"),
            ("s3-control", "GET", "/v20180820/mrap/instances/a/b/routes", "s3:GetMultiRegionAccessPointRoutes"),
            ("s3-control", "GET", "/v20180820/mrap/instances/a/b", "s3:GetMultiRegionAccessPoint"),
            ("aps", "POST", "/workspaces/ws-1/api/v1/remote_write", "aps:RemoteWrite"),
        ] {
            assert_eq!(action(name, method, uri).as_deref(), Some(expected), "{method} {uri}");
        }
    }

    #[test]
    fn operations_know_the_ways_to_their_resources() {
        let ways = |name: &str, operation: &str| service(name).and_then(|service| service.ways(operation));
        assert_eq!(
            ways("kinesis", "PutRecord"),
            Some("arn:{partition}:kinesis:{region}:{account}:stream/<StreamName> =<StreamARN>")
        );
        assert_eq!(ways("dynamodb", "ListTables"), Some("*"));
        assert_eq!(ways("dynamodb", "ExecuteStatement"), Some("partiql:<Statement>"));
    }

    #[test]
    fn what_two_operations_claim_has_no_answer() {
        assert_eq!(action("lex", "POST", "/imports/"), None);
    }

    #[test]
    fn every_route_finds_its_own_operation() {
        let mut routes = 0;
        for section in GENERATED.split("\nservice\t").skip(1) {
            let (head, lines) = section.split_once('\n').unwrap_or((section, ""));
            let service = service(head.split('\t').next().expect("a name")).expect("indexed");
            for line in lines
                .lines()
                .filter(|line| !["alias\t", "on\t", "unlisted\t"].iter().any(|kind| line.starts_with(kind)))
            {
                let [method, uri, operation] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
                let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
                let path = path.replace("{+}", "greedy/label").replace("{}", "label");
                let found = service.operation(method, &path, &query::Query::parse(Some(query)));
                assert_eq!(
                    found.unwrap_or("none or several"),
                    if operation.contains('|') { "none or several" } else { operation },
                    "{line}"
                );
                routes += 1;
            }
        }
        assert!(routes > 10_000, "{routes}");
    }
}
