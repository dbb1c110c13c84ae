//! What the operator of this world wrote.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use access::{
    Cloud, Condition, Grant, GrantName, NamedCondition, Networks, Pattern, Rules, SourceName, Target, TargetName,
    TimeWindow, Weekdays, Who,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::{BrokerSettings, CaSettings, Endpoints, Keys, Limits, ProxySettings, Settings, Store};
use config::{Source, SourceKind, TokenKind, TokenSource};
use jiff::SignedDuration;
use jiff::civil::time;
use jiff::tz::TimeZone;

use super::{AUDIENCE, ROLE};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

pub(super) fn settings(issuer: &str, sts: SocketAddr, (home, store): (&Path, Store)) -> Settings {
    let encryption_key = match &store {
        Store::File(_) => None,
        Store::Server(_) => Some(STANDARD.encode([7; 32]).into()),
    };
    let endpoint = (pattern("sts.*.amazonaws.com"), format!("http://{sts}").parse().unwrap());
    Settings {
        realm: "acme".to_owned(),
        sources: vec![source("shop-pods", issuer, "shop"), source("billing-pods", issuer, "billing")],
        rules: rules(),
        endpoints: Endpoints::new(vec![endpoint]),
        proxy: proxy(home),
        broker: BrokerSettings {
            store,
            issuer: "https://id.acme.example".parse().unwrap(),
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: None,
            encryption_key,
            key_lifetime: HOUR * 24 * 30,
            key_publish_ahead: HOUR * 24,
            aws_audience: "sts.amazonaws.com".to_owned(),
        },
        telemetry: config::TelemetrySettings::default(),
    }
}

fn source(name: &str, issuer: &str, namespace: &str) -> Source {
    let kind = TokenSource {
        kind: TokenKind::Kubernetes,
        issuers: vec![issuer.to_owned()],
        audience: AUDIENCE.to_owned(),
        keys: Keys::Discovery { ca: None },
        max_lifetime: HOUR * 24,
    };
    Source {
        name: SourceName::new(name).unwrap(),
        kind: SourceKind::Token(Box::new(kind)),
        matches: BTreeMap::from([("namespace".to_owned(), pattern(namespace))]),
        groups: Vec::new(),
        roles: Vec::new(),
    }
}

/// What a source of tokens says of them.
pub(crate) fn tokens(source: &mut Source) -> &mut TokenSource {
    match &mut source.kind {
        SourceKind::Token(tokens) => tokens,
        SourceKind::AwsCaller(_) => panic!("a source of tokens"),
    }
}

/// `receipts` is granted to the shop from 10.0.0.0/8, `ledger` to it at night only, `vault` to nobody.
fn rules() -> Rules {
    let from_ten = Condition::From(Networks::new(["10.0.0.0/8".parse().unwrap()]));
    let night = TimeWindow::new(Some((time(22, 0, 0, 0), time(6, 0, 0, 0))), Weekdays::ALL, TimeZone::UTC).unwrap();
    let billing = Who::Source(SourceName::new("billing-pods").unwrap());
    let shop = Who::Source(SourceName::new("shop-pods").unwrap());
    Rules::new(
        [target("receipts"), target("ledger"), target("vault")],
        [
            grant("shop-reads-receipts", "receipts", (shop.clone(), from_ten)),
            grant("shop-reads-ledger", "ledger", (shop, Condition::During(night))),
            grant("billing-reads-vault", "vault", (billing, Condition::MaxSession(HOUR))),
        ],
    )
}

fn target(name: &str) -> Target {
    Target {
        name: TargetName::new(name).unwrap(),
        cloud: Cloud::Aws,
        role: ROLE.to_owned(),
        service: None,
        resources: vec![pattern("arn:aws:s3:::acme-receipts/*")],
        region: "eu-central-1".to_owned(),
        session: HOUR,
    }
}

fn grant(name: &str, to: &str, (who, condition): (Who, Condition)) -> Grant {
    Grant {
        name: GrantName::new(name).unwrap(),
        from: vec![who],
        to: TargetName::new(to).unwrap(),
        allow: vec![pattern("s3:Get*").into()],
        deny: Vec::new(),
        conditions: vec![NamedCondition { name: None, condition }],
        session: Some(SignedDuration::from_mins(10)),
        policies: Vec::new(),
    }
}

fn proxy(home: &Path) -> ProxySettings {
    ProxySettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        directory: home.to_owned(),
        token_file: home.join("token"),
        default_target: None,
        ca: CaSettings::Ephemeral { lifetime: HOUR },
        upstream_roots: None,
        ways: config::Ways::default(),
        limits: Limits {
            connections: 1,
            connections_per_host: 100,
            held_body_bytes: 1,
            head_timeout: HOUR,
            connect_timeout: HOUR,
            idle_timeout: HOUR,
            grace: HOUR,
            rates: config::Rates::default(),
        },
    }
}

pub(super) fn pattern(text: &str) -> Pattern {
    Pattern::new(text).unwrap()
}
