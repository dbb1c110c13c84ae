//! Tokens that AWS gives its principals.

use access::RefusalCode;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use config::TokenKind;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{Kind, Provider, attributes, sign, sources, verify};
use crate::stage::noon;

fn principal(provider: &Provider) -> Value {
    provider.claims(json!({
        "sub": "arn:aws:iam::111122223333:role/DataProcessingRole",
        "https://sts.amazonaws.com/": {
            "aws_account": "111122223333", "source_region": "us-east-1", "org_id": "o-abc1234567",
            "ou_path": "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/", "principal_tags": {"team": "data"},
            "lambda_source_function_arn": "arn:aws:lambda:us-east-1:111122223333:function:process-data",
            "request_tags": {"account": "999999999999"},
        },
    }))
}

#[tokio::test]
async fn a_principal_is_known_by_its_account_and_role() {
    let provider = Provider::start().await;
    let source = provider.source(TokenKind::AwsWebIdentity, &[("account", "111122223333"), ("role", "*:role/Data*")]);
    let caller = verify(&sources(&[source]), &sign(&principal(&provider)), noon()).await.unwrap();
    assert_eq!(
        caller.attributes,
        attributes(&[
            ("account", "111122223333"),
            ("arn", "arn:aws:iam::111122223333:role/DataProcessingRole"),
            ("role", "arn:aws:iam::111122223333:role/DataProcessingRole"),
            ("region", "us-east-1"),
            ("organization", "o-abc1234567"),
            ("ou_path", "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"),
            ("lambda_function", "arn:aws:lambda:us-east-1:111122223333:function:process-data"),
        ])
    );
}

#[tokio::test]
async fn tokens_signed_with_es384_are_taken_too() {
    let provider = Provider::start().await;
    let random = aws_lc_rs::rand::SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random).unwrap();
    let key = EncodingKey::from_ec_der(pkcs8.as_ref());
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES384).unwrap();
    jwk.common.key_id = Some("ec".to_owned());
    provider.publish(serde_json::to_value(jwk).unwrap());
    let mut header = Header::new(Algorithm::ES384);
    header.kid = Some("ec".to_owned());
    let token = jsonwebtoken::encode(&header, &principal(&provider), &key).unwrap();
    let source = provider.source(TokenKind::AwsWebIdentity, &[("account", "111122223333")]);
    verify(&sources(&[source]), &token, noon()).await.unwrap();
}

#[tokio::test]
async fn an_account_that_is_not_the_principals_is_refused() {
    let provider = Provider::start().await;
    let sources = sources(&[provider.source(TokenKind::AwsWebIdentity, &[("account", "111122223333")])]);
    for sub in
        ["arn:aws:iam::444455556666:role/DataProcessingRole", "DataProcessingRole", "arn:aws:iam::111122223333:role/"]
    {
        let mut claims = principal(&provider);
        claims["sub"] = json!(sub);
        let refusal = verify(&sources, &sign(&claims), noon()).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::EvidenceInvalid, "{sub}: {refusal}");
    }
}

#[tokio::test]
async fn tokens_that_are_not_good_are_refused() {
    let provider = Provider::start().await;
    Kind {
        source: provider.source(TokenKind::AwsWebIdentity, &[("account", "111122223333")]),
        claims: principal(&provider),
        needed: &["/https:~1~1sts.amazonaws.com~1", "/https:~1~1sts.amazonaws.com~1/aws_account"],
        texts: &["/https:~1~1sts.amazonaws.com~1/aws_account", "/https:~1~1sts.amazonaws.com~1/org_id"],
        provider: &provider,
    }
    .refuses_what_all_refuse()
    .await;
}
