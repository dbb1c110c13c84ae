//! A running `countersign proxy`, and what can be asked of it over sockets.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const CONFIG: &str = include_str!("../countersign.yaml");

/// What a test wants otherwise than usual, as it stands between braces in YAML.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) limits: &'static str,
    pub(crate) proxy: &'static str,
    pub(crate) telemetry: &'static str,
}

/// Nothing on this machine takes so long; whoever waits longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Running {
    pub(crate) folder: TempDir,
    pub(crate) proxy: SocketAddr,
    pub(crate) telemetry: SocketAddr,
    child: Child,
    lines: Receiver<String>,
    said: Receiver<String>,
}

/// An answer: status and text.
pub(crate) type Answer = (u16, String);

impl Running {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(wish: Wish) -> Self {
        Self::start_with(&config(wish), |_| {})
    }

    /// Starts it on that config, after `prepare` has put into the folder what it needs besides.
    pub(crate) fn start_with(config: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(folder.path().join("countersign.yaml"), config).expect("writable");
        prepare(folder.path());
        Self::started(folder, &["--log", "info"], &[])
    }

    /// The same on a system whose roots are in that file of the folder.
    pub(crate) fn start_trusting(roots: &str, config: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(folder.path().join("countersign.yaml"), config).expect("writable");
        prepare(folder.path());
        Self::started(folder, &["--log", "info"], &[("SSL_CERT_FILE", roots)])
    }

    /// Starts it on that config, which says what is logged.
    pub(crate) fn start_quietly(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(folder.path().join("countersign.yaml"), config).expect("writable");
        Self::started(folder, &[], &[])
    }

    fn started(folder: TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        std::fs::write(folder.path().join("token"), "a.pod.token").expect("writable");
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["proxy", "--output", "json"]).args(arguments).current_dir(folder.path());
        command.env_clear().envs(environment.iter().copied());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let lines = heard(child.stderr.take().expect("a pipe"));
        let said = heard(child.stdout.take().expect("a pipe"));
        let started = line_with(&lines, "countersign.started/v1");
        let document: serde_json::Value = serde_json::from_str(&started).expect("JSON");
        let address = |key: &str| {
            let url = document[key].as_str().unwrap_or_else(|| panic!("no {key} in {started}"));
            url.strip_prefix("http://").and_then(|rest| rest.parse().ok()).expect("an address")
        };
        Self { proxy: address("proxy"), telemetry: address("telemetry"), folder, child, lines, said }
    }

    /// The next line on stderr that has `text` in it.
    pub(crate) fn line(&self, text: &str) -> String {
        line_with(&self.lines, text)
    }

    /// The next line on stdout.
    pub(crate) fn said(&self) -> String {
        line_with(&self.said, "")
    }

    /// What is left on stdout, after its end.
    pub(crate) fn rest_said(&self) -> String {
        self.said.iter().collect::<Vec<_>>().join("\n")
    }

    /// What is left on stderr, after its end.
    pub(crate) fn rest_logged(&self) -> String {
        self.lines.iter().collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        get(self.telemetry, path)
    }

    /// Asks until the answer is as wanted.
    pub(crate) fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path);
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "it does not come to be as wanted: {answer:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs");
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed()).expect("a pid")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The config of a test.
pub(crate) fn config(Wish { limits, proxy, telemetry }: Wish) -> String {
    let kept: Vec<_> = CONFIG.lines().filter(|line| !line.starts_with("proxy:")).collect();
    format!(
        "{}\nproxy: {{ listen: '127.0.0.1:0', directory: state/proxy, token_file: token, limits: {{ {limits} }}, {proxy} }}\n\
         telemetry: {{ listen: '127.0.0.1:0', {telemetry} }}\n",
        kept.join("\n")
    )
}

/// Replaces a file as a whole.
pub(crate) fn replace(path: &Path, text: &str) {
    let next = path.with_extension("next");
    std::fs::write(&next, text).expect("writable");
    std::fs::rename(next, path).expect("a rename within a directory");
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream
}

fn get(address: SocketAddr, path: &str) -> Answer {
    let mut stream = connect(address);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}

/// Its lines as they come.
fn heard(pipe: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    let pipe = BufReader::new(pipe);
    std::thread::spawn(move || pipe.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
    lines
}

fn line_with(lines: &Receiver<String>, text: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut heard = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(line) if line.contains(text) => return line,
            Ok(line) => heard.push(line),
            Err(_) => panic!("no {text} in {heard:#?}"),
        }
    }
}
