//! `countersign broker`: its first start, its tokens, and what is left of it when it is killed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with a config whose broker listens wherever there is room.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let config = "version: 1\nrealm: acme\nbroker: { issuer: http://127.0.0.1:8182, listen: 127.0.0.1:0, store: state/broker.db }\n";
        std::fs::write(home.path().join("countersign.yaml"), config).expect("writable");
        Self(home)
    }

    fn countersign(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(arguments).args(["--output", "json"]).current_dir(self.0.path()).env_clear();
        command
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.countersign(arguments).output().expect("the binary runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// A broker that runs, and where.
    fn broker(&self) -> (Running, SocketAddr) {
        let mut child = self.countersign(&["broker"]).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let line = lines.next().expect("it says where it listens").expect("UTF-8");
        // Read on, so that it never waits for somebody to.
        std::thread::spawn(move || lines.for_each(drop));
        let started: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let address = started["broker"].as_str().expect("an address").parse().expect("an address");
        (Running(child), address)
    }
}

struct Running(Child);

impl Running {
    /// As `kill -9` does: it hears nothing of it.
    fn kill(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ended");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Asks; `None` if the broker is gone before it has answered.
fn ask(address: SocketAddr, (method, path): (&str, &str), (token, body): (&str, &str)) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: broker\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.get(9..12)?.parse().ok()?, body.to_owned()))
}

#[test]
fn first_start_prints_one_token_once_and_it_opens_the_api() {
    let home = Home::new();
    let made = home.json(&["broker", "init"]);
    let token = made["token"].as_str().expect("a token").to_owned();
    assert_eq!(made["organisation"], "acme");
    let again = home.countersign(&["broker", "init"]).output().expect("the binary runs");
    assert_eq!(again.status.code(), Some(10));
    assert!(String::from_utf8_lossy(&again.stderr).contains("`countersign broker token` makes another token"));

    let (_broker, address) = home.broker();
    let users = ("GET", "/api/v1/organisations/acme/users");
    let (status, body) = ask(address, users, (&token, "")).expect("it answers");
    assert_eq!((status, body.as_str()), (200, r#"{"items":[]}"#));
    let (status, _) = ask(address, users, ("csat_x", "")).expect("it answers");
    assert_eq!(status, 401);
    let (status, body) = ask(address, ("GET", "/.well-known/jwks.json"), ("", "")).expect("it answers");
    assert!(status == 200 && body.contains("\"RS256\""), "the issuer's documents are there too: {body}");

    let narrow = home.json(&["broker", "token", "--name", "ci", "--for", "1h", "--action", "countersign:List*"]);
    let narrow = narrow["token"].as_str().expect("a token");
    assert_eq!(ask(address, users, (narrow, "")).expect("it answers").0, 200);
    let made = ask(address, ("POST", users.1), (narrow, r#"{"user_name":"alice"}"#)).expect("it answers");
    assert_eq!(made.0, 403, "{made:?}");
}

/// How often it is killed here; every time in the middle of something else.
const KILLS: u32 = 20;

#[test]
fn nothing_that_was_acknowledged_is_lost_when_it_is_killed() {
    let home = Home::new();
    let token = home.json(&["broker", "init"])["token"].as_str().expect("a token").to_owned();
    let users = "/api/v1/organisations/acme/users";
    let mut acknowledged = Vec::new();
    for round in 0..KILLS {
        let (mut broker, address) = home.broker();
        let end = Instant::now() + Duration::from_millis(20 + u64::from(round * 37 % 180));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let token = token.clone();
                std::thread::spawn(move || {
                    let mut made = Vec::new();
                    for number in 0.. {
                        let name = format!("u-{round}-{writer}-{number}");
                        let body = format!(r#"{{"user_name":"{name}"}}"#);
                        match ask(address, ("POST", users), (&token, &body)) {
                            Some((201, body)) => made.push((name, body)),
                            Some((status, body)) => panic!("{status}: {body}"),
                            None => return made,
                        }
                    }
                    made
                })
            })
            .collect();
        std::thread::sleep(end.saturating_duration_since(Instant::now()));
        broker.kill();
        for writer in writers {
            acknowledged.extend(writer.join().expect("no answer but success"));
        }
    }
    assert!(acknowledged.len() > KILLS as usize, "it was killed while it worked: {}", acknowledged.len());

    let verdict = home.json(&["audit", "verify"]);
    assert_eq!(verdict["verified"], true, "{verdict}");
    let (_broker, address) = home.broker();
    for (name, body) in &acknowledged {
        let id = serde_json::from_str::<Value>(body).expect("JSON")["id"].as_str().expect("an id").to_owned();
        let found = ask(address, ("GET", &format!("{users}/{id}")), (&token, "")).expect("it answers");
        assert_eq!((found.0, &found.1), (200, body), "{name} was acknowledged");
    }
    let told = events_of(&home);
    for (name, _) in &acknowledged {
        assert!(told.contains(name), "{name} stands in the book");
    }
}

/// The names of everybody of whom the book tells that they came.
fn events_of(home: &Home) -> std::collections::HashSet<String> {
    let mut names = std::collections::HashSet::new();
    let mut before = None;
    loop {
        let page = before.map(|before: u64| before.to_string());
        let mut arguments = vec!["audit", "search", "--kind", "user.created", "--limit", "1000"];
        arguments.extend(page.iter().flat_map(|page| ["--before", page]));
        let output = home.countersign(&arguments).output().expect("the binary runs");
        let lines: Vec<Value> = output
            .stdout
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("JSON"))
            .collect();
        names.extend(
            lines.iter().map(|line| line["event"]["detail"]["user"]["name"].as_str().expect("a name").to_owned()),
        );
        match lines.last() {
            Some(last) if lines.len() == 1000 => before = last["seq"].as_u64(),
            _ => return names,
        }
    }
}
