//! Tests of behaviour that is specific to one kind of store, and of the limit of one part in
//! flight.

mod gate;
mod recovery;
mod unrecorded;

use std::{os::unix::fs::PermissionsExt, path::Path as FilePath};

use bytes::Bytes;
use futures_util::future::poll_immediate;
use object_store::ObjectStoreExt;

use super::{
    Error, Name, Store, StoreSettings,
    conformance::{
        World, an_hour_ago, content, folder, id, in_an_hour, list, put, s3, s3_settings,
    },
    upload::Upload,
};
use crate::secret::SecretText;

const PART: usize = 8 * 1024 * 1024;

/// Simulates a killed process: the upload is forgotten after its first part, without running drop
/// code.
async fn killed_while_writing(store: &Store, name: impl Into<Name>) {
    let mut upload = Upload::begin(store, name.into()).await.unwrap();
    let landed = upload.part(content(PART).into()).await.unwrap();
    upload.landed(landed);
    std::mem::forget(upload);
}

fn names(folder: &FilePath) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            names.extend(self::names(&entry.path()));
        } else {
            names.push(entry.file_name().into_string().unwrap());
        }
    }
    names
}

async fn abandoned_uploads_are_swept_and_younger_ones_are_not(world: &World, root: &FilePath) {
    let store = &world.store;
    let finished = id();
    put(store, finished, content(PART + 1)).await.unwrap();
    killed_while_writing(store, id()).await;
    let before = names(root).len();
    assert_eq!(store.sweep_uploads(an_hour_ago()).await.unwrap(), 0);
    assert_eq!(names(root).len(), before, "a young upload is left alone");
    assert_eq!(store.sweep_uploads(in_an_hour()).await.unwrap(), 1);
    assert_eq!(store.sweep_uploads(in_an_hour()).await.unwrap(), 0);
    assert_eq!(list(store, in_an_hour()).await.len(), 1);
    let left: Vec<String> = names(root)
        .into_iter()
        .filter(|name| !name.contains(&hex::encode(finished.as_bytes())))
        .collect();
    assert!(
        !left
            .iter()
            .any(|name| name.contains('#') || name.contains(".upload")),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_folder_is_swept() {
    let world = folder();
    abandoned_uploads_are_swept_and_younger_ones_are_not(&world, world.folder.path()).await;
}

#[tokio::test]
async fn a_bucket_is_swept() {
    let world = s3();
    abandoned_uploads_are_swept_and_younger_ones_are_not(
        &world,
        world.server.as_ref().unwrap().root(),
    )
    .await;
}

#[tokio::test]
async fn a_marker_that_outlived_its_upload_is_removed_and_the_object_stays() {
    let world = s3();
    let store = &world.store;
    let id = id();
    put(store, id, content(10)).await.unwrap();
    let marker = store.paths.upload(id);
    store
        .inner
        .put(&marker, Bytes::from_static(b"some upload id").into())
        .await
        .unwrap();
    assert_eq!(store.sweep_uploads(in_an_hour()).await.unwrap(), 0);
    assert!(store.inner.head(&marker).await.is_err());
    assert_eq!(store.size(id).await, Ok(10));
}

#[tokio::test]
async fn a_finished_upload_leaves_no_marker() {
    let world = s3();
    put(&world.store, id(), content(2 * PART)).await.unwrap();
    assert_eq!(
        names(&world.server.as_ref().unwrap().root().join("calls")).len(),
        1,
        "the object and nothing else"
    );
}

#[tokio::test]
async fn a_new_folder_is_closed_to_others() {
    let world = folder();
    let mode = std::fs::metadata(world.folder.path().join("objects"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// Its receipt would state that the ciphertext is removed.
#[tokio::test]
async fn nothing_is_removed_while_the_disk_is_away() {
    let world = folder();
    let store = &world.store;
    let id = id();
    put(store, id, content(10)).await.unwrap();
    let root = world.folder.path().join("objects");
    let away = world.folder.path().join("away");
    std::fs::rename(&root, &away).unwrap();
    assert!(store.delete(id).await.is_err(), "the root is not there");
    std::fs::create_dir(&root).unwrap();
    assert!(store.delete(id).await.is_err(), "the root is another one");
    std::fs::remove_dir(&root).unwrap();
    std::fs::rename(&away, &root).unwrap();
    assert_eq!(store.size(id).await, Ok(10));
    for _ in 0..2 {
        store.delete(id).await.unwrap();
    }
    assert!(matches!(store.size(id).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn links_are_not_followed_out_of_the_folder() {
    let world = folder();
    let inside = id();
    put(&world.store, inside, content(10)).await.unwrap();
    let objects = world.folder.path().join("objects/objects");
    let elsewhere = tempfile::tempdir().unwrap();
    // In a folder that does not exist yet: the first two digits differ.
    let stranger = std::iter::repeat_with(id)
        .find(|other| other.as_bytes()[0] != inside.as_bytes()[0])
        .unwrap();
    let stranger = hex::encode(stranger.as_bytes());
    std::fs::write(elsewhere.path().join(format!("{stranger}.floe")), "x").unwrap();
    std::fs::write(elsewhere.path().join(format!("{stranger}.floe#1")), "x").unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), objects.join(&stranger[..2])).unwrap();
    assert_eq!(list(&world.store, in_an_hour()).await.len(), 1);
    assert_eq!(world.store.sweep_uploads(in_an_hour()).await.unwrap(), 0);
    assert_eq!(names(elsewhere.path()).len(), 2);

    let other = tempfile::tempdir().unwrap();
    std::fs::create_dir(other.path().join("objects")).unwrap();
    std::os::unix::fs::symlink(&objects, other.path().join("objects/objects")).unwrap();
    let error = Store::open(&StoreSettings::default(), other.path()).unwrap_err();
    assert!(
        matches!(error, Error::Setting { key: "url", .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_a_fault_of_the_url() {
    let base = tempfile::tempdir().unwrap();
    std::fs::write(base.path().join("objects"), "a file").unwrap();
    for error in [
        Store::open(&StoreSettings::default(), base.path()),
        Store::make(&StoreSettings::default(), base.path()),
    ]
    .map(Result::unwrap_err)
    {
        assert!(
            error
                .to_string()
                .starts_with("`store.url`: cannot use folder `"),
            "{error}"
        );
    }
}

/// Its disk is probably not mounted.
#[tokio::test]
async fn a_folder_that_is_not_there_is_made_only_on_purpose() {
    let base = tempfile::tempdir().unwrap();
    let error = Store::open(&StoreSettings::default(), base.path()).unwrap_err();
    assert!(
        matches!(&error, Error::NoFolder { path } if path.ends_with("objects")),
        "{error}"
    );
    assert!(
        error.to_string().contains("not mounted") && error.to_string().contains("--new-store"),
        "{error}"
    );
    assert!(!base.path().join("objects").exists());
    Store::make(&StoreSettings::default(), base.path()).unwrap();
    Store::open(&StoreSettings::default(), base.path()).unwrap();
}

#[tokio::test]
async fn wrong_credentials_are_refused_and_not_shown() {
    let world = s3();
    let settings = StoreSettings {
        secret_access_key: Some(SecretText::new("a wrong secret".into())),
        ..s3_settings(world.server.as_ref().unwrap())
    };
    let store = Store::open(&settings, world.folder.path()).unwrap();
    assert_eq!(
        put(&store, id(), content(1)).await,
        Err(Error::Refused { store: "s3" })
    );
    assert_eq!(store.probe().await, Err(Error::Refused { store: "s3" }));
    let lacking = store.check_permissions().await.unwrap_err();
    assert!(
        matches!(lacking, Error::Lacks { right, .. } if right.contains("s3:PutObject")),
        "{lacking}"
    );
    let error = list_error(&store).await;
    assert_eq!(error, Error::Refused { store: "s3" });
    assert!(!format!("{error:?} {error} {store:?}").contains("AKID"));
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_unavailable() {
    let world = s3();
    let settings = StoreSettings {
        url: "s3://nowhere".into(),
        ..s3_settings(world.server.as_ref().unwrap())
    };
    let store = Store::open(&settings, world.folder.path()).unwrap();
    assert!(matches!(
        list_error(&store).await,
        Error::Unavailable { store: "s3", .. }
    ));
}

async fn list_error(store: &Store) -> Error {
    use futures_util::TryStreamExt;
    store
        .list(in_an_hour())
        .try_collect::<Vec<_>>()
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_server_that_is_down_is_unavailable() {
    let world = s3();
    let settings = s3_settings(world.server.as_ref().unwrap());
    let store = Store::open(&settings, world.folder.path()).unwrap();
    drop(world.server);
    let error = store.size(id()).await.unwrap_err();
    assert!(
        matches!(error, Error::Unavailable { store: "s3", .. }),
        "{error:?}"
    );
    assert!(!error.to_string().contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn a_certificate_file_without_a_certificate_is_a_clear_fault() {
    let base = tempfile::tempdir().unwrap();
    let settings = StoreSettings {
        url: "s3://calls".into(),
        ca_file: Some("ca.pem".into()),
        ..StoreSettings::default()
    };
    let absent = Store::open(&settings, base.path()).unwrap_err();
    assert!(
        absent
            .to_string()
            .starts_with("`store.ca_file`: cannot read `"),
        "{absent}"
    );
    for bad in [
        "",
        "hello",
        "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
        PEM_OF_NOTHING,
    ] {
        std::fs::write(base.path().join("ca.pem"), bad).unwrap();
        let error = Store::open(&settings, base.path()).unwrap_err();
        assert!(
            matches!(error, Error::Setting { key: "ca_file", .. }),
            "{bad}: {error}"
        );
    }
}

/// Well-formed PEM around three bytes that are not a certificate.
const PEM_OF_NOTHING: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

#[tokio::test]
async fn one_part_is_on_its_way_while_the_next_one_fills() {
    let (gate, store) = gate::shut();
    let id = id();
    let mut writer = store.writer(id);
    writer.write(content(PART)).await.unwrap();
    writer.write(content(PART - 1)).await.unwrap();
    let mut third = Box::pin(writer.write(content(1)));
    assert!(
        poll_immediate(&mut third).await.is_none(),
        "the second part waits for the first"
    );
    gate.let_pass(1);
    third.await.unwrap();
    assert_eq!(gate.most_at_once(), 1);
    gate.let_pass(1);
    writer.finish().await.unwrap();
    assert_eq!(store.size(id).await, Ok(2 * PART as u64));
    assert_eq!(gate.most_at_once(), 1);
}

#[tokio::test]
async fn an_object_that_lost_a_part_is_never_finished() {
    let (gate, store) = gate::shut();
    gate.fail();
    gate.let_pass(9);
    let id = id();
    let mut writer = store.writer(id);
    writer.write(content(PART)).await.unwrap();
    assert!(matches!(
        writer.write(content(PART)).await,
        Err(Error::Unavailable { .. })
    ));
    assert_eq!(gate.unfinished(), 0, "what was sent is removed");
    assert!(matches!(
        writer.write(content(1)).await,
        Err(Error::Unavailable { .. })
    ));
    assert!(matches!(
        writer.finish().await,
        Err(Error::Unavailable { .. })
    ));
    assert!(matches!(store.size(id).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn an_object_whose_last_part_is_lost_is_not_finished() {
    let (gate, store) = gate::shut();
    gate.fail();
    gate.let_pass(9);
    let id = id();
    let mut writer = store.writer(id);
    writer.write(content(PART)).await.unwrap();
    assert!(matches!(
        writer.finish().await,
        Err(Error::Unavailable { .. })
    ));
    assert_eq!(gate.unfinished(), 0, "what was sent is removed");
    assert!(matches!(store.size(id).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn a_check_of_the_permissions_that_fails_leaves_no_upload() {
    let (gate, store) = gate::shut();
    gate.let_pass(9);
    store.check_permissions().await.unwrap();
    assert_eq!(gate.unfinished(), 0);
    gate.fail();
    let lacking = store.check_permissions().await.unwrap_err();
    assert!(
        matches!(lacking, Error::Lacks { right, .. } if right.contains("AbortMultipartUpload")),
        "{lacking}"
    );
    assert_eq!(gate.unfinished(), 0);
}

#[tokio::test]
async fn a_write_that_was_given_up_half_way_cannot_be_finished() {
    let (_gate, store) = gate::shut();
    let mut writer = store.writer(id());
    writer.write(content(PART)).await.unwrap();
    assert!(
        poll_immediate(Box::pin(writer.write(content(PART))))
            .await
            .is_none()
    );
    assert!(matches!(
        writer.finish().await,
        Err(Error::Unavailable { .. })
    ));
}
