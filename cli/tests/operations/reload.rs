//! A config that changes while the process runs.

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustix::process::Signal;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use crate::stage::{Running, Wish, config, connect, replace};

const TAKEN_OVER: &str = "countersign_config_reloads_total{result=\"taken_over\"}";
const REFUSED: &str = "countersign_config_reloads_total{result=\"refused\"}";

fn usual() -> String {
    config(Wish::default())
}

/// With a second target.
fn wider() -> String {
    let target = "  archive: { kind: aws/s3, role: 'arn:aws:iam::123456789012:role/archive', region: eu-central-1 }";
    usual().replace("grants:", &format!("{target}\ngrants:"))
}

fn counted(running: &Running, line: &str) {
    running.until("/metrics", |(_, page)| page.contains(line));
}

fn credentials(running: &Running) -> String {
    std::fs::read_to_string(running.path("state/proxy/aws/credentials")).expect("the proxy leaves it")
}

#[test]
fn changed_file_is_taken_over_by_itself() {
    let running = Running::start(Wish::default());
    assert!(!credentials(&running).contains("[archive]"));
    replace(&running.path("countersign.yaml"), &wider());
    counted(&running, &format!("{TAKEN_OVER} 1\n"));
    assert!(credentials(&running).contains("[archive]"));

    let mut audit = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let audit = audit.args(["audit", "search", "--kind", "config", "-o", "json"]).current_dir(running.path(""));
    let found = String::from_utf8(audit.env_clear().output().unwrap().stdout).unwrap();
    let event: serde_json::Value = serde_json::from_str(found.lines().next().unwrap()).unwrap();
    assert_eq!(event["event"]["kind"], "config.changed");
    assert_eq!(event["event"]["detail"]["targets"], 2, "{found}");
}

#[test]
fn sighup_takes_it_over_at_once_even_if_nothing_has_changed() {
    let running = Running::start(Wish::default());
    running.signal(Signal::HUP);
    counted(&running, &format!("{TAKEN_OVER} 1\n"));
    running.signal(Signal::HUP);
    counted(&running, &format!("{TAKEN_OVER} 2\n"));
}

#[test]
fn config_map_that_is_swapped_by_its_link_is_taken_over() {
    // As the kubelet does it: file → ..data/file, ..data → ..2026_a, and then ..data → ..2026_b.
    let running = Running::start_with(&usual(), |folder| {
        let (a, b) = (folder.join("..2026_a"), folder.join("..2026_b"));
        for (version, text) in [(&a, usual()), (&b, wider())] {
            std::fs::create_dir(version).unwrap();
            std::fs::write(version.join("countersign.yaml"), text).unwrap();
        }
        std::fs::remove_file(folder.join("countersign.yaml")).unwrap();
        symlink(&a, folder.join("..data")).unwrap();
        symlink("..data/countersign.yaml", folder.join("countersign.yaml")).unwrap();
    });
    symlink(running.path("..2026_b"), running.path("..data_tmp")).unwrap();
    std::fs::rename(running.path("..data_tmp"), running.path("..data")).unwrap();
    counted(&running, &format!("{TAKEN_OVER} 1\n"));
    assert!(credentials(&running).contains("[archive]"));
}

#[test]
fn bad_file_is_refused_with_all_that_is_wrong_and_the_one_before_stays_in_force() {
    let running = Running::start(Wish::default());
    let broken = usual().replace("to: receipts", "to: receits").replace("realm: test", "realm: TEST");
    replace(&running.path("countersign.yaml"), &broken);
    counted(&running, "countersign_config_refused 1\n");
    let line = running.line("config refused; the one before stays in force");
    assert!(line.contains("receits") && line.contains("a realm has"), "{line}");
    assert!(credentials(&running).contains("[receipts]"));
    assert_eq!(running.get("/readyz").0, 200);
    std::thread::sleep(std::time::Duration::from_secs(3));
    counted(&running, &format!("{REFUSED} 1\n"));

    replace(&running.path("countersign.yaml"), &wider());
    counted(&running, "countersign_config_refused 0\n");
    assert!(credentials(&running).contains("[archive]"));
}

#[test]
fn file_that_is_mentioned_for_the_first_time_is_one_change_and_its_own_is_the_next() {
    let running = Running::start(Wish::default());
    // It stands before the config in every order of names.
    std::fs::write(running.path("a.pem"), read_root("one.pem")).unwrap();
    replace(
        &running.path("countersign.yaml"),
        &config(Wish { proxy: "upstream: { ca_file: a.pem }", ..Wish::default() }),
    );
    counted(&running, &format!("{TAKEN_OVER} 1\n"));
    std::thread::sleep(std::time::Duration::from_secs(4));
    counted(&running, &format!("{TAKEN_OVER} 1\n"));
    replace(&running.path("a.pem"), &read_root("two.pem"));
    counted(&running, &format!("{TAKEN_OVER} 2\n"));
}

#[test]
fn key_that_only_a_restart_puts_into_force_is_named_and_the_rest_is_taken_over() {
    let running = Running::start(Wish::default());
    replace(&running.path("countersign.yaml"), &wider().replace("realm: test", "realm: other"));
    counted(&running, "countersign_config_waits_for_restart 1\n");
    assert!(running.line("wait for a restart").contains("realm"));
    assert!(credentials(&running).contains("[archive]"));
}

#[test]
fn log_level_of_the_config_changes_with_it() {
    let quiet = config(Wish { telemetry: "log: error", ..Wish::default() });
    let running = Running::start_quietly(&quiet);
    replace(&running.path("countersign.yaml"), &quiet.replace("log: error", "log: info"));
    counted(&running, &format!("{TAKEN_OVER} 1\n"));
    running.signal(Signal::HUP);
    running.line("config taken over");
}

fn put_root(folder: &Path, name: &str) {
    for kind in ["pem", "key"] {
        replace(&folder.join("root").with_extension(kind), &read_root(&format!("{name}.{kind}")));
    }
}

fn read_root(file: &str) -> String {
    let roots = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/operations/roots"));
    std::fs::read_to_string(roots.join(file)).expect("a root of the tests")
}

fn root(file: &str) -> String {
    read_root(file).lines().filter(|line| !line.starts_with('-')).collect()
}

#[test]
fn root_of_ones_own_that_is_replaced_on_the_disk_is_used_at_once_and_the_old_one_stays_trusted() {
    let wish = Wish { proxy: "ca: { certificate: root.pem, key: '${file:root.key}' }", ..Wish::default() };
    let running = Running::start_with(&config(wish), |folder| put_root(folder, "one"));
    let trusted = || std::fs::read_to_string(running.path("state/proxy/ca.pem")).unwrap().replace('\n', "");
    assert!(trusted().contains(&root("one.pem")));
    put_root(&running.path(""), "two");
    counted(&running, &format!("{TAKEN_OVER} 1\n"));
    let (now, before) = (trusted().find(&root("two.pem")), trusted().find(&root("one.pem")));
    assert!(now.is_some() && now < before, "{}", trusted());
    let bundle = std::fs::read_to_string(running.path("state/proxy/bundle.pem")).unwrap().replace('\n', "");
    assert!(bundle.contains(&root("one.pem")) && bundle.contains(&root("two.pem")));
}

#[test]
fn root_whose_key_is_another_ones_is_refused() {
    let wish = Wish { proxy: "ca: { certificate: root.pem, key: '${file:root.key}' }", ..Wish::default() };
    let running = Running::start_with(&config(wish), |folder| put_root(folder, "one"));
    replace(&running.path("root.pem"), &read_root("two.pem"));
    counted(&running, "countersign_config_refused 1\n");
    assert!(running.line("config refused").contains("the root key is not the key of the root certificate"));
}

#[test]
fn certificate_and_authorities_of_the_shared_proxy_are_taken_over_when_they_are_replaced() {
    let shared = "shared: { listen: '127.0.0.1:0', tokens: true, client_ca_file: clients.pem, \
                  tls: { certificate: root.pem, key: root.key } }";
    let running = Running::start_with(&config(Wish { proxy: shared, ..Wish::default() }), |folder| {
        put_root(folder, "one");
        replace(&folder.join("clients.pem"), &read_root("one.pem"));
    });
    let heard: serde_json::Value = serde_json::from_str(&running.line("Shared")).unwrap();
    let address = heard["fields"]["address"].as_str().unwrap().parse().unwrap();
    assert_eq!(served(address), certificate("one.pem"));
    put_root(&running.path(""), "two");
    counted(&running, &format!("{TAKEN_OVER} 1\n"));
    assert_eq!(served(address), certificate("two.pem"));
    replace(&running.path("clients.pem"), &read_root("two.pem"));
    counted(&running, &format!("{TAKEN_OVER} 2\n"));
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(read_root(name).as_bytes()).expect("a certificate")
}

/// The certificate that is served at `address`, whatever it is worth.
fn served(address: SocketAddr) -> CertificateDer<'static> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("the provider has them");
    let config = builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))).with_no_client_auth();
    let name = ServerName::try_from("proxy.test").expect("a name");
    let mut tls = ClientConnection::new(Arc::new(config), name).expect("a usable config");
    let mut tcp = connect(address);
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp).expect("a handshake");
    }
    tls.peer_certificates().expect("a server shows one")[0].clone()
}

/// Trusts anyone who has the key of the certificate that is shown.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

type Valid = Result<HandshakeSignatureValid, rustls::Error>;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(&self, said: &[u8], by: &CertificateDer<'_>, how: &DigitallySignedStruct) -> Valid {
        rustls::crypto::verify_tls12_signature(said, by, how, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(&self, said: &[u8], by: &CertificateDer<'_>, how: &DigitallySignedStruct) -> Valid {
        rustls::crypto::verify_tls13_signature(said, by, how, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
