//! A Twilio stand-in and the recording it hands out, so that anybody can try everything on one machine.

pub mod conversation;
pub mod stand_in;

/// How the story is told.
#[derive(clap::Args)]
pub struct Options {
    /// Tell the story once and leave, instead of staying up.
    #[arg(long)]
    exit: bool,
    /// Keep the vault in this folder for inspection; it must not exist or be empty. Without it: a folder that is removed.
    #[arg(long, value_name = "DIR")]
    dir: Option<std::path::PathBuf>,
}

/// x
pub async fn run(_options: Options, _json: bool) -> Result<std::process::ExitCode, Box<dyn std::error::Error + Send + Sync>> {
    Err("".into())
}
