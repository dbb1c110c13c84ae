//! Whom the proxy trusts towards destinations: the roots of its system, and those that the config names.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ca::{Host, Leaves, Mint, Root, Scope, ServerTls};
use rustls::{ServerConnection, StreamOwned};

use crate::stage::{Running, Wish, config, connect};

/// A destination on loopback, and the root that vouches for it.
struct Destination {
    port: u16,
    root: String,
}

impl Destination {
    /// Answers every request with 204.
    fn new() -> Self {
        let hosts = ["localhost"].map(|host| Host::parse(host).expect("a host"));
        #[expect(clippy::disallowed_methods, reason = "the binary checks certificates by the real time")]
        let now = jiff::Timestamp::now();
        let root = Root::generate(&Scope::of(hosts).expect("hosts"), now, jiff::SignedDuration::from_hours(1))
            .expect("a root");
        let pem = root.pem().to_owned();
        let leaves = Leaves::new(Mint::new(root).expect("a mint"), Arc::new(move || now));
        let tls = ServerTls::new(Arc::new(leaves), &[b"http/1.1"]).expect("TLS").by_name().clone();
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let port = listener.local_addr().expect("it is bound").port();
        std::thread::spawn(move || {
            for tcp in listener.incoming() {
                let mut io = StreamOwned::new(
                    ServerConnection::new(tls.clone()).expect("a usable config"),
                    tcp.expect("somebody"),
                );
                std::thread::spawn(move || {
                    // Nothing comes from a proxy that does not trust it.
                    while io.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                        io.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("it listens");
                    }
                });
            }
        });
        Self { port, root: pem }
    }
}

/// What a program gets that asks for something of the cloud that needs no signature, where `one` and `other` are the cloud.
fn statuses(running: &Running) -> [u16; 2] {
    ["s3.us-east-1.amazonaws.com", "s3.eu-central-1.amazonaws.com"].map(|host| {
        let mut stream = connect(running.proxy);
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
        write!(stream, "GET http://{host}/public HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
            .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    })
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("writable");
}

#[test]
fn destination_is_trusted_by_a_root_of_the_system_or_by_one_that_the_config_names_and_by_no_other() {
    let (one, other) = (Destination::new(), Destination::new());
    let base = config(Wish::default());
    let endpoints = format!(
        "endpoints:\n  s3.us-east-1.amazonaws.com: https://localhost:{}\n  s3.eu-central-1.amazonaws.com: https://localhost:{}\n",
        one.port, other.port
    );
    let prepare = |folder: &Path| {
        write(folder, "system.pem", &one.root);
        write(folder, "other.pem", &other.root);
    };
    let system_only = base.clone() + &endpoints;
    let running = Running::start_trusting("system.pem", &system_only, prepare);
    assert_eq!(statuses(&running), [204, 503]);
    let both = system_only.replace("limits: {  },", "limits: {  }, upstream: { ca_file: other.pem },");
    assert_ne!(both, system_only);
    let running = Running::start_trusting("system.pem", &both, prepare);
    assert_eq!(statuses(&running), [204, 204], "what the config names comes beside the system's");
}
