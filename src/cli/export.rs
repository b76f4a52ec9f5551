//! `recvault export`: all data about one person as an archive, on behalf of a principal.
//!
//! Owns the destination of the bytes. Refuses to decide: the archive is that of `POST /v1/exports`.
//! INVARIANT: an export that fails leaves no file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use futures_util::{Stream, StreamExt as _};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    bearer::Request,
    failure::{CommandRefusal, Failure},
    out::Out,
    person,
};
use crate::{
    app::App,
    flow::{Ended, Guarded},
    model::numerals::counted,
    policy::action,
};

/// The person, the purpose and the file of an export.
#[derive(Args)]
pub(super) struct Export {
    /// The person: a number in international form, or an address with `sip:` or `client:`; `-`: the
    /// first line of standard input.
    #[arg(long, value_name = "NUMBER")]
    subject: String,
    #[command(flatten)]
    request: Request,
    /// The file for the tar archive, which must not exist; `-`: standard output.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

impl Export {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        if self.subject == "-" && self.request.reads_input() {
            return Err(CommandRefusal::invalid(
                "standard input is either the subject or the token: give a file to `--token-file`",
            ));
        }
        let subject = person::address(&self.subject)?;
        let flow = app.flow_to_decide().await?;
        let principal = self.request.principal(&flow).await?;
        let permit = flow.access.permit(&principal, action::Export, None).await?;
        // Starts before the first recording is opened: a shred by another process ends the archive.
        let watch = flow.playback.watch().await?;
        // Before anything is said to be exported: a file that is there already is not written over.
        let mut file = self.file()?;
        let asking = self.request.asking();
        let archive = flow
            .exports
            .person(&permit, &principal, &subject, &asking)
            .await;
        let archive = match archive {
            Ok(archive) => archive,
            Err(error) => {
                self.discard(file.as_ref());
                return Err(error.into());
            }
        };
        let stop = CancellationToken::new();
        let writing = async {
            let written = self.write(archive, file.as_mut(), out).await;
            stop.cancel();
            written
        };
        let (written, ()) = tokio::join!(writing, watch.run(stop.clone(), Duration::ZERO));
        if let Some(bytes) = written? {
            let file = self.output.display();
            out.facts(&json!({ "file": file.to_string(), "bytes": bytes }), || {
                format!("Wrote {}, {}.\n", file, counted(bytes, "byte", "bytes"))
            })?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The new file; none if the archive goes to standard output.
    fn file(&self) -> Result<Option<File>, Failure> {
        if self.output == Path::new("-") {
            return Ok(None);
        }
        let new = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&self.output);
        Ok(Some(new.map_err(|error| self.fault(&error))?))
    }

    /// Removes a file that did not become an archive.
    fn discard(&self, file: Option<&File>) {
        if file.is_some() {
            let _ = fs::remove_file(&self.output);
        }
    }

    fn fault(&self, error: &io::Error) -> Failure {
        CommandRefusal::file(&self.output, error)
    }

    /// Writes the archive; how many bytes, if they went to a file.
    async fn write<S>(
        &self,
        archive: Guarded<S>,
        file: Option<&mut File>,
        out: Out,
    ) -> Result<Option<u64>, Failure>
    where
        S: Stream<Item = Result<Bytes, Ended>> + Send,
    {
        let Some(file) = file else {
            pour(archive, |piece| out.bytes(piece)).await?;
            return Ok(None);
        };
        let mut bytes = 0;
        let poured = pour(archive, |piece| {
            bytes += piece.len() as u64;
            file.write_all(piece).map(|()| true)
        });
        let written = match poured.await {
            Ok(()) => file.sync_all().map_err(|error| self.fault(&error)),
            Err(why) => Err(why),
        };
        if written.is_err() {
            self.discard(Some(file));
        }
        written.map(|()| Some(bytes))
    }
}

/// Passes each piece to `take`, until it returns `false`.
async fn pour<S>(
    mut archive: Guarded<S>,
    mut take: impl FnMut(&[u8]) -> io::Result<bool>,
) -> Result<(), Failure>
where
    S: Stream<Item = Result<Bytes, Ended>> + Send,
{
    let guard = archive.guard();
    while let Some(piece) = archive.next().await {
        let piece = piece.map_err(broken_off)?;
        guard.fresh().await;
        if let Some(ended) = guard.has_ended() {
            return Err(broken_off(ended));
        }
        if !take(&piece)? {
            return Ok(());
        }
    }
    Ok(())
}

fn broken_off(ended: Ended) -> Failure {
    format!("the archive was not completed: {ended}").into()
}
