//! Programs that do not take our certificates: told once in a while, whatever they try.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::{Refusal, RefusalCode};
use rustls::{AlertDescription, Error};
use tokio::time::Instant;

/// How often the same host is told. A program that pins tries again and again.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Hosts that are remembered. Who asks for more of them within a minute gets no event for the rest.
const MAX_HOSTS: usize = 256;

/// When which host was told last.
#[derive(Debug, Default)]
pub(crate) struct Distrust(Mutex<HashMap<Arc<str>, Instant>>);

impl Distrust {
    /// Whether it is time to tell of `host`.
    pub(crate) fn is_news(&self, host: &Arc<str>) -> bool {
        let now = Instant::now();
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(host).is_some_and(|at| now.duration_since(*at) < TELL_EVERY) {
            return false;
        }
        if told.len() >= MAX_HOSTS {
            told.retain(|_, at| now.duration_since(*at) < TELL_EVERY);
        }
        if told.len() < MAX_HOSTS {
            told.insert(host.clone(), now);
            return true;
        }
        false
    }
}

/// What a handshake that ended so says about the program's trust: `None` if it says nothing.
pub(crate) fn refusal(host: &str, error: &io::Error) -> Option<Refusal> {
    let how = how(error)?;
    let message = format!("a program does not accept our certificate for {host}: {how}");
    Some(Refusal::new(RefusalCode::InterceptionRejected, message).help(
        "give it the trust bundle in the proxy's directory (`program.env` names the variables); a program that pins \
         certificates reaches the host only if `proxy.egress.tunnel` names it, with credentials of its own",
    ))
}

fn how(error: &io::Error) -> Option<String> {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match tls {
        // RFC 8446 §6.2: what peers say that do not like a certificate; OpenSSL says `unknown_ca`, Go `bad_certificate`.
        Some(Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::AccessDenied),
        )) => Some(format!("it sent the alert {alert:?}")),
        Some(_) => None,
        // It has our certificate by now, and leaves without a word.
        None => match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Some("it closed the connection when it saw it".to_owned())
            }
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Arc<str> {
        name.into()
    }

    #[tokio::test(start_paused = true)]
    async fn each_host_is_told_once_a_minute_and_many_hosts_not_for_ever() {
        let distrust = Distrust::default();
        assert!(distrust.is_news(&host("s3.test")));
        assert!(!distrust.is_news(&host("s3.test")) && distrust.is_news(&host("sts.test")));
        tokio::time::advance(TELL_EVERY).await;
        assert!(distrust.is_news(&host("s3.test")));
        let told = (0..2 * MAX_HOSTS).filter(|number| distrust.is_news(&host(&number.to_string()))).count();
        assert!(told < MAX_HOSTS, "{told}");
        tokio::time::advance(TELL_EVERY).await;
        assert!(distrust.is_news(&host("new.test")), "old ones make room");
    }

    #[test]
    fn alerts_about_certificates_and_silence_say_something_and_other_failures_do_not() {
        let of = |error: Error| refusal("s3.test", &io::Error::new(io::ErrorKind::InvalidData, error));
        let unknown = of(Error::AlertReceived(AlertDescription::UnknownCA)).unwrap();
        assert!(
            unknown.code == RefusalCode::InterceptionRejected && unknown.message.contains("UnknownCA"),
            "{unknown:?}"
        );
        assert!(of(Error::AlertReceived(AlertDescription::BadCertificate)).is_some());
        assert!(of(Error::AlertReceived(AlertDescription::ProtocolVersion)).is_none());
        assert!(of(Error::NoApplicationProtocol).is_none());
        assert!(refusal("s3.test", &io::ErrorKind::UnexpectedEof.into()).is_some());
        assert!(refusal("s3.test", &io::ErrorKind::TimedOut.into()).is_none());
    }
}
