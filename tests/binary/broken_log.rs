//! The log of the service cannot be written: the disk is full, the pipe is closed, or the reader is
//! stuck. The service continues.

use std::{
    fs::OpenOptions,
    io::Read as _,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use recvault::demo::stand_in::MediaFault;

use crate::{
    client::{Client, eventually},
    process,
    world::{World, sound},
};

/// A service with this log destination; it is killed on drop.
struct Deaf(Child);

impl Drop for Deaf {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns free ports. The service's address cannot be read from its log here.
fn free_ports() -> [u16; 2] {
    let bound = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    bound.map(|listener| listener.local_addr().unwrap().port())
}

async fn seals_whatever_becomes_of_its_log(log: impl Into<Stdio>, level: &str) {
    let world = World::sqlite().await;
    let [port, metrics] = free_ports();
    let mut command: Command = process::recvault();
    command
        .current_dir("/")
        .arg("--config")
        .arg(world.path("recvault.toml"))
        .arg("serve");
    command
        .env("RECVAULT__SERVER__LISTEN", format!("127.0.0.1:{port}"))
        .env(
            "RECVAULT__SERVER__METRICS_LISTEN",
            format!("127.0.0.1:{metrics}"),
        );
    command
        .env(
            "RECVAULT__SERVER__PUBLIC_URL",
            format!("http://127.0.0.1:{port}"),
        )
        .env("RECVAULT__TELEMETRY__LEVEL", level);
    let _service = Deaf(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    let client = Client::new(format!("http://127.0.0.1:{port}"), &world.token);
    let is_ready = || async {
        client
            .get("/readyz")
            .await
            .is_ok_and(|(status, _)| status == 200)
    };
    assert!(eventually(is_ready).await, "it never got ready");
    // Failing work is logged; other work must still be done.
    let (missing, _) = world.record(sound(0, 1));
    world
        .stand_in
        .fail(&missing, MediaFault::ServerError { times: 1000 });
    assert_eq!(world.announce(&client, &missing).await.unwrap(), 204);
    for mark in 1..6 {
        world.sealed(&client, sound(mark, 1)).await;
    }
    assert!(is_ready().await, "it is ready no more");
    let watcher = Client::new(format!("http://127.0.0.1:{metrics}"), "");
    let lost = async || {
        let text = String::from_utf8(watcher.get("/metrics").await.unwrap().1.to_vec()).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("recvault_log_lines_lost_total "));
        line.is_some_and(|count| count.parse::<f64>().unwrap() > 0.0)
    };
    assert!(
        eventually(lost).await,
        "lines that were lost are not counted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk() {
    seals_whatever_becomes_of_its_log(
        OpenOptions::new().write(true).open("/dev/full").unwrap(),
        "info",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_closed_pipe() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    seals_whatever_becomes_of_its_log(writer, "info").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_pipe_that_nobody_reads() {
    let (reader, writer) = std::io::pipe().unwrap();
    // So many lines that the pipe and the queue before it are soon full.
    seals_whatever_becomes_of_its_log(writer, "trace,sqlx=trace").await;
    drop(reader);
}

#[test]
fn a_command_whose_reader_has_gone_ends_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let folder = tempfile::tempdir().unwrap();
    let made = process::run_in(folder.path(), &["init", "."], &[]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let snapshots = || {
        let listed = process::run_in(folder.path(), &["snapshot", "list", "--json"], &[]).json();
        listed.as_array().map_or(0, Vec::len)
    };
    let before = snapshots();
    let mut command = process::recvault();
    let mut child = command
        .current_dir(folder.path())
        .args(["snapshot", "create"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
    assert_eq!(snapshots(), before + 1, "it did what it was asked");
}
