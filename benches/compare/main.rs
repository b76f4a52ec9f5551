//! The same work by this program and by public tools, in one run on one machine: `cargo bench
//! --bench compare`.
//!
//! ```text
//! cargo bench --bench compare -- [--quick] [--only NAME,NAME] [--markdown FILE] [--dir DIR] [--rows N,N] [--postgres URL]
//! ```
//! Prints a table of ratios. Tools that are not installed (`age`, `nginx`, `rclone`) are skipped.
//! The service under test is the binary of the same build, in a process of its own. Everything
//! happens on loopback and in one folder that is removed at the end. `--quick` takes under a minute
//! and is less precise; `--dir` names another location for the folder, such as one on another disk.
//! `keys`, the key store at scale, and `messages` are measured with the numbers of recordings in
//! `--rows`: `messages` on SQLite, `keys` on SQLite and, if `--postgres` names a server, on PostgreSQL.

#[path = "../cast.rs"]
mod cast;
#[path = "../filled.rs"]
mod filled;
#[path = "../server.rs"]
mod server;

mod callbacks;
mod client;
mod decisions;
mod deposit;
mod desk;
mod ingest;
mod keys;
mod large;
mod load;
mod memory;
mod messages;
mod noise;
mod party;
mod peers;
mod plan;
mod playback;
mod service;
mod table;
mod thread;

use std::{
    error::Error,
    io::{self, Write as _},
    process::ExitCode,
};

use plan::Plan;
use table::Table;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        // The load generator is another process of this program, so that its work is not counted as
        // the service's.
        Some((first, rest)) if first == load::LOAD => load::generate(rest),
        _ => run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Failure> {
    let plan = Plan::parse(arguments)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let table = runtime.block_on(measure(&plan))?;
    writeln!(io::stdout(), "\n{}", table.text())?;
    if let Some(file) = &plan.markdown {
        std::fs::write(file, table.markdown())?;
    }
    Ok(())
}

/// Runs all planned measurements, one after the other.
async fn measure(plan: &Plan) -> Result<Table, Failure> {
    let mut table = Table::begin(plan)?;
    if plan.wants("decisions") {
        table.add(decisions::measure(plan)?)?;
    }
    if plan.wants("deposit") {
        table.add(deposit::measure(plan).await?)?;
    }
    if plan.wants("callbacks") {
        table.add(callbacks::measure(plan).await?)?;
    }
    if plan.wants("ingest") {
        table.add(ingest::measure(plan).await?)?;
    }
    if plan.wants("memory") {
        table.add(memory::measure(plan).await?)?;
    }
    if plan.wants("playback") {
        table.add(playback::measure(plan).await?)?;
    }
    if plan.wants("large") {
        table.add(large::measure(plan).await?)?;
    }
    if plan.wants("messages") {
        messages::measure(plan, &mut table).await?;
    }
    if plan.wants("keys") {
        keys::measure(plan, &mut table).await?;
    }
    Ok(table)
}
