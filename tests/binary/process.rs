//! Processes of the real executable: commands that end, and services that run until they are
//! stopped, die or are killed.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

/// The longest wait for an immediate event; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// The executable, without the test's own environment.
pub(crate) fn recvault() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recvault"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command line to its end in a folder.
pub(crate) fn run_in(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = recvault();
    command.args(args).envs(variables.iter().copied());
    Ended::of(command.current_dir(folder))
}

/// Runs a command line with a umask that removes no permissions.
pub(crate) fn run_with_open_umask(folder: &Path, args: &[&str]) -> Ended {
    let mut shell = Command::new("/bin/sh");
    shell.args([
        "-c",
        "umask 000; exec \"$0\" \"$@\"",
        env!("CARGO_BIN_EXE_recvault"),
    ]);
    shell.args(args).env_clear().stdin(Stdio::null());
    Ended::of(shell.current_dir(folder))
}

impl Ended {
    fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).expect("what is printed is text");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Returns the standard output of a command that must succeed.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }

    /// Returns the standard output of a command that must succeed, as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        let stdout = self.done();
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
    }

    /// Returns the standard error of a command that must fail without printing facts.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        assert_eq!(
            (self.code, self.stdout.as_str()),
            (Some(1), ""),
            "{self:#?}"
        );
        self.stderr
    }
}

/// A running child process; it is killed on drop.
pub(crate) struct Process {
    pid: Pid,
    ended: watch::Receiver<Option<ExitStatus>>,
    lines: watch::Receiver<usize>,
    log: Arc<Mutex<String>>,
}

impl Process {
    /// Starts it and keeps its standard error.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the executable starts");
        let pid = Pid::from_child(&child);
        let (log, (wrote, lines), (tell, ended)) = (
            Arc::new(Mutex::new(String::new())),
            watch::channel(0),
            watch::channel(None),
        );
        let stderr = child.stderr.take().expect("standard error is piped");
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                kept.lock().unwrap().push_str(&(line + "\n"));
                wrote.send_modify(|lines| *lines += 1);
            }
            tell.send_replace(child.wait().ok());
        });
        Self {
            pid,
            ended,
            lines,
            log,
        }
    }

    /// Returns its standard error so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Waits until `find` finds something in its log.
    pub(crate) async fn says<T: Send>(
        &self,
        what: &str,
        find: impl Fn(&str) -> Option<T> + Send + Sync,
    ) -> T {
        let mut lines = self.lines.clone();
        let found = async {
            loop {
                lines.borrow_and_update();
                if let Some(found) = find(&self.log()) {
                    return Some(found);
                }
                if lines.changed().await.is_err() {
                    return find(&self.log());
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await.ok().flatten();
        found.unwrap_or_else(|| panic!("the process did not say {what}; its log:\n{}", self.log()))
    }

    /// Sends it a signal, if it still runs.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.ended.borrow().is_none() {
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Waits for its end.
    pub(crate) async fn end(&self) -> ExitStatus {
        let mut ended = self.ended.clone();
        let status = tokio::time::timeout(PATIENCE, ended.wait_for(Option::is_some)).await;
        let status =
            status.unwrap_or_else(|_| panic!("the process did not end; its log:\n{}", self.log()));
        status
            .expect("somebody waits for the child")
            .expect("it has ended")
    }

    /// Kills it as a power cut would.
    pub(crate) async fn kill(&self) {
        self.signal(Signal::KILL);
        self.end().await;
    }

    /// Stops it; it must end in order and without errors in its log.
    pub(crate) async fn stop(&self) {
        self.signal(Signal::TERM);
        let status = self.end().await;
        assert_eq!(
            status.code(),
            Some(0),
            "the service did not stop in order; its log:\n{}",
            self.log()
        );
    }

    /// Waits until it has died at the armed crash point.
    pub(crate) async fn dies(&self, point: &str) {
        let status = self.end().await;
        assert_eq!(
            status.signal(),
            Some(Signal::ABORT.as_raw()),
            "it should have died at {point}: {status}; its log:\n{}",
            self.log()
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Also kills a stopped process.
        self.signal(Signal::KILL);
    }
}
