//! Tests of the envelope against alteration.

use super::*;
use crate::{
    custody::{self, Change, CustodySettings, Owner, Restorable},
    model::timeline::Timeline,
    secret::{Key, SecretText},
    store::Store,
};

struct World {
    folder: tempfile::TempDir,
    store: Store,
    custody: Arc<dyn Custody>,
    name: RecoveryName,
    vault: VaultId,
    root: RootKey,
}

/// A file of 30,000 lines, some of them long.
async fn written() -> World {
    let folder = tempfile::tempdir().unwrap();
    let settings = crate::store::StoreSettings {
        url: "folder:objects".into(),
        ..Default::default()
    };
    let store = Store::make(&settings, folder.path()).unwrap();
    let settings = CustodySettings {
        passphrase: Some(SecretText::new("a".into())),
        ..Default::default()
    };
    let custody = custody::open(settings, folder.path()).unwrap();
    let vault = VaultId::random(&mut rand::rng());
    let key = Key::random(&mut rand::rng());
    let first = custody
        .swap(&Change::first(Owner::first(vault, None)))
        .await
        .unwrap();
    // As after two turns.
    let staged = custody
        .swap(&Change::adding(&first, *first.owner(), 3).unwrap())
        .await
        .unwrap();
    custody
        .swap(&Change::keeping_only(&staged, *first.owner(), &Restorable::proven(3)).unwrap())
        .await
        .unwrap();
    let sealed = custody
        .seal(RootName { vault, epoch: 3 }, &key)
        .await
        .unwrap();
    let name = RecoveryName {
        kind: RecoveryKind::Snapshot,
        epoch: 3,
        timeline: Timeline::FIRST,
        seq: 17,
        id: ObjectId::random(&mut rand::rng()),
    };
    let root = RootKey { epoch: 3, key };
    let entry = Position {
        timeline: Timeline::FIRST,
        seq: 17,
        digest: "0a".repeat(32).parse().unwrap(),
    };
    let standing = ChainPosition {
        path: LogPath::first(),
        entry,
        since: 0,
        chain: 0,
        previous: None,
    };
    let header = Header::of(name, vault, &sealed, Timestamp::from_millis(5), standing);
    let mut writing = Writing::begin(&store, name, &header, &root).await.unwrap();
    for number in 0..30_000 {
        writing
            .line(|out| out.extend_from_slice(line(number).as_bytes()))
            .await
            .unwrap();
    }
    let size = writing.finish().await.unwrap();
    assert_eq!(store.recovery_size(name).await.unwrap(), size);
    World {
        folder,
        store,
        custody,
        name,
        vault,
        root,
    }
}

fn line(number: usize) -> String {
    let long = if number.is_multiple_of(1000) {
        70_000
    } else {
        number % 90
    };
    format!("{number} {}", "x".repeat(long))
}

impl World {
    fn path(&self) -> std::path::PathBuf {
        self.folder
            .path()
            .join("objects")
            .join(self.name.to_string())
    }

    /// Returns every line, or the first error.
    async fn read(&self) -> Result<Vec<String>, Error> {
        let mut reading = RecoveryFile::open(
            &self.store,
            self.name,
            self.custody.as_ref(),
            &mut Roots::default(),
        )
        .await?;
        assert_eq!(
            (reading.header.vault, reading.header.seq, &reading.root.key),
            (self.vault, 17, &self.root.key)
        );
        let mut lines = Vec::new();
        while let Some(line) = reading.line().await? {
            lines.push(String::from_utf8(line.to_vec()).unwrap());
        }
        Ok(lines)
    }
}

#[tokio::test]
async fn what_was_written_is_read_line_by_line() {
    let world = written().await;
    let lines = world.read().await.unwrap();
    assert!(
        lines
            .iter()
            .enumerate()
            .all(|(number, found)| *found == line(number))
            && lines.len() == 30_000
    );
}

#[tokio::test]
async fn an_altered_a_cut_and_a_renamed_file_are_refused() {
    let world = written().await;
    let whole = std::fs::read(world.path()).unwrap();
    for at in [
        0,
        20,
        100,
        250,
        300,
        400,
        70_000,
        whole.len() / 2,
        whole.len() - 1,
    ] {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        std::fs::write(world.path(), altered).unwrap();
        assert!(world.read().await.is_err(), "byte {at}");
    }
    for len in [
        0,
        1,
        100,
        300,
        70_000,
        whole.len() - 65_536,
        whole.len() - 1,
    ] {
        std::fs::write(world.path(), &whole[..len]).unwrap();
        assert!(world.read().await.is_err(), "length {len}");
    }
    std::fs::write(world.path(), &whole).unwrap();
    assert!(world.read().await.is_ok());
    let mut world = world;
    let name = world.name;
    let timeline = Timeline::FIRST.next();
    for other in [
        RecoveryName { seq: 18, ..name },
        RecoveryName { timeline, ..name },
    ] {
        world.name = other;
        std::fs::write(world.path(), &whole).unwrap();
        assert!(matches!(
            world.read().await,
            Err(Error::RecoveryFile {
                why: "it is another file than its name says",
                ..
            })
        ));
    }
}

#[tokio::test]
async fn a_file_dies_with_the_root_of_its_epoch() {
    let world = written().await;
    let root = RootName {
        vault: world.vault,
        epoch: 3,
    };
    let slot = world.custody.read().await.unwrap().unwrap();
    let staged = world
        .custody
        .swap(&Change::adding(&slot, *slot.owner(), 4).unwrap())
        .await
        .unwrap();
    assert!(world.read().await.is_ok());
    world
        .custody
        .swap(&Change::keeping_only(&staged, *slot.owner(), &Restorable::proven(4)).unwrap())
        .await
        .unwrap();
    assert!(
        matches!(world.read().await, Err(Error::Custody(custody::Error::NoRoot(name))) if name == root)
    );
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_refused_as_a_header(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let id = ObjectId::random(&mut rand::rng());
        let name = RecoveryName { kind: RecoveryKind::Journal, epoch: 1, timeline: Timeline::FIRST, seq: 1, id };
        proptest::prop_assert!(Header::read(name, &bytes).is_err());
    }
}
