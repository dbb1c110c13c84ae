//! A strict verifier that is not ours (OpenSSL, as Python 3.13 sets it up) shakes hands with a real server.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::thread;

use jiff::{SignedDuration, Timestamp};
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Host, Mint};
use crate::stage::host;
use crate::{Leaves, Root, Scope, ServerTls};

/// Connects to argv[1] as a client of host argv[2], trusting the PEM on stdin and nothing else. The two flags are
/// Python 3.13's default; older versions know them too.
const CLIENT: &str = r#"
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(cadata=sys.stdin.read())
context.verify_flags |= ssl.VERIFY_X509_STRICT | getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0x80000)
context.set_alpn_protocols(["http/1.1"])
context.maximum_version = getattr(ssl.TLSVersion, sys.argv[3])
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20) as raw:
    with context.wrap_socket(raw, server_hostname=sys.argv[2]) as tls:
        print(tls.version(), tls.selected_alpn_protocol(), tls.recv(5).decode())
"#;

/// Python verifies by the real clock, so here the root is made by it.
fn mint(hosts: &[&str]) -> Mint {
    let scope = Scope::of(hosts.iter().map(|text| host(text))).unwrap();
    let root = Root::generate(&scope, now(), SignedDuration::from_hours(1)).unwrap();
    Mint::new(root).unwrap()
}

/// The real time, as the file system tells it.
fn now() -> Timestamp {
    let file = tempfile::tempfile().unwrap();
    Timestamp::try_from(file.metadata().unwrap().modified().unwrap()).unwrap()
}

/// Accepts one connection and greets it; ends whether or not the client likes the certificate.
fn greet_one(config: Arc<ServerConfig>) -> (SocketAddr, thread::JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
        // A client that refuses the certificate ends the connection here; what it said is what the test looks at.
        if stream.write_all(b"hello").is_ok() {
            stream.conn.send_close_notify();
            let _ended = stream.flush().and_then(|()| stream.read_to_end(&mut Vec::new()));
        }
    });
    (address, server)
}

/// What Python says when it asks for `name` and `config` answers.
fn python(root_pem: &str, config: Arc<ServerConfig>, name: &str, version: &str) -> Output {
    let (address, server) = greet_one(config);
    let port = address.port().to_string();
    let mut client = Command::new("python3")
        .args(["-c", CLIENT, &port, name, version])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 is needed to build and test this project");
    client.stdin.take().unwrap().write_all(root_pem.as_bytes()).unwrap();
    let output = client.wait_with_output().unwrap();
    server.join().unwrap();
    output
}

fn accepting(mint: Mint) -> (String, ServerTls) {
    let pem = mint.root().pem().to_owned();
    let leaves = Arc::new(Leaves::new(mint, Arc::new(now)));
    (pem, ServerTls::new(leaves, &[b"http/1.1"]).unwrap())
}

#[test]
fn python_with_strict_flags_accepts_names_and_addresses() {
    let long = format!("{}.amazonaws.com", "b".repeat(63));
    let (pem, tls) = accepting(mint(&["amazonaws.com", "127.0.0.1", "::1"]));
    for (name, version, greeting) in [
        ("s3.amazonaws.com", "TLSv1_3", "TLSv1.3 http/1.1 hello\n"),
        ("s3.amazonaws.com", "TLSv1_2", "TLSv1.2 http/1.1 hello\n"),
        (&long, "TLSv1_3", "TLSv1.3 http/1.1 hello\n"),
        ("127.0.0.1", "TLSv1_3", "TLSv1.3 http/1.1 hello\n"),
        ("::1", "TLSv1_3", "TLSv1.3 http/1.1 hello\n"),
    ] {
        let output = python(&pem, tls.for_host(host(name)).unwrap(), name, version);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), greeting, "{name}: {said}");
    }
    let output = python(&pem, Arc::clone(tls.by_name()), "sts.amazonaws.com", "TLSv1_3");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "TLSv1.3 http/1.1 hello\n");
}

/// A server of one certificate, whatever the client asks for.
#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn presenting(mint: &Mint, signed_for: &Host) -> Arc<ServerConfig> {
    let leaf = mint.sign(signed_for, now()).unwrap();
    let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Fixed(Arc::clone(leaf.certified()))));
    Arc::new(config)
}

#[test]
fn python_refuses_what_the_root_may_not_sign_and_other_hosts_names() {
    let mint = mint(&["amazonaws.com"]);
    for (signed_for, asked, reason) in [
        ("accounts.google.com", "accounts.google.com", "permitted subtree violation"),
        ("127.0.0.1", "127.0.0.1", "excluded subtree violation"),
        ("s3.amazonaws.com", "sts.amazonaws.com", "Hostname mismatch"),
    ] {
        let output = python(mint.root().pem(), presenting(&mint, &host(signed_for)), asked, "TLSv1_3");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(reason), "{signed_for}: {said}");
    }
}
