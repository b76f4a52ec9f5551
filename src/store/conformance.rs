//! The behaviour required of every store: one list of tests, run on the folder, on memory, on any
//! other store, and on a real S3 server over HTTP.

#[path = "../../tests/it/s3_server.rs"]
mod s3_server;

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{ObjectStoreExt, memory::InMemory, path::Path};
use tempfile::TempDir;

use self::s3_server::S3Server;
use super::{Error, Listed, Store, StoreSettings, Writer};
use crate::{
    model::{
        id::ObjectId,
        time::{Clock, Timestamp},
    },
    secret::SecretText,
};

const PART: usize = 8 * 1024 * 1024;

/// A store and its backend.
pub(super) struct World {
    pub(super) store: Store,
    pub(super) folder: TempDir,
    pub(super) server: Option<S3Server>,
}

pub(super) fn folder() -> World {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::make(&StoreSettings::default(), folder.path()).unwrap();
    World {
        store,
        folder,
        server: None,
    }
}

pub(super) fn memory() -> World {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::make(
        &StoreSettings {
            url: "memory:".into(),
            ..StoreSettings::default()
        },
        folder.path(),
    )
    .unwrap();
    World {
        store,
        folder,
        server: None,
    }
}

pub(super) fn adapter() -> World {
    World {
        store: Store::over(Arc::new(InMemory::new())),
        folder: tempfile::tempdir().unwrap(),
        server: None,
    }
}

pub(super) fn s3() -> World {
    let folder = tempfile::tempdir().unwrap();
    let server = s3_server::start();
    let store = Store::make(&s3_settings(&server), folder.path()).unwrap();
    World {
        store,
        folder,
        server: Some(server),
    }
}

pub(super) fn s3_settings(server: &S3Server) -> StoreSettings {
    StoreSettings {
        url: format!("s3://{}/team/a", server.bucket),
        endpoint: Some(server.endpoint.clone()),
        access_key_id: Some(server.access_key.into()),
        secret_access_key: Some(SecretText::new(server.secret_key.into())),
        ..StoreSettings::default()
    }
}

pub(super) fn id() -> ObjectId {
    ObjectId::random(&mut rand::rng())
}

/// Returns bytes in which every position is recognisable.
pub(super) fn content(len: usize) -> Bytes {
    (0..len)
        .map(|index| u8::try_from((index / 65_536 + index) % 251).unwrap())
        .collect()
}

pub(super) async fn put(store: &Store, id: ObjectId, bytes: Bytes) -> Result<(), Error> {
    write(store.writer(id), bytes).await
}

pub(super) async fn write(mut writer: Writer, bytes: Bytes) -> Result<(), Error> {
    writer.write(bytes).await?;
    writer.finish().await
}

pub(super) async fn list(store: &Store, older_than: Timestamp) -> Vec<Listed> {
    let mut listed: Vec<Listed> = store.list(older_than).try_collect().await.unwrap();
    listed.sort_by_key(|listed| listed.id);
    listed
}

pub(super) fn in_an_hour() -> Timestamp {
    Clock::System.now().after(Duration::from_secs(3600))
}

pub(super) fn an_hour_ago() -> Timestamp {
    Clock::System.now().before(Duration::from_secs(3600))
}

macro_rules! every_store {
    ($($case:ident),* $(,)?) => {
        every_store!(@ folder $($case)*);
        every_store!(@ memory $($case)*);
        every_store!(@ adapter $($case)*);
        every_store!(@ s3 $($case)*);
    };
    (@ $place:ident $($case:ident)*) => {
        mod $place {
            $(
                #[tokio::test]
                async fn $case() {
                    let world = crate::store::conformance::$place();
                    super::$case(&world.store).await;
                }
            )*
        }
    };
}

pub(super) mod recovery;

every_store!(
    objects_of_any_length_come_back,
    how_the_bytes_are_handed_over_does_not_matter,
    a_second_write_of_an_id_is_refused,
    ranges_at_the_edges,
    several_ranges_come_back_in_their_order,
    a_range_beyond_the_end_is_an_error,
    what_is_not_there_is_not_found,
    deleting_twice_is_fine,
    an_aborted_object_leaves_nothing,
    a_dropped_writer_leaves_nothing_visible,
    a_list_shows_finished_objects_only,
    a_list_leaves_out_what_is_too_young,
    foreign_objects_are_passed_over_and_kept,
    sweeping_spares_finished_objects,
    the_probe_passes,
);

async fn objects_of_any_length_come_back(store: &Store) {
    for len in [0, 1, 1000, PART - 1, PART, PART + 1, 20 * 1024 * 1024] {
        let id = id();
        let bytes = content(len);
        put(store, id, bytes.clone()).await.unwrap();
        assert_eq!(store.size(id).await.unwrap(), len as u64);
        assert!(
            store.read(id, 0..len as u64).await.unwrap() == bytes,
            "{len}"
        );
    }
}

async fn how_the_bytes_are_handed_over_does_not_matter(store: &Store) {
    let bytes = content(2 * PART + 12_345);
    for step in [100_000, PART - 1, PART, PART + 1, 2 * PART] {
        let id = id();
        let mut writer = store.writer(id);
        for start in (0..bytes.len()).step_by(step) {
            writer
                .write(bytes.slice(start..bytes.len().min(start + step)))
                .await
                .unwrap();
            writer.write(Bytes::new()).await.unwrap();
        }
        writer.finish().await.unwrap();
        assert!(
            store.read(id, 0..bytes.len() as u64).await.unwrap() == bytes,
            "{step}"
        );
    }
}

async fn a_second_write_of_an_id_is_refused(store: &Store) {
    for (first, second) in [(3, 5), (PART + 1, 5), (5, PART + 1), (PART + 1, PART + 2)] {
        let id = id();
        let bytes = content(first);
        put(store, id, bytes.clone()).await.unwrap();
        assert_eq!(
            put(store, id, content(second)).await,
            Err(Error::AlreadyExists {
                store: store.name(),
                name: id.into()
            }),
            "{first} {second}"
        );
        assert!(
            store.read(id, 0..first as u64).await.unwrap() == bytes,
            "the first one stays as it was"
        );
    }
}

async fn ranges_at_the_edges(store: &Store) {
    let id = id();
    let n = 100_000u64;
    let bytes = content(100_000);
    put(store, id, bytes.clone()).await.unwrap();
    for range in [
        0..0,
        0..1,
        1..2,
        0..n - 1,
        0..n,
        n - 1..n,
        n..n,
        50_000..50_001,
    ] {
        let place = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        assert_eq!(
            store.read(id, range.clone()).await.unwrap(),
            bytes.slice(place),
            "{range:?}"
        );
    }
}

async fn several_ranges_come_back_in_their_order(store: &Store) {
    let id = id();
    let bytes = content(500_000);
    put(store, id, bytes.clone()).await.unwrap();
    let ranges: [Range<u64>; 5] = [400_000..500_000, 0..74, 74..74, 100..200, 50..150];
    let found = store.read_ranges(id, &ranges).await.unwrap();
    for (range, found) in ranges.iter().zip(&found) {
        assert_eq!(
            *found,
            bytes.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()),
            "{range:?}"
        );
    }
    assert_eq!(found.len(), ranges.len());
    assert!(store.read_ranges(id, &[]).await.unwrap().is_empty());
}

async fn a_range_beyond_the_end_is_an_error(store: &Store) {
    let id = id();
    let size = 1000;
    put(store, id, content(1000)).await.unwrap();
    for range in [0..1001u64, 999..1001, 1000..1001, 5000..5001] {
        let end = range.end;
        assert_eq!(
            store.read(id, range).await,
            Err(Error::OutOfRange {
                store: store.name(),
                name: id.into(),
                end,
                size
            })
        );
        assert!(
            store.read_ranges(id, &[0..10, end - 1..end]).await.is_err(),
            "{end}"
        );
    }
}

async fn what_is_not_there_is_not_found(store: &Store) {
    let id = id();
    let missing = Error::NotFound {
        store: store.name(),
        name: id.into(),
    };
    assert_eq!(store.size(id).await, Err(missing.clone()));
    assert_eq!(store.read(id, 0..1).await, Err(missing.clone()));
    assert_eq!(store.read_ranges(id, &[0..1, 5..6]).await, Err(missing));
}

async fn deleting_twice_is_fine(store: &Store) {
    let id = id();
    put(store, id, content(10)).await.unwrap();
    store.delete(id).await.unwrap();
    store.delete(id).await.unwrap();
    assert!(matches!(store.size(id).await, Err(Error::NotFound { .. })));
    assert_eq!(list(store, in_an_hour()).await, []);
}

async fn an_aborted_object_leaves_nothing(store: &Store) {
    for len in [0, 10, PART, 2 * PART + 10] {
        let id = id();
        let mut writer = store.writer(id);
        writer.write(content(len)).await.unwrap();
        writer.abort().await.unwrap();
        assert!(
            matches!(store.size(id).await, Err(Error::NotFound { .. })),
            "{len}"
        );
    }
    assert_eq!(list(store, in_an_hour()).await, []);
    assert_eq!(store.sweep_uploads(in_an_hour()).await.unwrap(), 0);
}

async fn a_dropped_writer_leaves_nothing_visible(store: &Store) {
    for len in [10, 2 * PART + 10] {
        let id = id();
        let mut writer = store.writer(id);
        writer.write(content(len)).await.unwrap();
        drop(writer);
        assert!(
            matches!(store.size(id).await, Err(Error::NotFound { .. })),
            "{len}"
        );
    }
    assert_eq!(list(store, in_an_hour()).await, []);
}

async fn a_list_shows_finished_objects_only(store: &Store) {
    assert_eq!(list(store, in_an_hour()).await, []);
    let mut expected = Vec::new();
    for len in [0, 7, PART + 1] {
        let id = id();
        put(store, id, content(len)).await.unwrap();
        expected.push(Listed {
            id,
            size: len as u64,
        });
    }
    expected.sort_by_key(|listed| listed.id);
    let mut unfinished = store.writer(id());
    unfinished.write(content(2 * PART)).await.unwrap();
    assert_eq!(list(store, in_an_hour()).await, expected);
    unfinished.abort().await.unwrap();
}

async fn a_list_leaves_out_what_is_too_young(store: &Store) {
    put(store, id(), content(10)).await.unwrap();
    assert_eq!(list(store, an_hour_ago()).await, []);
    assert_eq!(list(store, in_an_hour()).await.len(), 1);
}

async fn foreign_objects_are_passed_over_and_kept(store: &Store) {
    let foreign = store.paths.top("objects").join("README");
    let deep = store
        .paths
        .top("objects")
        .join("zz")
        .join("0123456789abcdef0123456789abcdef.floe");
    let beside = Path::from("holiday.jpg");
    let unmarked = store.paths.uploads().join("README");
    for path in [&foreign, &deep, &beside, &unmarked] {
        store
            .inner
            .put(path, Bytes::from_static(b"not ours").into())
            .await
            .unwrap();
    }
    assert_eq!(list(store, in_an_hour()).await, []);
    assert_eq!(store.sweep_uploads(in_an_hour()).await.unwrap(), 0);
    for path in [&foreign, &deep, &beside, &unmarked] {
        assert!(store.inner.head(path).await.is_ok(), "{path}");
    }
}

async fn sweeping_spares_finished_objects(store: &Store) {
    let short = id();
    let long = id();
    put(store, short, content(10)).await.unwrap();
    put(store, long, content(2 * PART)).await.unwrap();
    assert_eq!(store.sweep_uploads(in_an_hour()).await.unwrap(), 0);
    assert_eq!(list(store, in_an_hour()).await.len(), 2);
}

async fn the_probe_passes(store: &Store) {
    store.probe().await.unwrap();
    store.probe().await.unwrap();
    store.check_permissions().await.unwrap();
    store.check_permissions().await.unwrap();
    assert_eq!(list(store, in_an_hour()).await, []);
}
