//! The compared tools, each used in its most efficient way. A tool that is not installed is
//! skipped.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use super::{Failure, client};

/// A running server of another tool; it ends on drop.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns a free port.
pub(crate) fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// Returns the first of these programs that supports `flag`.
fn installed(programs: &[&str], flag: &str) -> Option<PathBuf> {
    let answers = |program: &&&str| {
        Command::new(program)
            .arg(flag)
            .output()
            .is_ok_and(|output| output.status.success())
    };
    programs.iter().find(answers).map(PathBuf::from)
}

/// Returns the running time of a command.
fn timed(command: &mut Command) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let output = command.stdin(Stdio::null()).output()?;
    let took = begun.elapsed();
    succeeded(command, &output)?;
    Ok(took)
}

fn succeeded(command: &Command, output: &Output) -> Result<(), Failure> {
    if output.status.success() {
        return Ok(());
    }
    let program = command.get_program().to_string_lossy();
    Err(format!(
        "`{program}` failed: {}",
        String::from_utf8_lossy(&output.stderr)
    )
    .into())
}

/// `age` with a key of its own.
pub(crate) struct Age {
    program: PathBuf,
    recipient: String,
}

impl Age {
    pub(crate) fn find() -> Result<Option<Self>, Failure> {
        let (Some(program), Some(keygen)) = (
            installed(&["age"], "--version"),
            installed(&["age-keygen"], "--version"),
        ) else {
            return Ok(None);
        };
        let identity = String::from_utf8(Command::new(keygen).output()?.stdout)?;
        let recipient = identity
            .lines()
            .find_map(|line| line.strip_prefix("# public key: "))
            .ok_or("`age-keygen` made no key")?;
        Ok(Some(Self {
            program,
            recipient: recipient.to_owned(),
        }))
    }

    /// Encrypts a file. `age` does not wait until its output is on disk.
    pub(crate) fn seal(&self, plain: &Path, sealed: &Path) -> Result<Duration, Failure> {
        timed(
            Command::new(&self.program)
                .args(["-r", &self.recipient, "-o"])
                .arg(sealed)
                .arg(plain),
        )
    }
}

/// `rclone` with a crypt remote over a local folder.
pub(crate) struct Rclone {
    program: PathBuf,
    config: PathBuf,
}

impl Rclone {
    /// Finds `rclone`. `folder` receives its configuration and its encrypted files.
    pub(crate) fn find(folder: &Path) -> Result<Option<Self>, Failure> {
        let Some(program) = installed(&["rclone"], "version") else {
            return Ok(None);
        };
        let crypt = folder.join("crypt");
        fs::create_dir_all(&crypt)?;
        let obscured = Command::new(&program)
            .args(["obscure", "only for this measurement"])
            .output()?;
        let password = String::from_utf8(obscured.stdout)?;
        let config = folder.join("rclone.conf");
        fs::write(
            &config,
            format!(
                "[crypt]\ntype = crypt\nremote = {}\npassword = {}\n",
                crypt.display(),
                password.trim()
            ),
        )?;
        Ok(Some(Self { program, config }))
    }

    /// Encrypts a file into the crypt remote. `rclone` does not wait until its output is on disk.
    pub(crate) fn encrypt(&self, plain: &Path) -> Result<Duration, Failure> {
        timed(
            self.command()
                .arg("copyto")
                .arg("--ignore-times")
                .arg(plain)
                .arg("crypt:sealed"),
        )
    }

    /// Copies a folder of files unencrypted.
    pub(crate) fn copy(&self, from: &Path, to: &Path, at_once: u16) -> Result<Duration, Failure> {
        timed(
            self.command()
                .args([
                    "copy",
                    "--ignore-times",
                    "--transfers",
                    &at_once.to_string(),
                ])
                .arg(from)
                .arg(to),
        )
    }

    /// Serves the encrypted files over HTTP, decrypted.
    pub(crate) async fn serve(&self) -> Result<(Running, u16), Failure> {
        let port = free_port()?;
        let mut command = self.command();
        command.args([
            "serve",
            "http",
            "--read-only",
            "--addr",
            &format!("127.0.0.1:{port}"),
            "crypt:",
        ]);
        Ok((start(&mut command, port, "/sealed").await?, port))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&self.config);
        command
    }
}

/// `nginx` serving one folder with `sendfile`.
pub(crate) async fn nginx(folder: &Path, served: &Path) -> Result<Option<(Running, u16)>, Failure> {
    let Some(program) = installed(&["nginx", "/usr/sbin/nginx"], "-v") else {
        return Ok(None);
    };
    let port = free_port()?;
    let here = folder.display();
    let root = served.display();
    let config = folder.join("nginx.conf");
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {here}/{kind};"));
    let text = format!(
        "daemon off; master_process off; pid {here}/nginx.pid; error_log {here}/nginx.log;\nevents {{ worker_connections 64; }}\n\
         http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000; {}\n\
         server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n",
        temporary.join(" ")
    );
    fs::write(&config, text)?;
    let file = first_file(served)?;
    let running = start(
        Command::new(program)
            .arg("-e")
            .arg(folder.join("nginx.log"))
            .arg("-c")
            .arg(config),
        port,
        &file,
    )
    .await?;
    Ok(Some((running, port)))
}

/// Returns the path of the only file of a folder.
fn first_file(folder: &Path) -> Result<String, Failure> {
    let entry = fs::read_dir(folder)?.next().ok_or("nothing to serve")??;
    Ok(format!("/{}", entry.file_name().to_string_lossy()))
}

/// Starts a server and waits until it answers.
pub(crate) async fn start(
    command: &mut Command,
    port: u16,
    path: &str,
) -> Result<Running, Failure> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let running = Running(child);
    for _ in 0..600 {
        if client::Connection::open(port)
            .and_then(|mut connection| connection.get(path, 0..1))
            .is_ok_and(|answer| answer.status < 300)
        {
            return Ok(running);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!(
        "`{}` does not answer on port {port}",
        command.get_program().to_string_lossy()
    )
    .into())
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Ends it as a service manager does, so that it can shut down in order.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        let ended = Command::new("kill").arg(self.id().to_string()).status()?;
        if ended.success() {
            self.0.wait()?;
        }
        Ok(())
    }
}
