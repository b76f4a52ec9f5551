//! Tests of the files after each interruption, and of how they are completed, refused or ignored.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::{
    custody::{
        Owner,
        file::{KmsFile, KmsRoot},
    },
    model::id::VaultId,
};

struct World {
    folder: tempfile::TempDir,
    place: CustodyFolder,
    owner: Owner,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = CustodyFolder::at(folder.path().join("root"));
        Self {
            folder,
            place,
            owner: owner(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).unwrap();
    }

    fn swap(&self, change: &Change) -> Result<Slot, Error> {
        self.place
            .swap(change, slot_of, |_| Ok(content(change.next())))?;
        Ok(change.next().clone())
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn owner() -> Owner {
    Owner::first(VaultId::random(&mut rand::rng()), None)
}

/// Returns a slot file whose roots are words.
fn content(slot: &Slot) -> Vec<u8> {
    let root = |epoch: &u64| KmsRoot {
        epoch: *epoch,
        key_id: "key".into(),
        sealed: format!("root {epoch}"),
    };
    KmsFile::of(slot, slot.roots().iter().map(root).collect()).into_json()
}

fn slot_of(content: &[u8]) -> Result<Slot, Error> {
    KmsFile::read(content)?.slot()
}

/// Returns a vault in the middle of a turn: the previous slot, and the pending change.
fn turning(world: &World) -> (Slot, Change) {
    let slot = world.swap(&Change::first(world.owner)).unwrap();
    let change = Change::adding(&slot, world.owner, 2).unwrap();
    (slot, change)
}

#[test]
fn a_swap_replaces_the_file_and_leaves_nothing_beside_it() {
    let world = World::new();
    let (slot, change) = turning(&world);
    let mut old = File::open(world.path("root")).unwrap();
    assert_eq!(
        fs::metadata(world.path("root"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    world.swap(&change).unwrap();
    assert_eq!(
        *world.place.read().unwrap().unwrap(),
        content(change.next())
    );
    assert_eq!(world.names(), ["root", "root.lock"]);
    let mut bytes = Vec::new();
    old.read_to_end(&mut bytes).unwrap();
    assert_eq!(
        bytes,
        vec![0; content(&slot).len()],
        "the bytes are overwritten, not only unlinked"
    );
    assert!(matches!(
        world.swap(&change),
        Err(Error::Moved {
            expected: 1,
            found: 2
        })
    ));
}

#[test]
fn every_interruption_is_gone_on_from() {
    for step in [
        "written",
        "half written",
        "linked",
        "renamed",
        "half overwritten",
    ] {
        let world = World::new();
        let (slot, change) = turning(&world);
        let (root, old, next) = (
            world.path("root"),
            world.path("root.old"),
            world.path("root.next"),
        );
        match step {
            "written" => world.put("root.next", &content(change.next())),
            "half written" => world.put("root.next", &content(change.next())[..40]),
            "linked" => {
                world.put("root.next", &content(change.next()));
                fs::hard_link(&root, &old).unwrap();
            }
            _ => {
                world.put("root.next", &content(change.next()));
                fs::hard_link(&root, &old).unwrap();
                fs::rename(&next, &root).unwrap();
                if step == "half overwritten" {
                    fs::write(&old, vec![0; 40]).unwrap();
                }
            }
        }
        let listed = world.place.contents().unwrap();
        assert!(
            listed.len() > 1 && listed.iter().filter(|item| item.role == Role::Slot).count() == 1,
            "{step}: {listed:?}"
        );
        // The next process continues with whatever slot is there.
        let present = slot_of(&world.place.read().unwrap().unwrap()).unwrap();
        let committed = ["renamed", "half overwritten"].contains(&step);
        assert_eq!(
            &present,
            if committed { change.next() } else { &slot },
            "{step}"
        );
        let mut ends: Vec<File> = [&old, &next]
            .into_iter()
            .filter_map(|path| File::open(path).ok())
            .collect();
        let repaired = world
            .swap(&Change::owned_by(&present, world.owner))
            .unwrap();
        assert_eq!(
            (repaired.roots(), world.names()),
            (
                present.roots(),
                vec!["root".to_owned(), "root.lock".to_owned()]
            ),
            "{step}"
        );
        for end in &mut ends {
            let mut bytes = Vec::new();
            end.read_to_end(&mut bytes).unwrap();
            assert!(
                bytes.iter().all(|byte| *byte == 0),
                "{step}: it is overwritten"
            );
        }
    }
}

#[test]
fn what_is_nobodys_is_refused_by_name_and_stays() {
    let world = World::new();
    let (slot, change) = turning(&world);
    let stranger = Change::first(owner()).next().clone();
    for (name, content) in [
        ("root.bak", content(&slot)),
        ("root2", b"anything".to_vec()),
        ("yesterday.json", content(&slot)),
        ("root.next", content(&stranger)),
    ] {
        world.put(name, &content);
        let refused = world.swap(&change).unwrap_err();
        assert!(
            matches!(&refused, Error::Foreign { name: found } if found.ends_with(name)),
            "{name}: {refused}"
        );
        assert_eq!(fs::read(world.path(name)).unwrap(), content, "{name}");
        fs::remove_file(world.path(name)).unwrap();
    }
    // Another vault's slot under another name, and files that are not slots, are ignored.
    world.put("second", &content(&stranger));
    world.put("passphrase", b"hunter2");
    world.swap(&change).unwrap();
}

#[test]
fn without_a_slot_the_last_copy_of_a_root_is_not_destroyed() {
    let world = World::new();
    let (slot, change) = turning(&world);
    let slot = world
        .swap(&Change::owned_by(&slot, *change.next().owner()))
        .unwrap();
    fs::rename(world.path("root"), world.path("root.old")).unwrap();
    assert!(matches!(
        world.swap(&Change::first(world.owner)),
        Err(Error::Foreign { .. })
    ));
    assert_eq!(fs::read(world.path("root.old")).unwrap(), content(&slot));
    fs::remove_file(world.path("root.old")).unwrap();
    // The slot of an interrupted `init` was never in force.
    world.put("root.next", &content(Change::first(world.owner).next()));
    world.swap(&Change::first(world.owner)).unwrap();
}

#[test]
fn many_at_once_make_one_change() {
    let world = World::new();
    let (_, change) = turning(&world);
    let made: Vec<bool> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| world.swap(&change).is_ok()))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
    assert_eq!(world.names(), ["root", "root.lock"]);
}

#[test]
fn a_copy_in_a_folder_below_is_found_and_what_is_not_looked_into_is_named() {
    let world = World::new();
    let (slot, change) = turning(&world);
    fs::create_dir_all(world.path("backup/2026")).unwrap();
    for name in ["backup/root", "backup/2026/root.next", "backup/notes.json"] {
        world.put(name, &content(&slot));
        let item = world
            .place
            .contents()
            .unwrap()
            .into_iter()
            .find(|item| item.role == Role::Foreign)
            .unwrap();
        assert!(
            item.name.ends_with(name) && !item.roots.is_empty(),
            "{item:?}"
        );
        let refused = world.swap(&change).unwrap_err();
        assert!(
            matches!(&refused, Error::Foreign { name: found } if found.ends_with(name)),
            "{name}: {refused}"
        );
        assert_eq!(
            fs::read(world.path(name)).unwrap(),
            content(&slot),
            "it is not this program's to destroy"
        );
        fs::remove_file(world.path(name)).unwrap();
    }
    // Too large, a pipe that would never end, a link to a folder, and too deep.
    world.put("backup.tar", &vec![0; 70_000]);
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        world.path("pipe"),
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    std::os::unix::fs::symlink(world.folder.path(), world.path("loop")).unwrap();
    fs::create_dir_all(world.path("a/b/c/d/e")).unwrap();
    world.put("backup/root-notes", b"not a slot");
    let unexamined = |world: &World| {
        let items = world
            .place
            .contents()
            .unwrap()
            .into_iter()
            .filter(|item| item.role == Role::Unexamined);
        items
            .map(|item| item.name.rsplit_once('/').unwrap().1.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(unexamined(&world), ["e", "backup.tar", "loop", "pipe"]);
    // They do not prevent a turn, because nothing identifies them as copies.
    world.swap(&change).unwrap();
    assert_eq!(unexamined(&world).len(), 4);
}

#[test]
fn of_a_folder_that_is_full_the_rest_is_named() {
    let world = World::new();
    turning(&world);
    fs::create_dir(world.path("full")).unwrap();
    for number in 0..1100 {
        world.put(&format!("full/{number}"), b"x");
    }
    assert_eq!(
        world
            .place
            .contents()
            .unwrap()
            .iter()
            .filter(|item| item.role == Role::Unexamined)
            .count(),
        1
    );
}

#[test]
fn a_place_that_is_not_there_is_made_only_for_the_first_slot() {
    let world = World::new();
    let (slot, _) = turning(&world);
    let there = world.path("custody");
    let away = world.path("away");
    let place = CustodyFolder::at(there.join("root"));
    let change = Change::owned_by(&slot, world.owner);
    assert!(
        place
            .swap(&change, slot_of, |_| Ok(content(change.next())))
            .is_err()
    );
    assert!(
        !there.exists() && !away.exists(),
        "the disk is not mounted, most likely"
    );
    let first = Change::first(world.owner);
    place
        .swap(&first, slot_of, |_| Ok(content(first.next())))
        .unwrap();
    assert!(there.join("root").exists());
}

/// Only an operator makes such a link; overwriting its target would destroy every root.
#[test]
fn a_leftover_that_links_to_the_slot_is_removed_and_the_slot_stays() {
    for name in ["root.old", "root.next"] {
        let world = World::new();
        let (_, change) = turning(&world);
        std::os::unix::fs::symlink("root", world.path(name)).unwrap();
        world.swap(&change).unwrap();
        assert_eq!(
            *world.place.read().unwrap().unwrap(),
            content(change.next()),
            "{name}"
        );
        assert_eq!(world.names(), ["root", "root.lock"], "{name}");
    }
}

#[test]
fn a_leftover_that_links_to_nothing_is_removed() {
    let world = World::new();
    let (_, change) = turning(&world);
    std::os::unix::fs::symlink("nowhere", world.path("root.old")).unwrap();
    world.swap(&change).unwrap();
    assert_eq!(world.names(), ["root", "root.lock"]);
}
