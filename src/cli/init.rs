//! `recvault init`: the location, the database and the store of a new vault.
//!
//! Owns the flags and the printed result. Refuses to know the steps of the creation.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::{
    failure::{CommandRefusal, Failure},
    out::Out,
    token,
};
use crate::{
    app::{self, InitPlan, Initialised},
    config::Setting,
    model::time::Clock,
};

/// The default folder of a new vault.
const FOLDER: &str = "vault";
/// The configuration file in it.
const FILE: &str = "recvault.toml";

#[derive(Args)]
pub(super) struct Init {
    /// The folder. The default is the folder of `--config`, or else `vault`.
    folder: Option<PathBuf>,
    /// The database: `postgres://user:password@host/database` or `sqlite:PATH`. The default is a
    /// SQLite file in the folder.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The store for ciphertext: `s3://bucket/prefix` or `folder:PATH`. The default is a subfolder.
    ///
    /// Set the S3 credentials with RECVAULT__STORE__ACCESS_KEY_ID and
    /// RECVAULT__STORE__SECRET_ACCESS_KEY.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The address of the S3 server, if it is not Amazon's.
    #[arg(long, value_name = "URL", requires = "store")]
    store_endpoint: Option<String>,
    /// The region of the S3 bucket.
    #[arg(long, value_name = "REGION", requires = "store")]
    store_region: Option<String>,
}

impl Init {
    /// Creates a vault. `named` is the configuration file, if the command line names one.
    pub(super) async fn perform(
        self,
        named: Option<PathBuf>,
        out: Out,
    ) -> Result<ExitCode, Failure> {
        let plan = self.plan(named)?;
        let made = app::init(&plan, Clock::System).await?;
        let shown = out.secret(
            &serde_json::json!({
                "vault": made.vault,
                "config": made.config.display().to_string(),
                "token": made.admin.token.expose(),
                "token_expires_at": made.admin.row.expires_at,
            }),
            || told(&made),
        );
        if let Err(cause) = shown {
            let taken_back = take_back(&made).await;
            return Err(CommandRefusal::unseen(&cause, taken_back));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn plan(self, named: Option<PathBuf>) -> Result<InitPlan, Failure> {
        let config = match (self.folder, named) {
            (None, None) => Path::new(FOLDER).join(FILE),
            (None, Some(file)) => file,
            (Some(folder), None) => folder.join(FILE),
            (Some(folder), Some(file)) => {
                if !is_in(&file, &folder) {
                    return Err(format!(
                        "`--config {}` is not in the folder `{}`, and relative paths start at the \
                         configuration's own folder: leave out one of the two",
                        file.display(),
                        folder.display()
                    )
                    .into());
                }
                file
            }
        };
        let settings = [
            ("database", "url", self.database),
            ("store", "url", self.store),
            ("store", "endpoint", self.store_endpoint),
            ("store", "region", self.store_region),
        ];
        let settings = settings.into_iter().filter_map(|(section, key, value)| {
            value.map(|value| Setting {
                section,
                key,
                value,
            })
        });
        Ok(InitPlan {
            config,
            settings: settings.collect(),
        })
    }
}

/// Revokes the first token, which nobody has seen. Returns what became of the vault.
async fn take_back(made: &Initialised) -> Result<String, Failure> {
    let app = super::open(&made.config).await?;
    let vault = app.unlock().await?;
    let outcome = token::take_back(&app, &vault, made.admin.row.id).await?;
    Ok(format!(
        "vault {} is created with the configuration {}; {outcome} with `recvault token create`",
        made.vault,
        made.config.display()
    ))
}

/// Whether a file is in a folder, which need not exist yet.
fn is_in(file: &Path, folder: &Path) -> bool {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute(file).parent() == Some(absolute(folder).components().as_path())
}

fn told(made: &Initialised) -> String {
    let config = made.config.display();
    let mut text = format!(
        "Created vault {} with the configuration {config}.\n\n",
        made.vault
    );
    if let Some(passphrase) = &made.passphrase {
        text += &format!(
            "A random passphrase is in {}. Move it to a secret store: anyone who has it and the root \
             file can open the vault.\n",
            passphrase.display()
        );
    }
    text + &format!(
        "First token, with every role, until {}. It is shown only now:\n\n  {}\n\nNext: recvault \
         --config {config} serve\n",
        made.admin.row.expires_at,
        made.admin.token.expose()
    )
}
