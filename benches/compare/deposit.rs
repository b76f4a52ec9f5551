//! A large recording into the folder store, beside the same bytes unsealed, under `age` and under `rclone` crypt.

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
    plan::{Plan, clear},
    service::Home,
    table::{Row, median, ratio, speed, time},
};

/// Bytes in a part of an upload, as the vault cuts them.
const PART: usize = 8 << 20;

pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let length: u64 = plan.size.pick(9 << 20, 128 << 20, 1 << 30);
    let folder = plan.folder("deposit")?;
    let (noise, plain) = (Noise::new(), folder.join("plain.wav"));
    noise.write(length, &plain)?;
    let home = Home::make(folder.join("vault")).await?;
    let desk = Desk::open(&home).await?;
    let (age, rclone) = (Age::find()?, Rclone::find(&folder)?);
    let (mut ours, mut unsealed) = (Vec::new(), Vec::new());
    let (mut aged, mut crypted) = (Lasting::default(), Lasting::default());
    let [objects, out, crypt] = [home.folder.join("objects"), folder.join("out"), folder.join("crypt")];
    // In turns, so that a slow minute of the disk meets all of them; and each removes what it wrote, so that the next finds the same disk.
    for _ in 0..plan.size.pick(1, 1, 5) {
        ours.push(desk.deposit(noise.stream(length)).await?.1);
        empty(&objects)?;
        fs::create_dir_all(&out)?;
        unsealed.push(put(&noise, length, &out).await?);
        empty(&out)?;
        if let Some(age) = &age {
            aged.add(age.seal(&plain, &out.join("sealed.age"))?, &out)?;
            empty(&out)?;
        }
        if let Some(rclone) = &rclone {
            crypted.add(rclone.encrypt(&plain)?, &crypt)?;
            empty(&crypt)?;
        }
    }
    desk.close().await;
    clear(&folder)?;

    let ours = median(&mut ours);
    let mut rows = Vec::new();
    let mut beside = |peer: String, theirs: Duration, least: f64| {
        let what = format!("deposit of {} MiB into the folder store, durable", length >> 20);
        rows.push(Row::beside(what, format!("{}, {}", time(ours), speed(length, ours)), peer, ratio(ours, theirs), Some(least)));
    };
    let unsealed = median(&mut unsealed);
    beside(format!("object_store, unsealed, durable: {}", time(unsealed)), unsealed, 0.8);
    for (name, mut lasting, least) in [("age", aged, 2.0), ("rclone crypt", crypted, 5.0)] {
        if !lasting.alone.is_empty() {
            let (alone, durable) = (median(&mut lasting.alone), median(&mut lasting.durable));
            beside(format!("{name}: {}, {} until durable", time(alone), time(durable)), alone, least);
        }
    }
    Ok(rows)
}

/// A tool that does not wait for the disk: its own time, and the time until its output is as safe as ours.
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

/// Brings a file, or the files of a folder, to the disk.
fn sync(path: &Path) -> Result<(), Failure> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            sync(&entry?.path())?;
        }
    }
    Ok(File::open(path)?.sync_all()?)
}

/// Removes what is in a folder.
fn empty(folder: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
    }
    Ok(())
}

/// The same parts through the same library, unsealed: one on its way while the next is made ready.
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
