//! What is written, and what it comes to mean.

use access::{Condition, Who};
use config::{CaSettings, Code, Keys, Settings, SourceKind, TokenKind};
use jiff::{SignedDuration, Timestamp};

use crate::{check, check_in, root, smallest};

fn settings(text: &str) -> Settings {
    let checked = check(text);
    checked.settings.unwrap_or_else(|| panic!("{}", checked.report))
}

fn codes(text: &str) -> Vec<Code> {
    check(text).report.findings.iter().map(|finding| finding.code).collect()
}

fn full() -> Settings {
    settings(&std::fs::read_to_string(root().join("config/tests/golden/full.yaml")).expect("the full example"))
}

fn target<'s>(settings: &'s Settings, name: &str) -> &'s access::Target {
    settings.rules.targets().find(|target| target.name.as_str() == name).expect("the target")
}

fn grant<'s>(settings: &'s Settings, target: &str, name: &str) -> &'s access::Grant {
    let grants = settings.rules.grants(&access::TargetName::new(target).expect("a name"));
    grants.iter().find(|grant| grant.name.as_str() == name).expect("the grant")
}

#[test]
fn the_smallest_config_has_the_documented_defaults() {
    let settings = settings(&smallest(""));
    let proxy = &settings.proxy;
    assert_eq!(proxy.listen.to_string(), "127.0.0.1:8181");
    assert_eq!(proxy.token_file.to_str(), Some("/var/run/secrets/countersign/token"));
    assert_eq!(proxy.directory.to_str(), Some("/var/run/countersign"));
    assert_eq!((proxy.limits.connections, proxy.limits.held_body_bytes), (10_000, 16 << 20));
    assert_eq!(proxy.limits.idle_timeout, SignedDuration::from_mins(5));
    assert!(matches!(proxy.ca, CaSettings::Ephemeral { lifetime } if lifetime == SignedDuration::from_hours(365 * 24)));
    assert!(proxy.default_target.is_none());
    assert_eq!(settings.broker.listen.to_string(), "127.0.0.1:8182");
    assert_eq!(settings.broker.key_lifetime, SignedDuration::from_hours(30 * 24));
    assert_eq!(settings.broker.key_publish_ahead, SignedDuration::from_hours(24));
    assert_eq!(settings.broker.aws_audience, "sts.amazonaws.com");
}

#[test]
fn a_source_keeps_its_issuer_byte_for_byte_and_believes_no_token_longer_than_a_day() {
    let text = smallest(
        "sources: {a: {kind: kubernetes/service-account, issuer: \"https://K8S.acme.dev:443/x/\", match: {namespace: shop-*}, roles: [r]}}\n",
    );
    let settings = settings(&text);
    let source = &settings.sources[0];
    let SourceKind::Token(tokens) = &source.kind else { panic!("a source of tokens") };
    assert_eq!(tokens.issuers, ["https://K8S.acme.dev:443/x/"]);
    assert_eq!((tokens.audience.as_str(), tokens.max_lifetime), ("countersign", SignedDuration::from_hours(24)));
    assert!(matches!(tokens.keys, Keys::Discovery { ca: None }));
    assert!(source.matches["namespace"].matches("shop-eu"));
}

#[test]
fn a_target_takes_role_and_session_from_its_identity() {
    let settings = full();
    let receipts = target(&settings, "receipts");
    assert_eq!(receipts.role, "arn:aws:iam::123456789012:role/Reader");
    assert_eq!((receipts.service.as_deref(), receipts.region.as_str()), (Some("s3"), "eu-central-1"));
    assert_eq!(receipts.session, SignedDuration::from_mins(90));
    let everything = target(&settings, "everything");
    assert_eq!((everything.service.as_deref(), everything.region.as_str()), (None, "us-east-1"));
    assert_eq!(everything.session, SignedDuration::from_hours(1));
    assert_eq!(settings.proxy.default_target.as_ref(), Some(&everything.name));
}

#[test]
fn the_region_of_sts_follows_the_partition_and_must_be_written_where_none_is_obvious() {
    let text = |partition: &str| {
        smallest(&format!("targets: {{a: {{kind: aws, role: \"arn:{partition}:iam::123456789012:role/R\"}}}}\n"))
    };
    for (partition, region) in [("aws", "us-east-1"), ("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")] {
        assert_eq!(target(&settings(&text(partition)), "a").region, region);
    }
    assert!(codes(&text("aws-iso")).contains(&Code::MissingKey));
    assert!(codes(&text("aws-eusc")).contains(&Code::MissingKey));
}

#[test]
fn the_only_target_is_the_default() {
    let settings = settings(&smallest("targets: {a: {kind: aws, role: \"arn:aws:iam::123456789012:role/R\"}}\n"));
    assert_eq!(settings.proxy.default_target.as_ref().map(access::TargetName::as_str), Some("a"));
}

#[test]
fn two_defaults_are_refused() {
    let role = "kind: aws, role: \"arn:aws:iam::123456789012:role/R\", default: true";
    assert!(codes(&smallest(&format!("targets: {{a: {{{role}}}, b: {{{role}}}}}\n"))).contains(&Code::Contradiction));
}

#[test]
fn names_of_conditions_and_conditions_themselves_stand_side_by_side() {
    let settings = full();
    let grant = grant(&settings, "receipts", "checkout-reads-receipts");
    let names: Vec<_> = grant.conditions.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["from-office", "max_session"]);
    assert_eq!(grant.session, Some(SignedDuration::from_mins(15)));
    let Condition::From(networks) = &grant.conditions[0].condition else { panic!("networks") };
    assert!(networks.contain("203.0.113.7".parse().unwrap()) && !networks.contain("203.0.113.8".parse().unwrap()));
}

#[test]
fn grants_are_for_people_groups_and_roles_of_the_directory_and_for_workloads() {
    let settings = full();
    let grant = grant(&settings, "everything", "people-read");
    let from = serde_json::to_value(&grant.from).expect("JSON");
    assert_eq!(
        from,
        serde_json::json!([
            {"user": {"name": "alice@acme.example"}},
            {"directory_group": {"name": "Team Ärzte / EU"}},
            {"directory_role": {"name": "Reader"}},
            {"workload": {"source": "checkout", "attributes": {"namespace": "shop", "pod": "checkout-*"}}},
        ])
    );
    let names: Vec<_> = grant.conditions.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["fresh", "when"]);
    let Condition::When(fresh) = &grant.conditions[0].condition else { panic!("an expression") };
    assert_eq!(
        fresh.as_str(),
        "has(caller.mfa_age_s) && caller.mfa_age_s < 900 && 'on-call' in caller.directory_groups"
    );
}

/// People have second factors, and a source may be there for a workload alone.
#[test]
fn what_people_and_workloads_use_is_not_called_useless() {
    let sources = "sources: {s: {kind: kubernetes/service-account, issuer: \"https://k\", match: {namespace: a}}}\n\
                   targets: {t: {kind: aws, role: \"arn:aws:iam::123456789012:role/R\"}}\n";
    let grant = |from: &str| {
        let grant =
            format!("grants: [{{name: g, from: {from}, to: t, allow: [\"*\"], conditions: {{require_mfa: true}}}}]\n");
        codes(&smallest(&format!("{sources}{grant}")))
    };
    assert_eq!(grant("{directory_group: staff}"), [Code::UnusedName], "the source");
    assert_eq!(grant("[{user: alice}, s]"), []);
    assert_eq!(
        grant("{workload: {source: s, match: {pod: \"x*\"}}}"),
        [Code::UselessGrant],
        "pods have no second factor"
    );
}

#[test]
fn an_evening_until_24_00_ends_at_midnight_and_days_wrap_round_the_week() {
    let settings = full();
    let grant = grant(&settings, "everything", "engineers-do-everything-at-night");
    assert_eq!(grant.from.len(), 2);
    let Condition::During(window) = &grant.conditions[0].condition else { panic!("a window") };
    let open = |time: &str| window.contains(time.parse::<Timestamp>().unwrap());
    assert!(open("2026-11-22T23:59:59Z") && open("2026-11-23T22:00:00Z"), "Sunday and Monday");
    assert!(!open("2026-11-24T00:00:00Z") && !open("2026-11-24T22:30:00Z"), "midnight and Tuesday");
}

#[test]
fn from_midnight_to_24_00_is_the_whole_day() {
    let settings = settings(&smallest(
        "sources: {s: {kind: kubernetes/service-account, issuer: \"https://k\", match: {namespace: a}}}\n\
         targets: {t: {kind: aws, role: \"arn:aws:iam::123456789012:role/R\"}}\n\
         grants: [{name: g, from: s, to: t, allow: [\"*\"], conditions: {time_window: {start: \"00:00\", end: \"24:00\", tz: UTC}}}]\n",
    ));
    let Condition::During(window) = &grant(&settings, "t", "g").conditions[0].condition else { panic!("a window") };
    let now = "2026-11-22T23:59:59Z".parse().unwrap();
    assert!(window.contains(now) && window.closes(now).is_none());
}

#[test]
fn a_role_mapping_makes_a_target_and_a_grant() {
    let settings = full();
    let admin = target(&settings, "production/Admin");
    assert_eq!(admin.role, "arn:aws:iam::123456789012:role/Admin");
    let made = grant(&settings, "production/Admin", "role:cloud-admin@production/Admin");
    assert!(matches!(&made.from[..], [Who::Role(role)] if role.as_str() == "cloud-admin"));
    assert!(made.allow[0].is_everything());
    let names: Vec<_> = made.conditions.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["office-hours", "max_session"]);
    let viewer = grant(&settings, "210987654321/HealthcareViewer", "role:doctor@210987654321/HealthcareViewer");
    assert!(viewer.conditions.is_empty());
}

#[test]
fn two_mappings_to_one_role_share_its_target() {
    let mapping = "mappings: [{provider: aws, role: \"arn:aws:iam::123456789012:role/Dev\"}]";
    let settings = settings(&smallest(&format!("role_mappings: [{{role: a, {mapping}}}, {{group: b, {mapping}}}]\n")));
    let name = access::TargetName::new("123456789012/Dev").expect("a name");
    assert_eq!((settings.rules.targets().count(), settings.rules.grants(&name).len()), (1, 2));
}

#[test]
fn a_mapping_to_a_role_of_another_account_is_refused() {
    let text = smallest(
        "accounts: {p: {provider: aws, account_id: \"123456789012\"}}\n\
         role_mappings: [{role: a, mappings: [{account: p, role: \"arn:aws:iam::210987654321:role/Dev\"}]}]\n",
    );
    assert!(codes(&text).contains(&Code::Contradiction));
}

#[test]
fn a_grant_may_name_the_target_of_a_mapping() {
    let settings = settings(&smallest(
        "sources: {s: {kind: kubernetes/service-account, issuer: \"https://k\", match: {namespace: a}, groups: [b]}}\n\
         role_mappings: [{group: b, mappings: [{provider: aws, role: \"arn:aws:iam::123456789012:role/Dev\"}]}]\n\
         grants: [{name: g, from: s, to: 123456789012/Dev, allow: [s3:*]}]\n",
    ));
    assert_eq!(grant(&settings, "123456789012/Dev", "g").allow[0].to_string(), "s3:*");
}

#[test]
fn endpoints_keep_their_order_and_the_first_that_matches_counts() {
    let settings = settings(&smallest(
        "endpoints:\n  s3.amazonaws.com: http://127.0.0.1:1\n  \"*.amazonaws.com\": https://emulator.acme.dev\n",
    ));
    let of = |host| settings.endpoints.of(host).map(url::Url::as_str);
    assert_eq!(of("s3.amazonaws.com"), Some("http://127.0.0.1:1/"));
    assert_eq!(of("sqs.us-east-1.amazonaws.com"), Some("https://emulator.acme.dev/"));
    assert_eq!(of("example.com"), None);
}

#[test]
fn clusters_are_found_by_host_whatever_its_case() {
    let of = |yaml: &str| {
        settings(&smallest(yaml)).endpoints.cluster("0ab.gr7.eu-west-1.eks.amazonaws.com").map(str::to_owned)
    };
    assert_eq!(of("eks_clusters: {0AB.gr7.eu-west-1.eks.amazonaws.com: prod}\n").as_deref(), Some("prod"));
    assert_eq!(of("eks_clusters: {1.gr7.eu-west-1.eks.amazonaws.com: prod}\n"), None);
    for wrong in ["\"https://a.example\": prod", "a.example: \"pro d\"", "a.example: \"\"", "a: prod"] {
        assert_eq!(codes(&smallest(&format!("eks_clusters: {{{wrong}}}\n"))), [Code::BadValue], "{wrong}");
    }
}

#[test]
fn egress_is_a_tunnel_to_everywhere_unless_it_is_written_otherwise() {
    let egress = settings(&smallest("")).proxy.ways.egress;
    assert_eq!(egress.otherwise, config::Otherwise::Tunnel);
    assert!(!egress.allow.have_name("a.test", 1) && !egress.deny.have_name("a.test", 1));
    let full = full();
    let egress = &full.proxy.ways.egress;
    assert_eq!(egress.otherwise, config::Otherwise::Deny);
    assert!(egress.allow.have_name("www.acme.dev", 443) && egress.deny.have_name("mail.acme.dev", 25));
    assert!(full.proxy.ways.allowed_addresses.contain("127.0.0.1".parse().expect("an address")));
    assert!(full.endpoints.leave_alone("s3.us-gov-west-1.amazonaws.com", 443));
    assert_eq!(
        codes(&smallest("proxy: {egress: {default: block, allow: [\"10.*\"], deny: [\"a.test:0\"]}}\n")),
        [Code::BadValue; 3]
    );
}

#[test]
fn proxy_upstream_is_a_url_without_secrets_and_what_is_reached_without_it() {
    let via = full().proxy.ways.via.expect("a proxy upstream");
    assert_eq!((via.url.as_str(), via.credentials.is_some()), ("http://proxy.acme.dev:3128/", false));
    assert!(via.past.have_name("db.acme.dev", 5432) && !via.past.have_name("acme.test", 443));
    let of = |url: &str| codes(&smallest(&format!("proxy: {{upstream: {{proxy: {{url: \"{url}\"}}}}}}\n")));
    assert_eq!(of("http://user:hunter2@proxy.acme.dev:3128"), [Code::LiteralSecret]);
    for url in ["proxy.acme.dev:3128", "socks5://proxy.acme.dev", "http://proxy.acme.dev/path", "http://"] {
        assert_eq!(of(url), [Code::BadValue], "{url}");
    }
}

#[test]
fn shared_proxy_knows_its_apps_and_keeps_their_credentials_from_the_network() {
    let full = full();
    let shared = full.proxy.ways.shared.as_ref().expect("a shared proxy");
    let names: Vec<_> =
        shared.apps.iter().map(|app| (app.name.as_str(), app.credential_hash.map(|hash| hash[1]))).collect();
    assert_eq!(names, [("billing", None), ("reports", Some(0x23))]);
    assert_eq!(full.proxy.ways.transparent.len(), 2);
    let of = |yaml: &str| codes(&smallest(&format!("proxy: {{shared: {{{yaml}}}}}\n")));
    assert_eq!(of("listen: \"127.0.0.1:1\""), [Code::Contradiction]);
    assert_eq!(of("listen: \"0.0.0.0:1\", tokens: true"), [Code::Unsafe]);
    assert_eq!(of("listen: \"0.0.0.0:1\", tokens: true, clear_text: true"), []);
    assert_eq!(of("listen: \"127.0.0.1:1\", tokens: true, client_ca_file: a"), [Code::Contradiction]);
    assert_eq!(
        of("listen: \"127.0.0.1:1\", apps: {token: {token_file: t, credential_hash: \"sha256:00\"}}"),
        [Code::BadName, Code::BadValue]
    );
    assert_eq!(of("listen: \"127.0.0.1:1\", apps: {a: {token_file: t}}"), [Code::Contradiction]);
    assert_eq!(of("listen: \"127.0.0.1:1\", apps: {a: {token_file: t, certificate: a.test}}"), [Code::Contradiction]);
    let twice = "listen: \"127.0.0.1:1\", tls: {certificate: c, key: k}, client_ca_file: a, \
                 apps: {a: {token_file: t, certificate: x.test}, b: {token_file: t, certificate: x.test}}";
    assert_eq!(of(twice), [Code::Duplicate]);
    assert_eq!(codes(&smallest("proxy: {transparent: {listen: []}}\n")), [Code::BadValue]);
    assert_eq!(codes(&smallest("proxy: {transparent: {listen: [\"0.0.0.0:1\"]}}\n")), [Code::Unsafe]);
    assert_eq!(codes(&smallest("proxy: {allow_remote: true, transparent: {listen: [\"0.0.0.0:1\"]}}\n")), []);
}

#[test]
fn other_machines_reach_the_proxy_only_if_that_is_written_twice() {
    assert_eq!(codes(&smallest("proxy: {listen: \"0.0.0.0:1\"}\n")), [Code::Unsafe]);
    assert_eq!(codes(&smallest("proxy: {listen: \"[::]:1\", allow_remote: false}\n")), [Code::Unsafe]);
    assert_eq!(codes(&smallest("proxy: {listen: \"0.0.0.0:1\", allow_remote: true}\n")), []);
    assert_eq!(codes(&smallest("proxy: {listen: \"[::ffff:127.0.0.1]:1\"}\n")), []);
}

#[test]
fn a_secret_comes_from_a_variable_or_from_a_file() {
    let key = format!("{}=", "A".repeat(43));
    let text = smallest("  encryption_key: ${env:KEY}\n");
    let checked = check_in(&text, &|name| (name == "KEY").then(|| format!("{key}\n")));
    let broker = checked.settings.expect("a config").broker;
    assert_eq!(broker.encryption_key.expect("a key").expose(), &key);
    assert_eq!(check_in(&text, &|_| Some("too short".into())).report.findings[0].code, Code::Unresolved);
    assert_eq!(check_in(&text, &|_| None).report.findings[0].code, Code::Unresolved);

    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("ca.key"), "a key\n").expect("a file");
    let path = directory.path().join("countersign.yaml");
    std::fs::write(&path, smallest("proxy: {ca: {certificate: ca.pem, key: \"${file:ca.key}\"}}\n")).expect("a file");
    let settings = config::load(&path, &|_| None).expect("a config");
    let CaSettings::Given { certificate, key } = settings.proxy.ca else { panic!("a given root") };
    assert_eq!((certificate, key.expose().as_str()), (directory.path().join("ca.pem"), "a key"));
}

#[test]
fn every_kind_of_source_knows_whom_it_believes_and_what_it_tells() {
    let source = |rest: &str| {
        let text = smallest(&format!("sources: {{s: {{{rest}, roles: [r]}}}}\n"));
        let checked = check(&text);
        checked.settings.unwrap_or_else(|| panic!("{}", checked.report)).sources.remove(0).kind
    };
    let tenant = "AAAAAAAA-1111-2222-3333-444444444444";
    let of_tenant = format!("kind: azure/token, tenant: {tenant}, audience: a");
    for (rest, issuers) in [
        (
            "kind: github/oidc, audience: a, match: {repository_id: \"1\"}",
            vec!["https://token.actions.githubusercontent.com"],
        ),
        (
            "kind: github/oidc, audience: a, issuer: \"https://ghes.acme.dev/_services/token\", match: {repository_owner_id: \"1\"}",
            vec!["https://ghes.acme.dev/_services/token"],
        ),
        ("kind: gitlab/oidc, audience: a, match: {project_id: \"1\"}", vec!["https://gitlab.com"]),
        ("kind: gcp/identity-token, audience: a, match: {project_number: \"1\"}", vec!["https://accounts.google.com"]),
        ("kind: spiffe/jwt, trust_domain: acme.dev, bundle_file: b, match: {path: /a}", vec!["spiffe://acme.dev"]),
        (
            &format!("{of_tenant}, match: {{object_id: o}}"),
            vec![
                "https://login.microsoftonline.com/aaaaaaaa-1111-2222-3333-444444444444/v2.0",
                "https://sts.windows.net/aaaaaaaa-1111-2222-3333-444444444444/",
            ],
        ),
        (
            &format!(
                "{of_tenant}, issuer: \"https://login.microsoftonline.us/aaaaaaaa-1111-2222-3333-444444444444/v2.0\", match: {{object_id: o}}"
            ),
            vec!["https://login.microsoftonline.us/aaaaaaaa-1111-2222-3333-444444444444/v2.0"],
        ),
    ] {
        let SourceKind::Token(tokens) = source(rest) else { panic!("{rest}") };
        assert_eq!(tokens.issuers, issuers, "{rest}");
    }
    let kind = source("kind: oidc, issuer: \"https://i\", audience: a, claims: {team: /a~1b/c~0d}, match: {team: t}");
    assert_eq!((kind.name(), kind.attributes()), ("oidc", vec!["subject", "team"]));
    let SourceKind::Token(tokens) = kind else { panic!("tokens") };
    let TokenKind::Oidc(claims) = tokens.kind else { panic!("an OpenID provider") };
    assert_eq!(claims.attributes["team"].0, ["a/b", "c~d"]);

    let SourceKind::AwsCaller(aws) = source("kind: aws/caller-identity, server_id: s, match: {account: \"1\"}") else {
        panic!("aws")
    };
    assert_eq!((&*aws.server_id, &*aws.partition, aws.ca), ("s", "aws", None));
}

#[test]
fn groups_that_an_openid_provider_confers_can_be_granted_to() {
    let text = |ours: &str| {
        smallest(&format!(
            "sources: {{s: {{kind: oidc, issuer: \"https://i\", audience: a, match: {{subject: \"*\"}}, \
             groups_claim: {{claim: groups, names: {{theirs: {ours}}}}}}}}}\n\
             targets: {{t: {{kind: aws, role: \"arn:aws:iam::123456789012:role/R\"}}}}\n\
             grants: [{{name: g, from: {{group: staff}}, to: t, allow: [\"*\"]}}]\n"
        ))
    };
    assert!(check(&text("staff")).report.findings.is_empty());
    assert_eq!(check(&text("others")).report.findings[0].code, Code::UselessGrant);
}

#[test]
fn a_pinned_jwks_is_read_and_must_hold_public_keys_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("countersign.yaml");
    let source = "sources: {a: {kind: kubernetes/service-account, issuer: \"https://k\", match: {namespace: a}, jwks_file: keys.json, groups: [g]}}\n";
    std::fs::write(&path, smallest(source)).expect("a file");
    let load = |jwks: &str| {
        std::fs::write(directory.path().join("keys.json"), jwks).expect("a file");
        config::load(&path, &|_| None)
    };
    let public = r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#;
    let settings = load(public).expect("a config");
    let SourceKind::Token(tokens) = &settings.sources[0].kind else { panic!("a source of tokens") };
    assert!(matches!(&tokens.keys, Keys::Pinned { jwks } if jwks == public));
    for jwks in [
        "",
        "{}",
        r#"{"keys":[]}"#,
        r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB"}]}"#,
        r#"{"keys":[{"kty":"oct","k":"AQAB"}]}"#,
    ] {
        assert_eq!(load(jwks).expect_err("refused").0.findings[0].code, Code::Unresolved, "{jwks}");
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error_and_not_a_panic() {
    let errors = config::load(std::path::Path::new("/nowhere/countersign.yaml"), &|_| None).expect_err("no file");
    assert_eq!(errors.0.findings[0].code, Code::Unreadable);
    assert!(errors.to_string().ends_with("1 error in /nowhere/countersign.yaml"), "{errors}");
}

#[test]
fn one_error_does_not_hide_the_others() {
    let text = "version: 1\nrealm: [a]\nsources: {s: 5}\ntargets: {t: {kind: aws, identity: i, rgion: x}}\n\
                grants: [{name: g, from: s, to: t, allow: [x], session: 1}]\nbroker: {issuer: 5}\n";
    let found: Vec<_> = check(text)
        .report
        .findings
        .iter()
        .map(|finding| finding.place.as_ref().expect("a place").path.clone())
        .collect();
    assert_eq!(
        found,
        [
            "realm",
            "sources.s",
            "targets.t.identity",
            "targets.t.rgion",
            "grants[0].allow[0]",
            "grants[0].session",
            "broker.issuer"
        ]
    );
}
