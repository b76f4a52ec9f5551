//! The demo and its parts: a stand-in for Twilio and a recording, so that the whole workflow can be
//! tried on one machine.
//!
//! Owns the output of the demo. Refuses shortcuts: the service is the real one, over real HTTP, in
//! a real vault folder.

pub mod conversation;
pub mod stand_in;
mod story;
mod world;

use std::{
    error::Error,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use story::Story;
use world::World;

/// How the story is told.
#[derive(clap::Args)]
pub struct Options {
    /// Run the workflow once and exit, instead of keeping the service running.
    #[arg(long)]
    exit: bool,
    /// Keep the vault in this folder for inspection; the folder must be empty or not exist. Without
    /// it: a folder that is removed at the end.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs the demo. Exit code 0 only if every step succeeded.
///
/// # Errors
/// The reason why the demo cannot be set up.
pub async fn run(options: Options, json: bool) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let world = World::set_up(options.dir).await?;
    let mut story = Story::new(&world, !json);
    story.tell().await;
    let all_held = story.all_held();
    if json {
        let printed = writeln!(
            io::stdout(),
            "{}",
            serde_json::to_string_pretty(&story.summary())?
        );
        // If the pipe is closed, the summary is not wanted.
        printed.or_else(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe {
                Ok(())
            } else {
                Err(error)
            }
        })?;
    }
    if !options.exit && all_held {
        stay_up(&world).await?;
    }
    world.tear_down().await;
    Ok(if all_held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Announces a second recording, prints lines to try, and waits for Ctrl-C.
async fn stay_up(world: &World) -> Result<(), Box<dyn Error + Send + Sync>> {
    let base = world.base_url();
    let token = world.token();
    let id = world.another_recording().await?;
    let lines = format!(
        "\nThe service stays up at {base}; Ctrl-C ends it. A second recording waits for you:\n\n\
         \x20 export TOKEN={token}\n\
         \x20 curl -s -H \"Authorization: Bearer $TOKEN\" {base}/v1/recordings\n\
         \x20 curl -s -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n\
         \x20   -d '{{\"purpose\":\"quality-review\"}}' {base}/v1/recordings/{id}/grants\n\
         \x20 # then, with its audio_url:  curl -s -r 0-99 $AUDIO_URL | xxd | head   or   ffplay $AUDIO_URL   or any browser\n\
         \x20 curl -s -X DELETE -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n\
         \x20   -d '{{\"reason\":\"subject-request\"}}' {base}/v1/recordings/{id}\n\
         \x20 curl -s -H \"Authorization: Bearer $TOKEN\" {base}/v1/audit\n\
         \x20 curl -s {base}/.well-known/jwks.json\n\
         \x20 curl -s {base}/openapi.json\n\
         \x20 curl -s {metrics}/metrics\n\n\
         The vault folder is {folder}.\n",
        metrics = world.metrics_url(),
        folder = world.folder().display(),
    );
    let _ = io::stderr().write_all(lines.as_bytes());
    Ok(tokio::signal::ctrl_c().await?)
}
