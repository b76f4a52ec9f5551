//! A vault with a million recordings: shredding one of them, and listing them, compared with a
//! small vault.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rand::RngExt as _;
use recvault::{
    db::recordings::{self, RecordingFilter},
    model::recording::RecordingState,
    store::{self, Store},
};

use super::{
    Failure,
    filled::{Filled, Ground, fill},
    plan::{Plan, clear},
    table::{Row, median, time},
};

/// Recordings in the small vault.
const SMALL: usize = 1_000;
/// Recordings per page of the list.
const PAGE: i64 = 50;
/// The upper bounds: a shred, and the ratio of a page of the large vault to one of the small.
const TARGET: (Duration, f64) = (Duration::from_millis(5), 1.5);

pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let (count, shreds) = plan.size.pick((2_000, 10), (50_000, 100), (1_000_000, 500));
    let folder = plan.folder("large")?;
    let small = vault(&folder, SMALL).await?;
    let large = vault(&folder, count).await?;
    let mut pages = Vec::new();
    let mut small_pages = Vec::new();
    for _ in 0..200 {
        let share = rand::rng().random_range(0.0..0.9);
        small_pages.push(page(&small, share).await?);
        pages.push(page(&large, share).await?);
    }
    let mut shredded = Vec::new();
    for _ in 0..shreds {
        shredded.extend(shred(&large).await?);
    }
    small.db.close().await;
    large.db.close().await;
    clear(&folder)?;

    let page = median(&mut pages);
    let small_page = median(&mut small_pages);
    let shred = median(&mut shredded);
    let against = page.as_secs_f64() / small_page.as_secs_f64();
    let mut listed = Row::alone(
        format!("page of {PAGE} from anywhere among {count} recordings, SQLite"),
        time(page),
        format!("≤ {}× the time among {SMALL}", TARGET.1),
        Some(against <= TARGET.1),
    );
    listed.peer = format!("among {SMALL}: {}, so {against:.2}×", time(small_page));
    Ok(vec![
        Row::alone(
            format!("shred of one among {count} recordings, step one, SQLite, p50"),
            time(shred),
            format!("≤ {}", time(TARGET.0)),
            Some(shred <= TARGET.0),
        ),
        listed,
    ])
}

async fn vault(folder: &Path, count: usize) -> Result<Filled, Failure> {
    let folder = folder.join(count.to_string());
    std::fs::create_dir(&folder)?;
    let store = Store::open(
        &store::StoreSettings {
            url: "memory:".into(),
            ..Default::default()
        },
        &folder,
    )?;
    fill(
        Ground {
            url: "sqlite:vault.db".into(),
            folder: &folder,
            store,
        },
        count,
    )
    .await
}

/// Reads a page that begins after `share` of all recordings.
async fn page(filled: &Filled, share: f64) -> Result<Duration, Failure> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place somewhere in a list"
    )]
    let at = filled.ids.len() - 1 - (filled.ids.len() as f64 * share) as usize;
    let id = *filled.ids.get(at).ok_or("the vault is empty")?;
    let start = recordings::find(&mut filled.db.read().await?, id)
        .await?
        .ok_or("the recording is in the vault")?;
    let filter = RecordingFilter {
        after: Some((start.announced_at, start.id)),
        ..RecordingFilter::default()
    };
    let begun = Instant::now();
    let items = recordings::list(&mut filled.db.read().await?, &filter, PAGE).await?;
    let took = begun.elapsed();
    if items.len() == usize::try_from(PAGE)? {
        Ok(took)
    } else {
        Err("the page is not full".into())
    }
}

/// Shreds a recording at random; `None` if it was shredded before.
async fn shred(filled: &Filled) -> Result<Option<Duration>, Failure> {
    let id = *filled
        .ids
        .get(rand::rng().random_range(0..filled.ids.len()))
        .ok_or("the vault is empty")?;
    let recording = recordings::find(&mut filled.db.read().await?, id)
        .await?
        .ok_or("the recording is in the vault")?;
    let reason = "subject-request".parse()?;
    let begun = Instant::now();
    if recording.state == RecordingState::Shredded {
        return Ok(None);
    }
    filled.shred(&recording, &reason).await?;
    Ok(Some(begun.elapsed()))
}
