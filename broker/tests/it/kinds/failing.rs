//! Sources that cannot be used: they say why, they are tried again, and the others go on.

use std::path::Path;

use access::{RefusalCode, Retry, SourceName};
use broker::{Sources, SourcesError, State};
use config::{Endpoints, Keys, Source, SourceKind, TokenKind};
use jiff::SignedDuration;

use super::{Provider, kubernetes::pod, sign, sources, verify};
use crate::stage::noon;

fn with_keys(provider: &Provider, name: &str, keys: Keys) -> Source {
    let mut source = provider.source(TokenKind::Kubernetes, &[("namespace", "shop")]);
    source.name = SourceName::new(name).unwrap();
    if let SourceKind::Token(tokens) = &mut source.kind {
        tokens.keys = keys;
    }
    source
}

fn in_authority(path: &Path) -> Keys {
    Keys::Discovery { ca: Some(path.to_owned()) }
}

fn why(sources: &Sources, name: &str) -> Option<String> {
    let state = sources.states().into_iter().find(|state| state.name.as_str() == name).unwrap().state;
    match state {
        State::Failed { why, .. } => Some(why),
        State::Idle | State::Ready => None,
    }
}

#[tokio::test]
async fn a_source_whose_ca_is_missing_refuses_with_the_reason_until_it_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    let (broken, good) = (Provider::start().await, Provider::start().await);
    let sources = sources(&[
        with_keys(&broken, "broken", in_authority(&ca)),
        with_keys(&good, "good", Keys::Discovery { ca: None }),
    ]);
    assert!(why(&sources, "broken").unwrap().contains("ca.pem cannot be read"));
    assert_eq!(why(&sources, "good"), None);
    verify(&sources, &sign(&pod(&good)), noon()).await.expect("the others go on");

    let token = sign(&pod(&broken));
    let refusal = verify(&sources, &token, noon()).await.unwrap_err();
    assert_eq!((refusal.code, refusal.code.retry()), (RefusalCode::BrokerUnavailable, Retry::Later));
    assert!(
        refusal.message.contains("source broken cannot be used") && refusal.message.contains("ca.pem"),
        "{refusal}"
    );

    std::fs::write(&ca, "").unwrap();
    let refusal = verify(&sources, &token, noon() + SignedDuration::from_secs(9)).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::BrokerUnavailable, "not tried again yet");
    verify(&sources, &token, noon() + SignedDuration::from_secs(10)).await.expect("tried again");
    assert_eq!(why(&sources, "broken"), None);
}

#[tokio::test]
async fn pinned_keys_of_no_use_are_told_and_not_asked_for() {
    let provider = Provider::start().await;
    let pinned =
        with_keys(&provider, "pinned", Keys::Pinned { jwks: r#"{"keys":[{"kty":"oct","k":"AA"}]}"#.to_owned() });
    let sources = sources(&[pinned]);
    assert!(why(&sources, "pinned").unwrap().contains("no RSA or EC"));
    let refusal = verify(&sources, &sign(&pod(&provider)), noon()).await.unwrap_err();
    assert!(refusal.message.contains("the pinned JWKS cannot be used"), "{refusal}");
    assert_eq!(provider.asked(), 0);
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_told_before_anybody_needs_it() {
    let provider = Provider::start().await;
    let documents = provider.stop();
    let sources = sources(&[with_keys(&provider, "them", Keys::Discovery { ca: None })]);
    assert_eq!(sources.states()[0].state, State::Idle, "nobody has asked yet");
    sources.look(noon()).await;
    let later = noon() + SignedDuration::from_secs(10);
    sources.look(later).await;
    let State::Failed { why, since } = sources.states().remove(0).state else { panic!("{sources:?}") };
    assert!(why.contains("answers 503"), "{why}");
    assert_eq!(since, noon(), "since it first failed");

    provider.go_on(documents);
    sources.look(later + SignedDuration::from_secs(10)).await;
    assert_eq!(sources.states()[0].state, State::Ready);
    assert_eq!(sources.states()[0].kind, "kubernetes/service-account");
    let asked = provider.asked();
    sources.look(later + SignedDuration::from_secs(60)).await;
    assert_eq!(provider.asked(), asked, "what works is not asked again");
}

#[tokio::test]
async fn sources_that_read_one_issuer_differently_do_not_start() {
    let provider = Provider::start().await;
    let one = with_keys(&provider, "one", Keys::Discovery { ca: None });
    let mut other = with_keys(&provider, "other", Keys::Discovery { ca: None });
    if let SourceKind::Token(tokens) = &mut other.kind {
        tokens.kind = TokenKind::GitHub;
    }
    let made = Sources::new(&[one, other], &Endpoints::default(), noon());
    assert!(matches!(made, Err(SourcesError::Conflict { .. })), "{made:?}");
}
