//! Tests of recovery files where the kinds of store differ: remains of a killed writer, links, and
//! a folder that no longer exists.

use std::path::Path as FilePath;

use bytes::Bytes;
use object_store::ObjectStoreExt;

use super::{PART, killed_while_writing, names};
use crate::store::{
    Error, RecoveryKind,
    RecoveryKind::{Journal, Snapshot},
    RecoveryName, Store, StoreSettings,
    conformance::{
        World, an_hour_ago, content, folder, id, in_an_hour, put,
        recovery::{name, put_recovery},
        s3,
    },
    upload::Upload,
};

const KINDS: [RecoveryKind; 2] = [Snapshot, Journal];

async fn leftovers_are_swept_and_younger_ones_are_not(world: &World, root: &FilePath) {
    let store = &world.store;
    let finished = name(Snapshot, 1, 1);
    put_recovery(store, finished, content(PART + 1))
        .await
        .unwrap();
    let clean = names(root).len();
    for kind in KINDS {
        killed_while_writing(store, name(kind, 1, 2)).await;
    }
    killed_while_writing(store, id()).await;
    let before = names(root).len();
    assert!(before > clean);
    assert_eq!(store.sweep_uploads(an_hour_ago()).await.unwrap(), 0);
    assert_eq!(names(root).len(), before, "a young upload is left alone");
    assert_eq!(store.sweep_uploads(in_an_hour()).await.unwrap(), 3);
    assert_eq!(store.sweep_uploads(in_an_hour()).await.unwrap(), 0);
    assert_eq!(
        store.list_recovery(Snapshot).await.unwrap(),
        [(finished, PART as u64 + 1)]
    );
    assert_eq!(store.list_recovery(Journal).await.unwrap(), []);
    let ours = names(root)
        .into_iter()
        .filter(|name| !name.contains(&hex::encode(finished.id.as_bytes())));
    let left: Vec<String> = ours
        .filter(|name| name.contains('#') || name.contains("upload"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_folder_is_swept_of_them() {
    let world = folder();
    leftovers_are_swept_and_younger_ones_are_not(&world, world.folder.path()).await;
}

#[tokio::test]
async fn a_bucket_is_swept_of_them() {
    let world = s3();
    leftovers_are_swept_and_younger_ones_are_not(&world, world.server.as_ref().unwrap().root())
        .await;
}

/// Returns whether the backend still accepts a part of the upload.
async fn still_takes_parts(upload: &mut Upload) -> bool {
    upload.part(content(10).into()).await.is_ok()
}

#[tokio::test]
async fn the_upload_itself_is_aborted_and_not_only_its_marker_removed() {
    let world = s3();
    for kind in KINDS {
        let name = name(kind, 7, 8);
        let mut upload = Upload::begin(&world.store, name.into()).await.unwrap();
        let marker = world.store.paths.upload(name.id);
        let body = world
            .store
            .inner
            .get(&marker)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        assert_eq!(
            String::from_utf8(body.to_vec()).unwrap().lines().nth(1),
            Some(name.to_string().as_str())
        );
        assert!(still_takes_parts(&mut upload).await);
        assert_eq!(world.store.sweep_uploads(in_an_hour()).await.unwrap(), 1);
        assert!(!still_takes_parts(&mut upload).await);
        assert!(world.store.inner.head(&marker).await.is_err());
    }
}

#[tokio::test]
async fn a_marker_of_one_line_is_of_an_object() {
    let world = s3();
    let id = id();
    let mut upload = Upload::begin(&world.store, id.into()).await.unwrap();
    let body = world
        .store
        .inner
        .get(&world.store.paths.upload(id))
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert!(
        !body.contains(&b'\n'),
        "as markers were before there were recovery files"
    );
    assert_eq!(world.store.sweep_uploads(in_an_hour()).await.unwrap(), 1);
    assert!(!still_takes_parts(&mut upload).await);
}

#[tokio::test]
async fn a_marker_that_outlived_its_upload_is_removed_and_the_file_stays() {
    let world = s3();
    let store = &world.store;
    let name = name(Journal, 1, 1);
    put_recovery(store, name, content(10)).await.unwrap();
    let marker = store.paths.upload(name.id);
    store
        .inner
        .put(&marker, format!("some upload id\n{name}").into())
        .await
        .unwrap();
    assert_eq!(store.sweep_uploads(in_an_hour()).await.unwrap(), 0);
    assert!(store.inner.head(&marker).await.is_err());
    assert_eq!(store.recovery_size(name).await, Ok(10));
}

#[tokio::test]
async fn a_marker_that_is_not_our_writing_is_passed_over() {
    let world = s3();
    let store = &world.store;
    let marked = id();
    let other = name(Snapshot, 1, 1);
    put(store, marked, content(10)).await.unwrap();
    let marker = store.paths.upload(marked);
    for body in [
        String::new(),
        "upload\n".into(),
        "upload\nholiday.jpg".into(),
        format!("upload\n{other}"),
        format!("upload\n{other}\n"),
    ] {
        store
            .inner
            .put(&marker, Bytes::from(body.clone()).into())
            .await
            .unwrap();
        assert_eq!(
            store.sweep_uploads(in_an_hour()).await.unwrap(),
            0,
            "{body:?}"
        );
        assert!(store.inner.head(&marker).await.is_ok(), "{body:?}");
    }
}

#[tokio::test]
async fn a_finished_upload_leaves_no_marker() {
    let world = s3();
    put_recovery(&world.store, name(Snapshot, 1, 1), content(2 * PART))
        .await
        .unwrap();
    assert_eq!(
        names(&world.server.as_ref().unwrap().root().join("calls")).len(),
        1,
        "the snapshot and nothing else"
    );
}

#[tokio::test]
async fn a_file_is_where_its_name_says() {
    let world = folder();
    for kind in KINDS {
        let name = name(kind, 2, 1234);
        put_recovery(&world.store, name, content(10)).await.unwrap();
        assert_eq!(
            std::fs::read(world.folder.path().join("objects").join(name.to_string())).unwrap(),
            content(10)
        );
    }
}

#[tokio::test]
async fn leftovers_that_are_not_of_a_name_of_ours_are_kept() {
    let world = folder();
    let snapshots = world.folder.path().join("objects/snapshots");
    let old = name(Snapshot, 1, 1).to_string();
    std::fs::create_dir_all(snapshots.join("old")).unwrap();
    for foreign in [
        "README#1",
        "old/x.floe#1",
        &format!("old/{}#1", &old["snapshots/".len()..]),
    ] {
        std::fs::write(snapshots.join(foreign), "x").unwrap();
    }
    std::fs::write(
        world.folder.path().join("objects").join(format!("{old}#a")),
        "x",
    )
    .unwrap();
    assert_eq!(world.store.sweep_uploads(in_an_hour()).await.unwrap(), 0);
    assert_eq!(names(&snapshots).len(), 4);
    assert_eq!(world.store.list_recovery(Snapshot).await.unwrap(), []);
}

#[tokio::test]
async fn links_are_not_followed() {
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = name(Snapshot, 1, 1);
    std::fs::create_dir(elsewhere.path().join("snapshots")).unwrap();
    let file = elsewhere.path().join(stranger.to_string());
    std::fs::write(&file, "x").unwrap();

    let world = folder();
    let snapshots = world.folder.path().join("objects/snapshots");
    std::fs::create_dir(&snapshots).unwrap();
    std::os::unix::fs::symlink(&file, snapshots.join(file.file_name().unwrap())).unwrap();
    assert_eq!(world.store.list_recovery(Snapshot).await.unwrap(), []);

    for kind in ["snapshots", "journal"] {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join("objects")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), base.path().join("objects").join(kind))
            .unwrap();
        let error = Store::open(&StoreSettings::default(), base.path()).unwrap_err();
        assert!(
            matches!(error, Error::Setting { key: "url", .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_folder_that_is_gone_does_not_pass_for_one_without_snapshots() {
    let world = folder();
    let snapshot = name(Snapshot, 1, 1);
    put_recovery(&world.store, snapshot, content(10))
        .await
        .unwrap();
    let there = world.folder.path().join("objects");
    let away = world.folder.path().join("away");
    std::fs::rename(&there, &away).unwrap();
    for _ in ["absent", "another"] {
        assert!(matches!(
            world.store.list_recovery(Snapshot).await,
            Err(Error::Unavailable { .. })
        ));
        assert!(matches!(
            world.store.delete_recovery(snapshot).await,
            Err(Error::Unavailable { .. })
        ));
        std::fs::create_dir_all(&there).unwrap();
    }
    std::fs::remove_dir(&there).unwrap();
    std::fs::rename(&away, &there).unwrap();
    assert_eq!(
        world.store.list_recovery(Snapshot).await.unwrap(),
        [(snapshot, 10)]
    );
    world
        .store
        .delete_recovery(RecoveryName {
            kind: Journal,
            ..snapshot
        })
        .await
        .unwrap();
    world.store.delete_recovery(snapshot).await.unwrap();
    assert_eq!(world.store.list_recovery(Snapshot).await.unwrap(), []);
}
