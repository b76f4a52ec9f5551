//! The plan of a run: measurements, amounts, and location.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::Failure;

/// The names for `--only`, in the order of the measurements.
const NAMES: [&str; 9] = [
    "decisions",
    "deposit",
    "callbacks",
    "ingest",
    "memory",
    "playback",
    "large",
    "messages",
    "keys",
];

/// A run.
pub(crate) struct Plan {
    pub(crate) size: Size,
    pub(crate) markdown: Option<PathBuf>,
    /// Recordings in the vaults of `messages` and `keys`, if they differ from those of the size.
    pub(crate) rows: Vec<usize>,
    /// A PostgreSQL server on which databases may be created.
    pub(crate) postgres: Option<String>,
    only: Vec<String>,
    /// Removed on drop.
    folder: TempDir,
}

/// The amount of measurement.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Enough to check that everything works; the numbers are meaningless.
    Trial,
    /// Under a minute.
    Quick,
    /// Under ten minutes.
    Full,
}

impl Size {
    /// Returns the amount for this size.
    pub(crate) fn pick<T>(self, trial: T, quick: T, full: T) -> T {
        match self {
            Self::Trial => trial,
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}

impl Plan {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let mut size = Size::Full;
        let mut markdown = None;
        let mut only = Vec::new();
        let mut rows = Vec::new();
        let mut postgres = None;
        let mut parent = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("`{argument}` wants a value"))
            };
            match argument.as_str() {
                "--quick" => size = Size::Quick,
                // As criterion's benches understand it.
                "--test" => size = Size::Trial,
                // Cargo passes this to every bench.
                "--bench" => {}
                "--markdown" => markdown = Some(PathBuf::from(value()?)),
                "--dir" => parent = PathBuf::from(value()?),
                "--postgres" => postgres = Some(value()?.to_owned()),
                "--rows" => {
                    for number in value()?.split(',') {
                        rows.push(number.parse()?);
                    }
                }
                "--only" => only.extend(value()?.split(',').map(str::to_owned)),
                other => {
                    return Err(format!(
                        "`{other}` is not known here; there are --quick, --only, --markdown, --dir, --rows and --postgres"
                    )
                    .into());
                }
            }
        }
        if let Some(unknown) = only.iter().find(|name| !NAMES.contains(&name.as_str())) {
            return Err(format!(
                "`{unknown}` is not measured here; there are {}",
                NAMES.join(", ")
            )
            .into());
        }
        let folder = tempfile::Builder::new()
            .prefix("recvault-compare-")
            .tempdir_in(parent)?;
        Ok(Self {
            size,
            markdown,
            rows,
            postgres,
            only,
            folder,
        })
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == name)
    }

    /// Creates a new folder of this name.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, Failure> {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

/// Makes the system allocate memory for files of this length, right before their writing is timed.
/// A virtual machine receives its memory page by page and returns it when idle, which can take
/// longer than the measured work.
pub(crate) fn warm(folder: &Path, length: u64) -> Result<(), Failure> {
    let (path, nothing) = (folder.join("warm"), vec![0; 1 << 20]);
    let mut file = File::create(&path)?;
    for _ in 0..=length >> 20 {
        file.write_all(&nothing)?;
    }
    Ok(fs::remove_file(path)?)
}

/// Removes a folder after a measurement, so that the next one has space.
pub(crate) fn clear(folder: &Path) -> Result<(), Failure> {
    Ok(fs::remove_dir_all(folder)?)
}
