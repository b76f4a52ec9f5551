//! `recvault policy check`: checks that the service would start with a policy file.
//!
//! Owns the comparison: with the published versions, if a configuration and its database are
//! available. Refuses to decide by itself; the service calls the same functions.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    app::read_rules,
    cli::{
        failure::{CommandRefusal, Failure},
        out::{self, Out},
    },
    config::Config,
    db::Db,
    flow,
    policy::Rules,
};

/// Checks a file. `is_named`: whether the command line names the configuration.
pub(super) async fn check(
    file: Option<PathBuf>,
    config: &Path,
    is_named: bool,
    out: Out,
) -> Result<ExitCode, Failure> {
    let config = match Config::read(config) {
        Ok(config) => Some(config),
        // A file can be checked without any vault.
        Err(_) if file.is_some() && !is_named && !config.exists() => None,
        Err(faults) => return Err(faults.into()),
    };
    let configured = config
        .as_ref()
        .map(|config| config.base.join(&config.policy.file));
    let Some(file) = file.or(configured) else {
        return Err(CommandRefusal::invalid(
            "no policy file is named: give one, or `--config`",
        ));
    };
    let rules = read_rules(&file)?;
    let is_compared = compare(config.as_ref(), &rules).await?;
    let warnings: Vec<String> = rules.warnings().iter().map(ToString::to_string).collect();
    let facts = serde_json::json!({
        "version": rules.version(), "digest": rules.digest(), "warnings": warnings, "compared": is_compared,
    });
    out.facts(&facts, || {
        let warnings: String = warnings
            .iter()
            .map(|warning| format!("warning: {warning}\n"))
            .collect();
        format!(
            "{warnings}{} is version {}, digest {}.\n",
            file.display(),
            rules.version(),
            rules.digest()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Returns whether the file was compared with the published versions. An unavailable database is
/// not a fault of the file, but is reported.
async fn compare(config: Option<&Config>, rules: &Rules) -> Result<bool, Failure> {
    let Some(config) = config else {
        return Ok(false);
    };
    if !config.database.may_exist(&config.base) {
        return Ok(false);
    }
    let db = match Db::open(&config.database, &config.base).await {
        Ok(db) => db,
        Err(error) => {
            out::warn(&format!(
                "the file was not compared with the published versions: {error}"
            ));
            return Ok(false);
        }
    };
    flow::fits_published(&db, rules).await?;
    let again = Rules::parse(rules.version(), rules.text())
        .map_err(|_| "the policy file cannot be parsed a second time")?;
    flow::rulebook(&db, again).await?;
    db.close().await;
    Ok(true)
}
