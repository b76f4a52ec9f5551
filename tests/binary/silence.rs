//! A service that is suspended and resumed, and a limit on open files that is too low.

use std::{
    fs,
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use recvault::demo::conversation::{self, Channels};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use crate::{
    database::Kind,
    process::Process,
    world::{Service, World},
};

/// Bytes of one second: 8 kHz, 16 bit, two channels.
const SECOND: usize = 32_000;
/// The listener's own receive buffer. This much may still arrive on a slow machine; four times as
/// much would arrive before the service has checked the database.
const WINDOW: u32 = 4096;

async fn listener(service: &Service, path: &str) -> TcpStream {
    let at: SocketAddr = service
        .client
        .base
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(WINDOW).unwrap();
    let mut stream = socket.connect(at).await.unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: vault\r\n\r\n").as_bytes())
        .await
        .unwrap();
    stream
}

/// Reads in real time until nothing has arrived for a second, or for this time: returns the number
/// of bytes, and whether the connection was reset.
async fn hears(stream: &mut TcpStream, during: Duration) -> (usize, bool) {
    let begun = Instant::now();
    let mut heard = 0;
    let mut buffer = vec![0; SECOND / 20];
    while begun.elapsed() < during {
        match tokio::time::timeout(Duration::from_secs(1), stream.read(&mut buffer)).await {
            Err(_) => return (heard, false),
            Ok(Ok(0)) => panic!("an end that looks proper, after {heard} bytes"),
            Ok(Ok(read)) => heard += read,
            Ok(Err(_)) => return (heard, true),
        }
        let due = Duration::from_millis(heard as u64 * 1000 / SECOND as u64);
        tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
    }
    (heard, false)
}

/// Suspends the service and shreds beside it. Returns the time of the suspension.
fn shredded_while_stopped(world: &World, service: &Service, id: &str) -> Instant {
    for _ in 0..10 {
        service.process.signal(Signal::STOP);
        let slept = Instant::now();
        let ended = world.run(&["shred", id, "--reason", "operator"]);
        // Suspended inside its own unit, it holds the lock of SQLite.
        if !ended.stderr.contains("database is locked") {
            ended.done();
            return slept;
        }
        service.process.signal(Signal::CONT);
    }
    panic!("it is inside a unit of its own whenever it is stopped");
}

/// It is suspended for much less than its streams may continue without a check.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_stopped_while_another_process_shredded_lets_nothing_out_when_it_goes_on()
 {
    for kind in Kind::given() {
        let world = World::on(kind).await;
        let service = world.serve().await;
        let id = world
            .sealed(
                &service.client,
                conversation::repeat_to(1200, Channels::Dual).into(),
            )
            .await;
        let (_, path) = service.client.grant(id).await.unwrap();
        let mut stream = listener(&service, &path.unwrap()).await;
        let (heard, _) = hears(&mut stream, Duration::from_secs(2)).await;
        assert!(heard > SECOND, "{heard}");

        let slept = shredded_while_stopped(&world, &service, &id.to_string());
        // The bytes in its socket cannot be recalled.
        let (under_way, is_reset) = hears(&mut stream, Duration::from_secs(20)).await;
        assert!(
            !is_reset && under_way <= 2 * SECOND,
            "{under_way} bytes were under way"
        );
        tokio::time::sleep(Duration::from_millis(2200).saturating_sub(slept.elapsed())).await;
        service.process.signal(Signal::CONT);
        let (after, is_reset) = hears(&mut stream, Duration::from_secs(20)).await;
        assert!(
            is_reset && after <= WINDOW as usize,
            "{after} bytes came after it went on: {kind:?}"
        );
        service.process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_on_open_files_is_raised_and_connections_fit_into_it() {
    let world = World::sqlite().await;
    let mut command = Command::new("sh");
    command.env_clear().current_dir("/").args([
        "-c",
        "ulimit -Sn 300 && ulimit -Hn 400 && exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_recvault"),
    ]);
    command
        .arg("--config")
        .arg(world.path("recvault.toml"))
        .arg("serve");
    let process = Process::spawn(&mut command);
    // 256 files are for the rest, and each connection may need two.
    process
        .says("how many connections fit", |log| {
            log.contains("connections=72").then_some(())
        })
        .await;
    let Ok(limits) = fs::read_to_string(format!("/proc/{}/limits", process.id())) else {
        println!("skipped: no /proc here");
        return;
    };
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    assert_eq!(
        files.split_whitespace().skip(3).take(2).collect::<Vec<_>>(),
        ["400", "400"],
        "{files}"
    );
}
