//! `moto_server`, which plays services of AWS, on a port of its own for the duration of a test.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

/// A running server; it is stopped on drop.
pub(crate) struct MotoServer {
    process: Child,
    pub(crate) url: String,
}

impl MotoServer {
    /// Starts a server of this program.
    pub(crate) fn start(program: &str) -> Self {
        let mut command = Command::new(program);
        command
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("PYTHONUNBUFFERED", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let url = lines
            .find_map(|line| Some(line.unwrap().split_once("Running on ")?.1.trim().to_owned()))
            .unwrap();
        // The server writes a line for each request, and would block if nobody read it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url }
    }
}

impl Drop for MotoServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
