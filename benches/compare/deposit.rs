//! A large recording into the folder store, compared with the same bytes unsealed, with `age` and
//! with `rclone` crypt. A deposit is durable when it is done; `age` and `rclone` do not wait for
//! the disk, so they are timed until their output is as durable.

use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, Instant},
};

use object_store::{MultipartUpload as _, ObjectStoreExt as _, PutPayload, local::LocalFileSystem};

use super::{
    Failure,
    desk::Desk,
    noise::Noise,
    peers::{Age, Rclone},
    plan::{Plan, clear, warm},
    service::Home,
    table::{Row, median, ratio, speed, time},
};

/// Bytes per part of an upload, as in the vault.
const PART: usize = 8 << 20;

pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let length: u64 = plan.size.pick(9 << 20, 128 << 20, 1 << 30);
    let mut rows = on(
        "",
        &plan.folder("deposit")?,
        length,
        plan,
        [Some(0.8), None, None],
    )
    .await?;
    // If there is a file system in memory, the same again: the speed of the tools, independent of
    // the disk.
    let memory = Path::new("/dev/shm");
    if room(memory) > 6 * length {
        let folder = tempfile::Builder::new()
            .prefix("recvault-compare-")
            .tempdir_in(memory)?;
        let folder = folder.path().join("deposit");
        rows.extend(
            on(
                ", without a disk",
                &folder,
                length,
                plan,
                [None, Some(2.0), Some(5.0)],
            )
            .await?,
        );
    }
    Ok(rows)
}

/// Returns the free bytes of a file system; 0 if it does not exist.
fn room(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(0, |stat| stat.f_bavail * stat.f_frsize)
}

/// Measures all tools in one folder. `least` is the target ratio against each.
async fn on(
    place: &str,
    folder: &Path,
    length: u64,
    plan: &Plan,
    least: [Option<f64>; 3],
) -> Result<Vec<Row>, Failure> {
    fs::create_dir_all(folder)?;
    let noise = Noise::new();
    let plain = folder.join("plain.wav");
    noise.write(length, &plain)?;
    let home = Home::make(folder.join("vault")).await?;
    let desk = Desk::open(&home).await?;
    let age = Age::find()?;
    let rclone = Rclone::find(folder)?;
    let [objects, out, crypt] = [
        home.folder.join("objects"),
        folder.join("out"),
        folder.join("crypt"),
    ];
    fs::create_dir_all(&out)?;
    let mut ours = Vec::new();
    let mut unsealed = Vec::new();
    let mut aged = Lasting::default();
    let mut crypted = Lasting::default();
    // In turns with a rotating start, so that a slow period of the disk affects all of them; and
    // each removes its output, so that the next finds the same disk.
    for turn in
        (0..plan.size.pick(1, 2, 5)).flat_map(|round| (round..round + 4).map(|turn| turn % 4))
    {
        warm(&out, length)?;
        match (turn, &age, &rclone) {
            (0, ..) => {
                ours.push(desk.deposit(noise.stream(length)).await?.1);
                empty(&objects)?;
            }
            (1, ..) => unsealed.push(put(&noise, length, &out).await?),
            (2, Some(age), _) => aged.add(age.seal(&plain, &out.join("sealed.age"))?, &out)?,
            (3, _, Some(rclone)) => {
                crypted.add(rclone.encrypt(&plain)?, &crypt)?;
                empty(&crypt)?;
            }
            _ => {}
        }
        empty(&out)?;
    }
    desk.close().await;
    clear(folder)?;

    let ours = median(&mut ours);
    let unsealed = median(&mut unsealed);
    let [least_unsealed, least_aged, least_crypted] = least;
    let beside = |peer: String, theirs: Duration, least: Option<f64>| {
        let what = format!(
            "deposit of {} MiB into the folder store{place}",
            length >> 20
        );
        Row::beside(
            what,
            format!("{}, {}", time(ours), speed(length, ours)),
            peer,
            ratio(ours, theirs),
            least,
        )
    };
    let mut rows = vec![beside(
        format!("object_store, unsealed, durable: {}", time(unsealed)),
        unsealed,
        least_unsealed,
    )];
    for (name, mut lasting, least) in [
        ("age", aged, least_aged),
        ("rclone crypt", crypted, least_crypted),
    ] {
        if !lasting.alone.is_empty() {
            let alone = median(&mut lasting.alone);
            let durable = median(&mut lasting.durable);
            rows.push(beside(
                format!(
                    "{name}: {} until durable ({} by itself)",
                    time(durable),
                    time(alone)
                ),
                durable,
                least,
            ));
        }
    }
    Ok(rows)
}

/// A tool that does not wait for the disk: its own time, and the time until its output is as
/// durable as a deposit.
#[derive(Default)]
struct Lasting {
    alone: Vec<Duration>,
    durable: Vec<Duration>,
}

impl Lasting {
    fn add(&mut self, took: Duration, output: &Path) -> Result<(), Failure> {
        let begun = Instant::now();
        sync(output)?;
        self.alone.push(took);
        self.durable.push(took + begun.elapsed());
        Ok(())
    }
}

/// Syncs a file, or the files of a folder, to disk.
fn sync(path: &Path) -> Result<(), Failure> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            sync(&entry?.path())?;
        }
    }
    Ok(File::open(path)?.sync_all()?)
}

/// Empties a folder.
fn empty(folder: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?
        } else {
            fs::remove_file(entry.path())?
        }
    }
    Ok(())
}

/// Writes the same parts with the same library, unsealed: one is written while the next is
/// prepared.
async fn put(noise: &Noise, length: u64, folder: &Path) -> Result<Duration, Failure> {
    let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
    let begun = Instant::now();
    let mut upload = store.put_multipart(&"plain".into()).await?;
    let mut on_its_way = tokio::task::JoinSet::new();
    for part in noise.pieces(length, PART) {
        while let Some(landed) = on_its_way.join_next().await {
            landed??;
        }
        on_its_way.spawn(upload.put_part(PutPayload::from(part)));
    }
    while let Some(landed) = on_its_way.join_next().await {
        landed??;
    }
    upload.complete().await?;
    Ok(begun.elapsed())
}
