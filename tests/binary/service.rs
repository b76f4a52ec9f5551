//! `recvault serve` as a process: its stopping, and its protection against other processes.

use std::{fs, time::Duration};

use recvault::demo::stand_in::MediaFault;
use rustix::process::Signal;

use crate::{
    client::eventually,
    database::Kind,
    invariants,
    world::{World, sound},
};

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_everything_accepted_end_well() {
    for kind in Kind::given() {
        let world = World::on(kind).await;
        let service = world.serve().await;
        let (sid, id) = world.record(sound(1, 4));
        // In progress when the signal arrives, and completed within the grace period.
        world.stand_in.fail(
            &sid,
            MediaFault::SlowBody {
                bytes: 8000,
                every: Duration::from_millis(100),
            },
        );
        assert_eq!(world.announce(&service.client, &sid).await.unwrap(), 204);
        assert!(eventually(async || world.stand_in.media_requests() == 1).await);
        service.process.stop().await;
        let log = service.process.log();
        assert!(
            log.contains("stopped") && !log.contains("WARN recvault") && !log.contains("ERROR"),
            "{log}"
        );
        assert!(service.client.get("/healthz").await.is_err());
        let found = invariants::check(&world).await;
        assert_eq!(
            found.states.get(&id.to_string()).map(String::as_str),
            Some("sealed"),
            "{found:?}"
        );
        assert_eq!((found.orphans, found.work), (0, 0), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_stops_it_as_well() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    service.process.signal(Signal::INT);
    assert_eq!(
        service.process.end().await.code(),
        Some(0),
        "{}",
        service.process.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_a_core_dump_of_it() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let Ok(limits) = fs::read_to_string(format!("/proc/{}/limits", service.process.id())) else {
        println!("skipped: no /proc here");
        return;
    };
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(
        core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(),
        ["0", "0"],
        "{core}"
    );
    // The files of an undumpable process belong to root, so that no other process of the same user
    // can attach to it.
    let memory = fs::metadata(format!("/proc/{}/mem", service.process.id())).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&memory), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_ready_while_the_store_is_away() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    fs::rename(world.path("objects"), world.path("elsewhere")).unwrap();
    fs::write(world.path("objects"), "in the way").unwrap();
    assert_eq!(service.client.get("/readyz").await.unwrap().0, 503);
    assert_eq!(service.client.get("/healthz").await.unwrap().0, 200);
    // A callback needs no store, and its work waits.
    let (sid, id) = world.record(sound(1, 1));
    assert_eq!(world.announce(&service.client, &sid).await.unwrap(), 204);
    assert!(eventually(async || service.process.log().contains("work was not completed")).await);
    assert_eq!(
        service.client.state(id).await.unwrap().as_deref(),
        Some("announced")
    );
    fs::remove_file(world.path("objects")).unwrap();
    fs::rename(world.path("elsewhere"), world.path("objects")).unwrap();
    service.client.until(id, "sealed").await;
    assert_eq!(service.client.get("/readyz").await.unwrap().0, 200);
}
