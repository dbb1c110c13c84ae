//! Lending and refusing.

use access::{Credential, RefusalCode, Retry};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker::audit::{Filter, Verdict, What};
use jiff::SignedDuration;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use lease::Lessor;
use rstest::rstest;
use serde_json::{Value, json};

use crate::stage::{
    AUDIENCE, ClusterKey, On, ROLE, Stage, ask, ask_at, call, fill, lease, make_room, number, sts_error, tokens,
};

fn field<'a>(form: &'a [(String, String)], name: &str) -> &'a str {
    form.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
}

fn form(body: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

/// Verifies a token of ours as a cloud would: with the published JWKS only.
fn verified(token: &str, jwks: &str, (issuer, audience): (&str, &str)) -> Value {
    let jwks: JwkSet = serde_json::from_str(jwks).unwrap();
    let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let key = DecodingKey::from_jwk(jwks.find(&kid).expect("the key is published")).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    jsonwebtoken::decode(token, &key, &validation).unwrap().claims
}

#[rstest]
#[tokio::test]
async fn a_pod_with_a_grant_is_lent_a_credential_that_is_no_wider_than_the_grant(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;

    let lent = lease(&broker, ask(&stage.token())).await.unwrap();

    let Credential::Aws(credential) = lent.credential();
    assert_eq!(credential.secret_access_key.expose(), "access-key-secret");
    assert_eq!(lent.until(), stage.hands.now() + SignedDuration::from_mins(10), "the grant's session");
    let (host, body) = stage.sts.lock().unwrap().seen[0].clone();
    assert_eq!(host, "sts.eu-central-1.amazonaws.com", "named although it is elsewhere");
    let form = form(&body);
    assert_eq!(field(&form, "RoleArn"), ROLE);
    assert_eq!(field(&form, "DurationSeconds"), "900", "the shortest that STS gives");
    assert!(field(&form, "RoleSessionName").starts_with("checkout.shop@acme-"));
    let policy: Value = serde_json::from_str(field(&form, "Policy")).unwrap();
    assert_eq!(policy["Statement"][0]["Action"], "s3:Get*");
    assert_eq!(policy["Statement"][0]["Resource"], "arn:aws:s3:::acme-receipts/*");
}

#[rstest]
#[tokio::test]
async fn the_token_says_who_for_which_role_and_nothing_else(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    lease(&broker, ask(&stage.token())).await.unwrap();

    let form = form(&stage.exchanges()[0]);
    let jwks = broker.issuer().documents().jwks;
    let claims = verified(field(&form, "WebIdentityToken"), &jwks, ("https://id.acme.example", "sts.amazonaws.com"));

    assert!(claims["sub"].as_str().unwrap().ends_with(":system:serviceaccount:shop:checkout"));
    let now = stage.hands.now().as_second();
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(now), &json!(now + 300)));
    assert_eq!(claims["https://aws.amazon.com/roles"], json!([ROLE]));
    assert_eq!(claims["https://aws.amazon.com/source_identity"], json!(field(&form, "RoleSessionName")));
    let tags = &claims["https://aws.amazon.com/tags"];
    assert_eq!(
        tags["principal_tags"],
        json!({
            "countersign-realm": ["acme"], "countersign-target": ["receipts"], "countersign-grant": ["shop-reads-receipts"],
            "kubernetes-namespace": ["shop"], "kubernetes-service-account": ["checkout"],
            "kubernetes-pod-name": ["checkout-7d9f"], "kubernetes-pod-uid": ["22-bb"],
        })
    );
    let transitive: Vec<_> = tags["transitive_tag_keys"].as_array().unwrap().iter().collect();
    assert_eq!(transitive.len(), 7);
}

#[rstest]
#[tokio::test]
async fn what_is_lent_is_in_the_book_and_no_secret_is_in_the_store(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let token = stage.token();
    let lent = lease(&broker, ask(&token)).await.unwrap();

    let entry = broker.book().tail(1).await.unwrap().remove(0);
    let What::LeaseIssued(issued) = entry.event.what else { panic!("{entry:?}") };
    assert_eq!((issued.lease, issued.until), (lent.id(), lent.until()));
    assert_eq!(issued.caller.subject, "system:serviceaccount:shop:checkout");
    assert_eq!(issued.credential, "ASIAIOSFODNN7EXAMPLE");
    assert_eq!(issued.grant.as_str(), "shop-reads-receipts");
    assert_eq!(number(stage.store(), "SELECT event FROM leases").await, entry.seq.cast_signed());

    let minted = field(&form(&stage.exchanges()[0]), "WebIdentityToken").to_owned();
    for secret in ["access-key-secret", "session-token-secret", &token, &minted] {
        assert!(!stage.on_disk(secret).await, "{secret}");
    }
    assert!(stage.on_disk("ASIAIOSFODNN7EXAMPLE").await, "the search finds what is there");
}

#[tokio::test]
async fn every_evidence_that_is_not_good_is_refused_written_down_and_never_exchanged() {
    use RefusalCode::{EvidenceExpired, EvidenceInvalid, EvidenceMissing, SourceUnmatched};
    let stage = Stage::new().await;
    let broker = stage.broker().await;
    let now = stage.hands.now().as_second();
    let with = |name: &str, value: Value| {
        let name = name.to_owned();
        stage.token_with(move |claims| claims[name.as_str()] = value)
    };
    let without = |name: &str| stage.token_with(|claims| drop(claims.as_object_mut().unwrap().remove(name)));
    let cases = [
        (with("exp", json!(now - 40)), EvidenceExpired, "pod token expired 40s ago"),
        (with("exp", json!(now)), EvidenceExpired, "pod token expired 0s ago"),
        (with("nbf", json!(now + 300)), EvidenceExpired, "valid only in 5m"),
        (with("iat", json!(now + 300)), EvidenceExpired, "valid only in 5m"),
        (
            with("aud", json!(["https://kubernetes.default.svc"])),
            EvidenceInvalid,
            "source shop-pods takes \"countersign\"",
        ),
        (with("aud", json!("countersign2")), EvidenceInvalid, "audience \"countersign2\""),
        (with("iss", json!("https://other.example")), EvidenceInvalid, "issuer \"https://other.example\""),
        (with("iss", json!(format!("{}/", stage.issuer))), EvidenceInvalid, "no source has the token's issuer"),
        (with("exp", json!(now + 365 * 24 * 3600)), EvidenceInvalid, "takes at most 24h"),
        (with("sub", json!("system:serviceaccount:kube-system:admin")), EvidenceInvalid, "bound to"),
        (with("exp", json!(i64::MAX)), EvidenceInvalid, "a time that no calendar knows"),
        (without("exp"), EvidenceInvalid, "not a Kubernetes service-account token with an end"),
        (without("kubernetes.io"), EvidenceInvalid, "not a Kubernetes service-account token"),
        (
            in_namespace(&stage, "staging"),
            SourceUnmatched,
            "source shop-pods is for namespace \"shop\", and the caller's namespace is \"staging\"",
        ),
        (ClusterKey::new("first").sign(&stage.claims()), EvidenceInvalid, "signature is wrong"),
        (ClusterKey::new("second").sign(&stage.claims()), EvidenceInvalid, "has no key \"second\""),
        (String::new(), EvidenceMissing, "the token is empty"),
        ("placeholder".to_owned(), EvidenceMissing, "three parts"),
        ("a.b.c".to_owned(), EvidenceMissing, "no header"),
        (format!("{}.x.y", "a".repeat(20_000)), EvidenceMissing, "longer than"),
        (with_header(&stage, &json!({"alg": "none", "kid": "first"})), EvidenceMissing, "no header"),
        (with_header(&stage, &json!({"alg": "HS256", "kid": "first"})), EvidenceInvalid, "its key is not for that"),
        (with_header(&stage, &json!({"alg": "RS256", "kid": "first"})), EvidenceInvalid, "its key is not for that"),
        (with_header(&stage, &json!({"alg": "ES256"})), EvidenceInvalid, "`kid`"),
        (with_header(&stage, &json!({"alg": "ES256", "kid": "first", "crit": ["b64"]})), EvidenceInvalid, "critical"),
        (with_header(&stage, &json!({"alg": "ES256", "kid": "first", "typ": "at+jwt"})), EvidenceInvalid, "at+jwt"),
    ];
    for (index, (token, code, words)) in cases.iter().enumerate() {
        let refusal = lease(&broker, ask(token)).await.unwrap_err();
        assert_eq!(refusal.code, *code, "case {index}: {refusal}");
        assert!(refusal.message.contains(words), "case {index}: {refusal}");

        let entry = broker.book().tail(1).await.unwrap().remove(0);
        let What::LeaseRefused(refused) = entry.event.what else { panic!("case {index}: {entry:?}") };
        assert_eq!(refused.refusal, refusal, "case {index}");
        assert_eq!(refused.caller, None, "case {index}");
        // Whoever could not be verified is not named; whoever was is, though nothing lets it in.
        let named = refusal.subject.is_some();
        assert!(!named || !matches!(code, EvidenceMissing) && !words.contains("signature"), "case {index}");
        assert!(named || *code != SourceUnmatched, "case {index}");
        assert!(token.is_empty() || !entry.body.contains(token), "case {index}: the token is in the book");
    }
    let refused = broker.book().search(&Filter { kind: Some("lease.refused".to_owned()), ..Filter::default() }).await;
    assert_eq!(refused.unwrap().entries.len(), cases.len());
    assert_eq!(stage.exchanges(), Vec::<String>::new());
}

fn in_namespace(stage: &Stage, namespace: &str) -> String {
    stage.token_with(|claims| {
        claims["sub"] = json!(format!("system:serviceaccount:{namespace}:checkout"));
        claims["kubernetes.io"]["namespace"] = json!(namespace);
    })
}

/// The good token under another header, its signature kept.
fn with_header(stage: &Stage, header: &Value) -> String {
    let token = stage.token();
    let (_, rest) = token.split_once('.').unwrap();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

#[rstest]
#[tokio::test]
async fn what_no_grant_covers_is_refused_with_what_would_change_it(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let token = stage.token();
    let mut from_outside = ask(&token);
    from_outside.from = Some("192.0.2.1".parse().unwrap());
    let mut from_nowhere = ask(&token);
    from_nowhere.from = None;
    let mut to_write = ask(&token);
    to_write.call = call("s3:PutObject");
    let mut elsewhere = ask(&token);
    elsewhere.call.resource = Some("arn:aws:s3:::acme-payroll/1".to_owned());
    let cases = [
        (ask_at(&token, "vault"), RefusalCode::NotGranted, "no grant to target \"vault\"", 0),
        (ask_at(&token, "moon"), RefusalCode::NotGranted, "no target \"moon\"", 0),
        (ask_at(&token, "ledger"), RefusalCode::ConditionUnmet, "outside the time window", 1),
        (from_outside, RefusalCode::ConditionUnmet, "192.0.2.1 is in none of the allowed networks", 1),
        (from_nowhere, RefusalCode::ConditionUnmet, "address is not known", 1),
        (to_write, RefusalCode::NotGranted, "allows s3:PutObject", 1),
        (elsewhere, RefusalCode::NotGranted, "does not reach arn:aws:s3:::acme-payroll/1", 1),
    ];
    for (ask, code, words, near) in cases {
        let refusal = lease(&broker, ask).await.unwrap_err();
        assert_eq!(refusal.code, code, "{refusal}");
        assert!(refusal.message.contains(words), "{refusal}");
        let entry = broker.book().tail(1).await.unwrap().remove(0);
        let What::LeaseRefused(refused) = entry.event.what else { panic!("{entry:?}") };
        assert_eq!(refused.caller.unwrap().subject, "system:serviceaccount:shop:checkout");
        assert_eq!(refused.near.len(), near, "{refusal}");
    }
    assert_eq!(stage.exchanges(), Vec::<String>::new());

    stage.hands.turn(SignedDuration::from_hours(11));
    let night = lease(&broker, ask_at(&stage.token(), "ledger")).await;
    assert!(night.is_ok(), "the window is open at 23:00: {night:?}");
}

#[rstest]
#[tokio::test]
async fn a_lease_ends_with_the_pod_token_it_was_lent_on(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let now = stage.hands.now().as_second();
    let token = stage.token_with(|claims| claims["exp"] = json!(now + 60));
    let lent = lease(&broker, ask(&token)).await.unwrap();
    assert_eq!(lent.until(), stage.hands.now() + SignedDuration::from_mins(1));
}

#[tokio::test]
async fn errors_of_sts_become_refusals_that_say_what_to_do() {
    let stage = Stage::new().await;
    let broker = stage.broker().await;
    let cases = [
        (
            403,
            "AccessDenied",
            "Not authorized to perform sts:AssumeRoleWithWebIdentity",
            "arn:aws:iam::111122223333:oidc-provider/id.acme.example",
        ),
        (
            400,
            "InvalidIdentityToken",
            "No OpenIDConnect provider found in your account for https://id",
            "create the identity provider",
        ),
        (400, "ExpiredTokenException", "Token expired", "clock"),
        (400, "PackedPolicyTooLarge", "too large", "shop-reads-receipts"),
        (403, "RegionDisabledException", "not active", "eu-central-1"),
    ];
    for (status, code, message, help) in cases {
        stage.sts_answers(&[(status, &sts_error(code, message))]);
        let before = stage.exchanges().len();
        let refusal = lease(&broker, ask(&stage.token())).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::ExchangeRefused, "{refusal}");
        assert!(refusal.message.contains(code) && refusal.message.contains(message), "{refusal}");
        assert!(refusal.help.as_deref().unwrap().contains(help), "{refusal:?}");
        assert_eq!(stage.exchanges().len(), before + 1, "{code} is not tried again");
        assert_eq!(broker.book().tail(1).await.unwrap()[0].event.what.kind(), "lease.refused");
    }
}

#[tokio::test]
async fn an_exchange_that_may_pass_is_tried_three_times() {
    let stage = Stage::new().await;
    let broker = stage.broker().await;
    let throttled = sts_error("Throttling", "Rate exceeded");
    stage.sts_answers(&[(400, &throttled), (503, "<html>busy</html>")]);
    assert!(lease(&broker, ask(&stage.token())).await.is_ok());
    assert_eq!(stage.exchanges().len(), 3);

    stage.sts_answers(&[(400, &throttled), (400, &throttled), (400, &throttled)]);
    let refusal = lease(&broker, ask(&stage.token())).await.unwrap_err();
    assert_eq!((refusal.code, refusal.code.retry()), (RefusalCode::ExchangeUnavailable, Retry::Later), "{refusal}");
    assert_eq!(stage.exchanges().len(), 6);
}

#[tokio::test]
async fn an_sts_that_is_away_redirects_or_talks_without_end_lends_nothing() {
    let mut stage = Stage::new().await;
    let broker = stage.broker().await;
    stage.sts_answers(&[(307, "")]);
    let redirected = lease(&broker, ask(&stage.token())).await.unwrap_err();
    assert_eq!(redirected.code, RefusalCode::ExchangeRefused, "{redirected}");
    assert_eq!(stage.exchanges().len(), 1, "the redirect was not followed");

    stage.sts_answers(&[(200, &"x".repeat(300 * 1024))]);
    let endless = lease(&broker, ask(&stage.token())).await.unwrap_err();
    assert!(endless.message.contains("longer than"), "{endless}");

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nowhere = (access::Pattern::new("*").unwrap(), format!("http://{closed}").parse().unwrap());
    stage.settings.endpoints = config::Endpoints::new(vec![nowhere]);
    let broker = stage.broker().await;
    let away = lease(&broker, ask(&stage.token())).await.unwrap_err();
    assert_eq!(away.code, RefusalCode::ExchangeUnavailable, "{away}");
    assert!(away.message.contains("refused"), "{away}");
}

#[rstest]
#[tokio::test]
async fn nothing_is_lent_that_cannot_be_written_down(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let before = broker.book().head().await.unwrap();

    fill(stage.store(), ("leases", None)).await;
    let refusal = lease(&broker, ask(&stage.token())).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::BrokerUnavailable);
    assert!(refusal.message.contains("nothing is lent that is not written down"), "{refusal}");
    let after = broker.book().tail(10).await.unwrap();
    let new: Vec<_> = after.iter().filter(|entry| entry.seq > before.count).collect();
    assert_eq!(new.len(), 1, "the refusal, and no `lease.issued` that stands alone");
    assert_eq!(new[0].event.what.kind(), "lease.refused");
    assert!(matches!(broker.book().verify(None).await.unwrap(), Verdict::Verified(_)));

    fill(stage.store(), ("events", None)).await;
    let denied = lease(&broker, ask_at(&stage.token(), "vault")).await.unwrap_err();
    assert_eq!(denied.code, RefusalCode::BrokerUnavailable, "a refusal that the book does not know is not final");

    for table in ["leases", "events"] {
        make_room(stage.store(), table).await;
    }
    assert!(lease(&broker, ask(&stage.token())).await.is_ok(), "and it goes on once the disk has room");
}

#[rstest]
#[tokio::test]
async fn records_are_kept_all_or_none(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let before = broker.book().head().await.unwrap();
    let records = || vec![crate::audit::record(1, "s3:GetObject"), crate::audit::record(2, "s3:PutObject")];
    fill(stage.store(), ("events", Some("NEW.action = 's3:PutObject'"))).await;
    assert!(broker.report(&records()).await.is_err());
    assert_eq!(broker.book().head().await.unwrap(), before);

    make_room(stage.store(), "events").await;
    broker.report(&records()).await.unwrap();
    assert_eq!(broker.book().head().await.unwrap().count, before.count + 2);
    broker.report(&[]).await.unwrap();
    assert_eq!(broker.book().head().await.unwrap().count, before.count + 2);
}

#[rstest]
#[tokio::test]
async fn records_that_fill_several_statements_are_one_chain_in_their_order(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let before = broker.book().head().await.unwrap().count;
    let records: Vec<_> = (0..300).map(|n| crate::audit::record(n, "s3:GetObject")).collect();
    let ids: Vec<_> = records.iter().map(|record| record.id.to_string()).collect();
    broker.report(&records).await.unwrap();
    let book = broker.book();
    assert!(matches!(book.verify(None).await.unwrap(), Verdict::Verified(head) if head.count == before + 300));
    for (entry, id) in book.tail(300).await.unwrap().iter().zip(&ids) {
        let What::CallCountersigned(record) = &entry.event.what else { panic!("{entry:?}") };
        assert_eq!(record.id.to_string(), *id);
    }
}

#[rstest]
#[tokio::test]
async fn two_brokers_on_one_store_write_one_chain_without_gaps(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let (one, other) = tokio::join!(stage.broker(), stage.broker());
    let token = stage.token();
    let (mut leases, mut records) = (Vec::new(), Vec::new());
    for number in 0..8 {
        leases.push(lease(&one, ask(&token)));
        let record = crate::audit::record(number, "s3:GetObject");
        let other = &other;
        records.push(async move { other.report(&[record]).await });
    }
    let (lent, reported) = tokio::join!(join_all(leases), join_all(records));
    assert!(lent.iter().all(Result::is_ok) && reported.iter().all(Result::is_ok));
    let head = one.book().head().await.unwrap();
    assert_eq!(one.book().verify(None).await.unwrap(), Verdict::Verified(head));
    assert_eq!(head.count, 2 + 16, "two of the first key");
    assert_eq!(one.issuer().documents(), other.issuer().documents(), "one key for both");
}

async fn join_all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut done = Vec::new();
    for future in futures {
        done.push(future.await);
    }
    done
}

#[tokio::test]
async fn a_source_takes_only_its_own_audience() {
    let mut stage = Stage::new().await;
    tokens(&mut stage.settings.sources[1]).audience = "billing".to_owned();
    let broker = stage.broker().await;
    assert_eq!(tokens(&mut stage.settings.sources[0]).audience, AUDIENCE);
    let token = stage.token_with(|claims| claims["aud"] = json!(["billing"]));
    let refusal = lease(&broker, ask(&token)).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::SourceUnmatched, "billing-pods came nearest: {refusal}");
}
