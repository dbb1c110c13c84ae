//! Principals of AWS that show a call which they have signed.

use std::sync::Arc;

use access::{Evidence, Refusal, RefusalCode, Retry};
use broker::{Sources, SourcesError, Verified};
use config::{AwsCaller, Endpoints, Source, SourceKind};
use jiff::{SignedDuration, Timestamp};
use lease::Lessor;
use tokio::task::JoinSet;

use super::sts::{Client, Sts};
use super::{attributes, source};
use crate::stage::{Stage, noon};

const US: &str = "https://countersign.acme.dev";
const HEADER: &str = "x-countersign-server-id";

fn caller(server_id: &str, partition: &str) -> SourceKind {
    SourceKind::AwsCaller(AwsCaller { server_id: server_id.to_owned(), partition: partition.to_owned(), ca: None })
}

fn checkout() -> Source {
    source(caller(US, "aws"), &[("account", "111122223333"), ("role", "*:role/Checkout")])
}

fn sources(sts: &Sts, sources: &[Source]) -> Sources {
    Sources::new(sources, &sts.endpoints, noon()).unwrap()
}

async fn show(sources: &Sources, proof: &str, now: Timestamp) -> Result<Verified, Refusal> {
    sources.verify(&Evidence::aws_caller(proof.to_owned().into()), now).await
}

#[tokio::test]
async fn a_principal_is_known_by_what_sts_says_in_all_forms() {
    let sts = Sts::start().await;
    let client = Client::new(noon());
    for proof in
        [client.vault(HEADER, US), client.vault("x-vault-aws-iam-server-id", US), client.google(US), client.eks(US)]
    {
        let sources = sources(&sts, &[checkout()]);
        let Verified { caller, once } = show(&sources, &proof, noon()).await.unwrap();
        assert_eq!(caller.subject, "arn:aws:iam::111122223333:role/Checkout");
        assert_eq!(
            caller.attributes,
            attributes(&[
                ("account", "111122223333"),
                ("arn", "arn:aws:sts::111122223333:assumed-role/Checkout/i-0abc"),
                ("role", "arn:aws:iam::111122223333:role/Checkout"),
                ("session", "i-0abc"),
                ("user_id", "AROAEXAMPLE:i-0abc"),
            ])
        );
        let end = noon() + SignedDuration::from_mins(15);
        assert_eq!(
            (caller.until, once.map(|once| once.until)),
            (end, Some(end)),
            "when STS would not take it any more"
        );
        assert_eq!(caller.issuer, "https://sts.amazonaws.com");
    }
    assert!(sts.asked().iter().all(|host| host == "sts.eu-west-1.amazonaws.com"), "by the name that was signed");
}

#[tokio::test]
async fn a_proof_counts_once_whatever_carries_it_and_however_many_show_it() {
    let sts = Sts::start().await;
    let sources = Arc::new(sources(&sts, &[checkout()]));
    let proof = Client::new(noon()).vault(HEADER, US);
    let mut all = JoinSet::new();
    for _ in 0..8 {
        let (sources, proof) = (sources.clone(), proof.clone());
        all.spawn(async move { show(&sources, &proof, noon()).await.is_ok() });
    }
    assert_eq!(all.join_all().await.into_iter().filter(|counted| *counted).count(), 1);

    let asked = sts.asked().len();
    for again in [proof.clone(), format!("  {proof}\n"), proof.replace("\"role\":\"ignored\",", "")] {
        let refusal = show(&sources, &again, noon() + SignedDuration::from_mins(14)).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::EvidenceInvalid);
        assert!(refusal.message.contains("used already"), "{refusal}");
    }
    assert_eq!(sts.asked().len(), asked, "and STS is not asked about it");
    let next = Client::new(noon() + SignedDuration::from_secs(1)).vault(HEADER, US);
    show(&sources, &next, noon()).await.expect("another one counts");
}

#[tokio::test]
async fn what_was_not_honoured_is_not_spent() {
    let sts = Sts::start().await;
    let sources = sources(&sts, &[checkout()]);
    let proof = Client::new(noon()).vault(HEADER, US);
    sts.book.lock().unwrap().instead = Some((503, String::new()));
    let refusal = show(&sources, &proof, noon()).await.unwrap_err();
    assert_eq!((refusal.code, refusal.code.retry()), (RefusalCode::BrokerUnavailable, Retry::Later), "{refusal}");
    sts.book.lock().unwrap().instead = None;
    show(&sources, &proof, noon()).await.expect("STS is back");
}

#[tokio::test]
async fn proofs_that_are_not_good_are_refused() {
    use RefusalCode::{EvidenceExpired, EvidenceInvalid, EvidenceMissing};
    let sts = Sts::start().await;
    let sources = sources(&sts, &[checkout()]);
    let minutes = |minutes| noon() + SignedDuration::from_mins(minutes);
    let client = Client::new(noon());
    let forged = Client { secret: "guessed", ..client };
    let other = "https://other.example";
    for (case, proof, code, words, asks) in [
        ("forged", forged.vault(HEADER, US), EvidenceInvalid, "SignatureDoesNotMatch", true),
        ("forged, presigned", forged.eks(US), EvidenceInvalid, "SignatureDoesNotMatch", true),
        ("for another, presigned", client.eks(other), EvidenceInvalid, "SignatureDoesNotMatch", true),
        ("for another", client.vault(HEADER, other), EvidenceInvalid, "made for another server", false),
        ("for another, Google's", client.google(other), EvidenceInvalid, "made for another server", false),
        ("bound by no header of ours", client.vault("x-k8s-aws-id", US), EvidenceInvalid, "bound to no server", false),
        ("old", Client::new(minutes(-15)).vault(HEADER, US), EvidenceExpired, "15 minutes ago", false),
        ("old, presigned", Client::new(minutes(-15)).eks(US), EvidenceExpired, "15 minutes ago", false),
        ("early", Client::new(minutes(16)).vault(HEADER, US), EvidenceExpired, "in the future", false),
        (
            "another partition",
            Client { region: "us-gov-west-1", ..client }.vault(HEADER, US),
            EvidenceInvalid,
            "partition aws-us-gov",
            false,
        ),
        ("no proof", "hello".to_owned(), EvidenceMissing, "none of the known forms", false),
        ("long", "{".repeat(5000), EvidenceMissing, "longer than", false),
    ] {
        let asked = sts.asked().len();
        let refusal = show(&sources, &proof, noon()).await.expect_err(case);
        assert_eq!(refusal.code, code, "{case}: {refusal}");
        assert!(refusal.message.contains(words), "{case}: {refusal}");
        assert_eq!(sts.asked().len() > asked, asks, "{case}");
        assert_eq!(refusal.subject, None, "{case}");
    }
}

#[tokio::test]
async fn what_sts_says_is_believed_only_whole_and_never_followed() {
    let sts = Sts::start().await;
    let sources = sources(&sts, &[checkout()]);
    let proof = Client::new(noon()).vault(HEADER, US);
    let long = "x".repeat(17 * 1024);
    for (status, body, code) in [
        (200, "<GetCallerIdentityResponse/>", RefusalCode::BrokerUnavailable),
        (200, "{}", RefusalCode::BrokerUnavailable),
        (200, &*long, RefusalCode::BrokerUnavailable),
        (302, "", RefusalCode::BrokerUnavailable),
        (403, r#"{"Error":{"Code":"ExpiredToken","Message":"session//token+="}}"#, RefusalCode::EvidenceInvalid),
        (400, r#"{"Error":{"Code":"Throttling","Message":"Rate exceeded"}}"#, RefusalCode::BrokerUnavailable),
    ] {
        sts.book.lock().unwrap().instead = Some((status, body.to_owned()));
        let asked = sts.asked().len();
        let refusal = show(&sources, &proof, noon()).await.unwrap_err();
        assert_eq!(refusal.code, code, "{body}: {refusal}");
        assert!(!refusal.message.contains("session"), "{refusal}");
        assert_eq!(sts.asked().len(), asked + 1, "no redirect, no second try");
    }
}

#[tokio::test]
async fn the_account_decides_not_the_name_of_the_role() {
    let sts = Sts::start().await;
    let sources = sources(&sts, &[checkout()]);
    for (second, arn, words) in [
        (1, "arn:aws:sts::444455556666:assumed-role/Checkout/i-0abc", "account \"111122223333\""),
        (2, "arn:aws:sts::111122223333:assumed-role/Billing/i-0abc", "role \"*:role/Checkout\""),
        (3, "arn:aws:iam::111122223333:user/Checkout", "role \"*:role/Checkout\""),
    ] {
        sts.is(arn);
        let proof = Client::new(noon() + SignedDuration::from_secs(second)).vault(HEADER, US);
        let refusal = show(&sources, &proof, noon()).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::SourceUnmatched);
        assert!(refusal.message.contains(words) && refusal.subject.is_some(), "{refusal}");
    }
}

#[tokio::test]
async fn sources_of_a_partition_share_a_server_id_and_each_decides_by_its_match() {
    let sts = Sts::start().await;
    let other = Source {
        name: access::SourceName::new("others").unwrap(),
        ..source(caller("other", "aws"), &[("account", "1")])
    };
    let made = Sources::new(&[checkout(), other], &Endpoints::default(), noon());
    assert!(matches!(made, Err(SourcesError::Conflict { .. })), "{made:?}");

    let all = Source {
        name: access::SourceName::new("all").unwrap(),
        ..source(caller(US, "aws"), &[("account", "111122223333")])
    };
    let sources = sources(&sts, &[checkout(), all, source(caller(US, "aws-us-gov"), &[("account", "1")])]);
    let proof = Client::new(noon()).google(US);
    let names: Vec<_> = show(&sources, &proof, noon()).await.unwrap().caller.sources;
    assert_eq!(names.iter().map(access::SourceName::as_str).collect::<Vec<_>>(), ["them", "all"]);
}

#[tokio::test]
async fn a_token_is_no_proof_and_a_proof_is_no_token() {
    let sts = Sts::start().await;
    let sources = sources(&sts, &[checkout()]);
    let proof = Client::new(noon()).vault(HEADER, US);
    let refusal = sources.verify(&super::token(proof), noon()).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::EvidenceMissing, "{refusal}");
    assert!(sts.asked().is_empty());
}

#[tokio::test]
async fn what_has_counted_does_not_count_again_after_a_change_of_the_config() {
    let mut stage = Stage::new().await;
    let sts = Sts::start().await;
    stage.settings.sources = vec![checkout()];
    stage.settings.endpoints = sts.endpoints.clone();
    let broker = stage.broker().await;
    let proof = Arc::new(Evidence::aws_caller(Client::new(noon()).vault(HEADER, US).into()));
    let subject = broker.recognise(proof.clone()).await.unwrap();
    assert_eq!(subject, "arn:aws:iam::111122223333:role/Checkout");

    stage.settings.sources[0].name = access::SourceName::new("renamed").unwrap();
    let change = broker.prepare(&stage.settings).unwrap();
    broker.commit(change, (b"", &[])).await.unwrap();
    assert_eq!(broker.sources()[0].name.as_str(), "renamed");
    let refusal = broker.recognise(proof).await.unwrap_err();
    assert!(refusal.message.contains("used already"), "{refusal}");
}

#[tokio::test]
async fn an_sts_that_hangs_is_not_waited_for_without_end() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
    let endpoints = Endpoints::new(vec![(access::Pattern::new("sts.*").unwrap(), url)]);
    let sources = Sources::new(&[checkout()], &endpoints, noon()).unwrap();
    let proof = Client::new(noon()).vault(HEADER, US);
    tokio::time::pause();
    let refusal = show(&sources, &proof, noon()).await.unwrap_err();
    assert_eq!((refusal.code, refusal.code.retry()), (RefusalCode::BrokerUnavailable, Retry::Later), "{refusal}");
}

/// What botocore 1.44, the AWS CLI (`eks get-token`) and google-auth 2 make with AWS's example credential at noon.
const BOTOCORE: &str = r#"{"iam_http_request_method": "POST", "iam_request_url": "aHR0cHM6Ly9zdHMuZXUtd2VzdC0xLmFtYXpvbmF3cy5jb20v", "iam_request_body": "QWN0aW9uPUdldENhbGxlcklkZW50aXR5JlZlcnNpb249MjAxMS0wNi0xNQ==", "iam_request_headers": "eyJDb250ZW50LVR5cGUiOiBbImFwcGxpY2F0aW9uL3gtd3d3LWZvcm0tdXJsZW5jb2RlZDsgY2hhcnNldD11dGYtOCJdLCAiWC1Db3VudGVyc2lnbi1TZXJ2ZXItSUQiOiBbImh0dHBzOi8vY291bnRlcnNpZ24uYWNtZS5kZXYiXSwgIlgtQW16LURhdGUiOiBbIjIwMjYxMTIzVDEyMDAwMFoiXSwgIlgtQW16LVNlY3VyaXR5LVRva2VuIjogWyJJUW9KYjNKcFoybHVYMlZqRVhBTVBMRS8vdG9rZW4rPSJdLCAiQXV0aG9yaXphdGlvbiI6IFsiQVdTNC1ITUFDLVNIQTI1NiBDcmVkZW50aWFsPUFTSUFJT1NGT0ROTjdFWEFNUExFLzIwMjYxMTIzL2V1LXdlc3QtMS9zdHMvYXdzNF9yZXF1ZXN0LCBTaWduZWRIZWFkZXJzPWNvbnRlbnQtdHlwZTtob3N0O3gtYW16LWRhdGU7eC1hbXotc2VjdXJpdHktdG9rZW47eC1jb3VudGVyc2lnbi1zZXJ2ZXItaWQsIFNpZ25hdHVyZT02MWU2NDZlNjU0OTM4MTNlYjFiZTkwMzA4N2Q4NzFhNzFmYjcyZmIzMjMxZDk5MDc5NjMxNjRmODRhMTQ5NWVkIl0sICJDb250ZW50LUxlbmd0aCI6IFsiNDMiXX0="}"#;
const AWS_CLI: &str = "k8s-aws-v1.aHR0cHM6Ly9zdHMuZXUtd2VzdC0xLmFtYXpvbmF3cy5jb20vP0FjdGlvbj1HZXRDYWxsZXJJZGVudGl0eSZWZXJzaW9uPTIwMTEtMDYtMTUmWC1BbXotQWxnb3JpdGhtPUFXUzQtSE1BQy1TSEEyNTYmWC1BbXotQ3JlZGVudGlhbD1BU0lBSU9TRk9ETk43RVhBTVBMRSUyRjIwMjYxMTIzJTJGZXUtd2VzdC0xJTJGc3RzJTJGYXdzNF9yZXF1ZXN0JlgtQW16LURhdGU9MjAyNjExMjNUMTIwMDAwWiZYLUFtei1FeHBpcmVzPTYwJlgtQW16LVNpZ25lZEhlYWRlcnM9aG9zdCUzQngtazhzLWF3cy1pZCZYLUFtei1TZWN1cml0eS1Ub2tlbj1JUW9KYjNKcFoybHVYMlZqRVhBTVBMRSUyRiUyRnRva2VuJTJCJTNEJlgtQW16LVNpZ25hdHVyZT03MmY0OTQyMGNmNTllZTA5ZjkzZjYyMzYyNWJhN2Y5ZTI5YzFlYzc1NmIzYzJlMTFjNjQyYTgzNzE0NzI0OWQz";
const GOOGLE: &str = "%7B%22headers%22%3A%5B%7B%22key%22%3A%22Authorization%22%2C%22value%22%3A%22AWS4-HMAC-SHA256%20Credential%3DASIAIOSFODNN7EXAMPLE/20261123/eu-west-1/sts/aws4_request%2C%20SignedHeaders%3Dhost%3Bx-amz-date%3Bx-amz-security-token%2C%20Signature%3D8cb2c710998fb94c153fa4c467233f637fa9825de138f779d61323709fbe5bf4%22%7D%2C%7B%22key%22%3A%22host%22%2C%22value%22%3A%22sts.eu-west-1.amazonaws.com%22%7D%2C%7B%22key%22%3A%22x-amz-date%22%2C%22value%22%3A%2220261123T120000Z%22%7D%2C%7B%22key%22%3A%22x-amz-security-token%22%2C%22value%22%3A%22IQoJb3JpZ2luX2VjEXAMPLE//token%2B%3D%22%7D%2C%7B%22key%22%3A%22x-goog-cloud-target-resource%22%2C%22value%22%3A%22https%3A//countersign.acme.dev%22%7D%5D%2C%22method%22%3A%22POST%22%2C%22url%22%3A%22https%3A//sts.eu-west-1.amazonaws.com%3FAction%3DGetCallerIdentity%26Version%3D2011-06-15%22%7D";

#[tokio::test]
async fn what_real_clients_sign_is_good_and_what_they_leave_unbound_is_not() {
    let sts = Sts::start().await;
    let arn = "arn:aws:sts::111122223333:assumed-role/Checkout/i-0abc".to_owned();
    let example = ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", arn);
    sts.book.lock().unwrap().keys.insert("ASIAIOSFODNN7EXAMPLE", example);
    show(&sources(&sts, &[checkout()]), BOTOCORE, noon()).await.expect("botocore's signature holds at STS");

    // `aws eks get-token --cluster-name countersign-prod`
    let cluster = source(caller("countersign-prod", "aws"), &[("account", "111122223333")]);
    show(&sources(&sts, std::slice::from_ref(&cluster)), AWS_CLI, noon())
        .await
        .expect("the CLI's signature holds at STS");
    let refusal = show(&sources(&sts, &[checkout()]), AWS_CLI, noon()).await.unwrap_err();
    assert!(refusal.message.contains("SignatureDoesNotMatch"), "for another cluster: {refusal}");

    // google-auth tells for whom a call is, beside the signature: whoever got it could have written that.
    let refusal = show(&sources(&sts, &[checkout()]), GOOGLE, noon()).await.unwrap_err();
    assert!(refusal.message.contains("bound to no server"), "{refusal}");
}
