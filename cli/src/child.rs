//! The command that `run` starts: its signals, its end.
//!
//! With a terminal the child shares our foreground process group, so Ctrl-C reaches it from the kernel; we only wait.
//!
//! The command does not outlive us, even if we are killed: it is started through `exec-for-run`, which asks the kernel for a
//! signal at our end and then becomes the command. To ask between fork and exec, as is usual, takes `unsafe`.
//!
//! Without one it gets a group of its own and every signal that we get is passed on. A second SIGTERM becomes SIGKILL.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, getppid, kill_process, kill_process_group, set_parent_process_death_signal};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use crate::failure::{Exit, Failure};

/// What a shell adds to the number of the signal that ended a command.
const ENDED_BY_SIGNAL: i32 = 128;

/// How long a command that is ended may take to do so.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A running command.
pub(crate) struct Running {
    child: Child,
    /// Whether it leads a process group of its own.
    own_group: bool,
    signals: Signals,
}

/// Starts `command` with `variables` set over what it inherits, and `removed` taken away.
pub(crate) fn start(
    command: &[OsString],
    variables: &[(String, String)],
    removed: &[&str],
) -> Result<Running, Failure> {
    let own_group = !io::stdin().is_terminal();
    let ourselves = std::env::current_exe().map_err(|error| unstartable(&error))?;
    let mut child = Command::new(ourselves);
    child.args(["exec-for-run".as_ref(), std::process::id().to_string().as_ref(), OsStr::new("--")]).args(command);
    child.envs(variables.iter().map(|(name, value)| (name, value))).kill_on_drop(true);
    for name in removed {
        child.env_remove(name);
    }
    if own_group {
        child.process_group(0);
    }
    // Before the command starts: a signal that came in between would end us and leave it alone.
    let signals = Signals::new().map_err(|error| unwatched(&error))?;
    let child = child.spawn().map_err(|error| unstartable(&error))?;
    Ok(Running { child, own_group, signals })
}

/// Becomes the command, which gets SIGTERM when `parent` ends in whatever way. Comes back only if that fails.
pub(crate) fn become_command(parent: u32, command: &[OsString]) -> Failure {
    let (program, arguments) = command.split_first().expect("clap demands a command");
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return unwatched(&error.into());
    }
    // It may have ended before the kernel was asked.
    if getppid().map(|pid| pid.as_raw_nonzero().get().cast_unsigned()) != Some(parent) {
        return Failure::new(Exit::Run, "`exec-for-run` is for `run` only, which has ended");
    }
    let error = std::process::Command::new(program).args(arguments).exec();
    let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NoCommand } else { Exit::NotExecutable };
    Failure::new(exit, format!("cannot run {program:?}: {error}"))
}

fn unstartable(error: &io::Error) -> Failure {
    Failure::new(Exit::Run, format!("the command cannot be started: {error}"))
}

impl Running {
    /// Passes signals on until the command has ended; gives the code that a shell would. When `abandoned` comes first,
    /// the command is ended, for what it depends on is gone.
    pub(crate) async fn wait(mut self, abandoned: impl Future<Output = ()>) -> Result<u8, Failure> {
        tokio::pin!(abandoned);
        let mut terminated = false;
        loop {
            tokio::select! {
                status = self.child.wait() => return Ok(code(status.map_err(|error| unwatched(&error))?)),
                () = &mut abandoned => return self.end().await,
                signal = self.signals.next() => {
                    let insisted = terminated && signal == Signal::TERM;
                    terminated |= signal == Signal::TERM;
                    self.pass_on(if insisted { Signal::KILL } else { signal });
                }
            }
        }
    }

    /// Ends the command: asked first, killed if it does not listen.
    async fn end(mut self) -> Result<u8, Failure> {
        self.send(Signal::TERM);
        if tokio::time::timeout(LAST_WORDS, self.child.wait()).await.is_err() {
            self.send(Signal::KILL);
        }
        Err(Failure::new(Exit::Run, "the proxy ended before the command, which was ended too"))
    }

    fn pass_on(&self, signal: Signal) {
        let from_the_terminal = signal == Signal::INT || signal == Signal::QUIT;
        if self.own_group || !from_the_terminal {
            self.send(signal);
        }
    }

    fn send(&self, signal: Signal) {
        let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) else { return };
        let sent = if self.own_group { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
        if let Err(error) = sent {
            tracing::debug!(%error, "the command is gone already");
        }
    }
}

fn unwatched(error: &io::Error) -> Failure {
    Failure::new(Exit::Run, format!("cannot watch the command: {error}"))
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| ENDED_BY_SIGNAL + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// The signals that are passed on.
struct Signals([(Signal, Stream); 6]);

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self([
            (Signal::TERM, signal(SignalKind::terminate())?),
            (Signal::INT, signal(SignalKind::interrupt())?),
            (Signal::QUIT, signal(SignalKind::quit())?),
            (Signal::HUP, signal(SignalKind::hangup())?),
            (Signal::USR1, signal(SignalKind::user_defined1())?),
            (Signal::USR2, signal(SignalKind::user_defined2())?),
        ]))
    }

    async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            for (signal, stream) in &mut self.0 {
                if stream.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*signal);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}
