//! The table of results: measurement, compared tool, and target.

use std::{
    fs,
    io::{self, Write as _},
    time::Duration,
};

use recvault::model::time::Clock;

use super::{
    Failure,
    plan::{Plan, Size},
};

/// One line.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) ours: String,
    /// The other tool and its result; empty if there is none.
    pub(crate) peer: String,
    /// The ratio to the other tool, above 1 if this program is better.
    pub(crate) ratio: Option<f64>,
    pub(crate) target: String,
    /// `None` if there is no target, or no result to compare with it.
    pub(crate) met: Option<bool>,
}

impl Row {
    /// Creates a row with a result of this program alone.
    pub(crate) fn alone(
        what: impl Into<String>,
        ours: impl Into<String>,
        target: impl Into<String>,
        met: Option<bool>,
    ) -> Self {
        Self {
            what: what.into(),
            ours: ours.into(),
            peer: String::new(),
            ratio: None,
            target: target.into(),
            met,
        }
    }

    /// Creates a row with the results of this program and of another tool. `least` is the target
    /// ratio.
    pub(crate) fn beside(
        what: impl Into<String>,
        ours: impl Into<String>,
        peer: impl Into<String>,
        ratio: f64,
        least: Option<f64>,
    ) -> Self {
        let target = least.map_or_else(String::new, |least| format!("≥ {least}×"));
        let met = least.map(|least| ratio >= least);
        Self {
            what: what.into(),
            ours: ours.into(),
            peer: peer.into(),
            ratio: Some(ratio),
            target,
            met,
        }
    }

    fn cells(&self) -> [String; 6] {
        let ratio = self
            .ratio
            .map_or_else(String::new, |ratio| format!("{ratio:.2}×"));
        let met = match self.met {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        };
        [
            self.what.clone(),
            self.ours.clone(),
            self.peer.clone(),
            ratio,
            self.target.clone(),
            met.to_owned(),
        ]
    }
}

const HEADS: [&str; 6] = ["what", "ours", "beside it", "ratio", "target", "met"];

/// The rows, and the machine of the run.
pub(crate) struct Table {
    rows: Vec<Row>,
    heading: String,
}

impl Table {
    pub(crate) fn begin(plan: &Plan) -> Result<Self, Failure> {
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or("unknown").to_owned();
        let cpus = std::thread::available_parallelism()?;
        let now = Clock::System.now().to_string();
        let date = now.split('T').next().unwrap_or_default();
        let size = plan.size.pick(
            "trial run, the numbers mean nothing",
            "quick run",
            "full run",
        );
        let heading = format!(
            "{date}, {}, {cpus} cores, load {load} at the start, {size}",
            processor()
        );
        writeln!(io::stderr(), "{heading}")?;
        if plan.size == Size::Full {
            writeln!(
                io::stderr(),
                "This takes up to ten minutes; `--quick` takes one."
            )?;
        }
        Ok(Self {
            rows: Vec::new(),
            heading,
        })
    }

    /// Adds rows, and prints them at once.
    pub(crate) fn add(&mut self, rows: Vec<Row>) -> Result<(), Failure> {
        for row in &rows {
            writeln!(io::stderr(), "{}", row.cells().join(" | "))?;
        }
        self.rows.extend(rows);
        Ok(())
    }

    /// Formats the table for a terminal.
    pub(crate) fn text(&self) -> String {
        let lines: Vec<[String; 6]> = self.lines();
        let width = |at: usize| {
            lines
                .iter()
                .map(|cells| cells[at].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: [usize; 6] = std::array::from_fn(width);
        let line = |cells: &[String; 6]| {
            let padded = cells
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let body: Vec<String> = lines.iter().map(line).collect();
        format!("{}\n\n{}\n", self.heading, body.join("\n"))
    }

    /// Formats the table as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut lines: Vec<String> = self
            .lines()
            .iter()
            .map(|cells| format!("| {} |", cells.join(" | ")))
            .collect();
        lines.insert(1, format!("|{}", "---|".repeat(HEADS.len())));
        format!("{}\n\n{}\n", self.heading, lines.join("\n"))
    }

    fn lines(&self) -> Vec<[String; 6]> {
        std::iter::once(HEADS.map(str::to_owned))
            .chain(self.rows.iter().map(Row::cells))
            .collect()
    }
}

fn processor() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(
        || "unknown processor".to_owned(),
        |(_, name)| name.trim().to_owned(),
    )
}

/// Returns the quantile of this share; sorts the values.
pub(crate) fn quantile(values: &mut [Duration], share: f64) -> Duration {
    values.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a short list"
    )]
    let at = (values.len() as f64 * share) as usize;
    values
        .get(at.min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

/// Returns the median; sorts the values.
pub(crate) fn median(values: &mut [Duration]) -> Duration {
    quantile(values, 0.5)
}

/// Returns `count` per second.
#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
pub(crate) fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// `1.23 s`, `4.56 ms` or `789 µs`.
pub(crate) fn time(took: Duration) -> String {
    match took.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds if seconds >= 0.001 => format!("{:.2} ms", seconds * 1e3),
        seconds => format!("{:.0} µs", seconds * 1e6),
    }
}

/// Formats bytes per second.
pub(crate) fn speed(bytes: u64, took: Duration) -> String {
    let mebibytes = rate(bytes, took) / f64::from(1 << 20);
    if mebibytes >= 1024.0 {
        format!("{:.2} GiB/s", mebibytes / 1024.0)
    } else {
        format!("{mebibytes:.0} MiB/s")
    }
}

/// Returns `theirs` divided by `ours`: above 1 if ours is faster.
pub(crate) fn ratio(ours: Duration, theirs: Duration) -> f64 {
    theirs.as_secs_f64() / ours.as_secs_f64()
}
