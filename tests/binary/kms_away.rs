//! A service whose key management service is unreachable after another process has turned the
//! epoch.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use crate::{
    client::eventually,
    moto::Moto,
    needs,
    process::run_in,
    world::{World, sound},
};

/// The fate of a connection through the proxy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It is forwarded.
    Open,
    /// It is closed at once.
    Cut,
    /// It is accepted, but never answered.
    Silent,
}

/// A proxy to a server, which the test opens and closes. It ends on drop.
struct Road {
    url: String,
    way: watch::Sender<Way>,
    /// The number of failed connections.
    vain: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Road {
    async fn to(server: &str) -> Self {
        let server: SocketAddr = server.strip_prefix("http://").unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let ((way, mut present), vain) = (watch::channel(Way::Open), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        let counted = Arc::clone(&vain);
        tasks.spawn(async move {
            let mut travellers = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let way = *present.borrow_and_update();
                if way != Way::Open {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
                let mut changes = present.clone();
                travellers.spawn(async move {
                    tokio::select! {
                        () = travel(stream, way, server) => {}
                        // A change also ends open connections.
                        _ = changes.changed() => {}
                    }
                });
            }
        });
        Self {
            url,
            way,
            vain,
            _tasks: tasks,
        }
    }
}

async fn travel(mut stream: TcpStream, way: Way, server: SocketAddr) {
    match way {
        Way::Open => {
            let mut there = TcpStream::connect(server).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut there).await;
        }
        Way::Cut => {}
        Way::Silent => std::future::pending().await,
    }
}

async fn a_turn_elsewhere_while_the_service_cannot_be_asked(way: Way) {
    let moto = Moto::start(&needs::required("RECVAULT_TEST_MOTO"));
    let road = Road::to(moto.url()).await;
    let world = World::by_kms(&moto.lines(&road.url).await).await;
    let service = world.serve().await;
    let client = &service.client;
    let wav = sound(1, 1);
    let id = world.sealed(client, wav.clone()).await;

    // No request is made while the key in memory is the present one.
    road.way.send_replace(way);
    assert_eq!(client.hear(id).await, wav);
    assert_eq!(client.get("/readyz").await.unwrap().0, 200);

    let direct = [("RECVAULT__CUSTODY__AWS_KMS__ENDPOINT", moto.url())];
    run_in(world.folder.path(), &["epoch", "turn"], &direct).done();
    assert!(
        eventually(async || client.get("/readyz").await.unwrap().0 == 503).await,
        "{}",
        service.process.log()
    );
    assert!(
        service.process.log().contains("custody has a problem"),
        "{}",
        service.process.log()
    );
    let (granted, path) = client.grant(id).await.unwrap();
    assert_eq!(granted, 201, "a decision takes no key");
    assert_eq!(
        client.get(&path.unwrap()).await.unwrap().0,
        503,
        "nothing opens by a key of before"
    );
    // It retries, and is not ready in between.
    let asked = road.vain.load(Ordering::SeqCst);
    let mut answers = Vec::new();
    let again = eventually(async || {
        answers.push(client.get("/readyz").await.unwrap().0);
        road.vain.load(Ordering::SeqCst) > asked + 3
    });
    assert!(again.await, "{}", service.process.log());
    assert!(answers.iter().all(|answer| *answer == 503), "{answers:?}");
    let (sid, late) = world.record(sound(2, 1));
    assert!(
        matches!(world.announce(client, &sid).await.unwrap(), 204 | 503),
        "a callback is taken, or is to be sent again"
    );

    road.way.send_replace(Way::Open);
    assert!(
        eventually(async || client.get("/readyz").await.unwrap().0 == 200).await,
        "{}",
        service.process.log()
    );
    assert!(
        service
            .process
            .log()
            .contains("custody has no problem any more"),
        "{}",
        service.process.log()
    );
    assert_eq!(client.hear(id).await, wav);
    assert_eq!(world.announce(client, &sid).await.unwrap(), 204);
    // Work that failed meanwhile is postponed.
    world.database.execute("UPDATE work SET due_at = 0").await;
    client.until(late, "sealed").await;
    service.process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs moto, which plays AWS KMS: run `tests/run`"]
async fn a_service_that_cannot_reach_kms_after_a_turn_is_not_ready_until_it_can() {
    a_turn_elsewhere_while_the_service_cannot_be_asked(Way::Cut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs moto, which plays AWS KMS: run `tests/run`"]
async fn a_service_to_which_kms_does_not_answer_after_a_turn_is_not_ready_until_it_does() {
    a_turn_elsewhere_while_the_service_cannot_be_asked(Way::Silent).await;
}
