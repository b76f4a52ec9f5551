//! A vault on a full disk, and a database that another process has locked: requests are refused
//! temporarily, nothing is half-written, and the vault recovers.

use std::{fs, io::Write as _, path::PathBuf, process::Command};

use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tempfile::TempDir;

use crate::{
    book::{self, Entry},
    invariants,
    world::{World, sound},
};

/// A small temporary disk, unmounted on drop.
struct Disk {
    mount: TempDir,
}

impl Disk {
    /// Mounts it; prints a note and returns `None` without permission to mount.
    fn mount(size: &str) -> Option<Self> {
        let mount = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "recvault"])
            .arg(mount.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self { mount });
        }
        println!("skipped: a small disk cannot be mounted here");
        None
    }

    /// Fills the disk; removing the returned file frees the space.
    fn fill(&self) -> PathBuf {
        let path = self.mount.path().join("filler");
        let mut file = fs::File::create(&path).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![0x5a; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.mount.path())
            .status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_nothing_is_promised_that_is_not_kept() {
    // The write-ahead log takes 16 MiB of these before it is folded back.
    let Some(disk) = Disk::mount("32m") else {
        return;
    };
    let world = World::sqlite_in(disk.mount.path()).await;
    let service = world.serve().await;
    let kept = Entry::new(&world, sound(0, 2));
    kept.announce(&world, &service.client).await.unwrap();
    service.client.until(kept.id, "sealed").await;
    kept.prepare_to_listen(&service.client).await.unwrap();

    let filler = disk.fill();
    // The write-ahead log has some space left, so the first callbacks may be accepted: then they
    // must be durable.
    let late = Entry::several(&world, 60, 1);
    let mut refused = 0;
    for entry in &late {
        let status = entry.announce(&world, &service.client).await.unwrap();
        refused += usize::from(status == 503);
        let state = service.client.state(entry.id).await.unwrap();
        assert_eq!(
            state.is_some(),
            status == 204,
            "what is answered {status} is {state:?}"
        );
    }
    assert!(refused > 0, "the disk is not full");
    // Without an audit entry there is no access, and no shred either, not even a partial one.
    let (status, _) = service.client.grant(kept.id).await.unwrap();
    assert_eq!(status, 503, "{}", service.process.log());
    assert_eq!(
        service
            .client
            .get(kept.audio.get().unwrap())
            .await
            .unwrap()
            .0,
        503
    );
    assert_eq!(service.client.shred(kept.id).await.unwrap().0, 503);
    assert_eq!(
        service.client.state(kept.id).await.unwrap().as_deref(),
        Some("sealed")
    );
    assert_eq!(service.client.get("/healthz").await.unwrap().0, 200);

    fs::remove_file(filler).unwrap();
    book::settle(&late, &world, &service.client).await;
    assert_eq!(service.client.get("/readyz").await.unwrap().0, 200);
    assert_eq!(service.client.hear(kept.id).await, kept.wav);
    service.process.stop().await;
    let found = invariants::check(&world).await;
    assert_eq!((found.states.len(), found.work), (61, 0), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_larger_than_the_disk_leaves_nothing_and_waits() {
    let Some(disk) = Disk::mount("8m") else {
        return;
    };
    let world = World::sqlite_in(disk.mount.path()).await;
    let service = world.serve().await;
    let large = Entry::new(&world, sound(1, 1200));
    let small = Entry::new(&world, sound(2, 1));
    large.announce(&world, &service.client).await.unwrap();
    service
        .process
        .says("that there is no room", |log| {
            log.contains("work was not completed").then_some(())
        })
        .await;
    small.announce(&world, &service.client).await.unwrap();
    service.client.until(small.id, "sealed").await;
    assert_eq!(
        service.client.state(large.id).await.unwrap().as_deref(),
        Some("announced")
    );
    service.process.stop().await;
    let found = invariants::check(&world).await;
    assert_eq!(
        (found.orphans, found.work, world.unfinished_objects()),
        (0, 1, 0),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_locked_callbacks_are_asked_to_come_again() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let entry = Entry::new(&world, sound(1, 1));
    let mut backup = SqliteConnection::connect(world.path("vault.db").to_str().unwrap())
        .await
        .unwrap();
    backup.execute("BEGIN IMMEDIATE").await.unwrap();
    assert_eq!(entry.announce(&world, &service.client).await.unwrap(), 503);
    assert_eq!(service.client.state(entry.id).await.unwrap(), None);
    backup.execute("ROLLBACK").await.unwrap();
    assert_eq!(entry.announce(&world, &service.client).await.unwrap(), 204);
    book::settle(&[entry], &world, &service.client).await;
}
