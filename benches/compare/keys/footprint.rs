//! The memory of this process since a given moment.

use std::{fs, path::Path};

use super::super::Failure;

/// The memory of this process since a given moment.
pub(super) struct Memory {
    before: u64,
}

impl Memory {
    /// Resets the peak (proc(5), `clear_refs`).
    pub(super) fn begin() -> Result<Self, Failure> {
        fs::write("/proc/self/clear_refs", "5")?;
        Ok(Self {
            before: line("VmRSS")?,
        })
    }

    pub(super) fn end(self) -> Result<String, Failure> {
        Ok(format!(
            "memory {} MiB before, {} at most, {} after",
            self.before,
            line("VmHWM")?,
            line("VmRSS")?
        ))
    }
}

/// A line of `/proc/self/status`, in MiB.
fn line(name: &str) -> Result<u64, Failure> {
    let status = fs::read_to_string(Path::new("/proc/self/status"))?;
    let found = status.lines().find_map(|text| {
        text.strip_prefix(name)?
            .strip_prefix(':')?
            .trim()
            .strip_suffix("kB")
    });
    Ok(found
        .ok_or("the system does not tell how much memory a process has")?
        .trim()
        .parse::<u64>()?
        / 1024)
}
