//! Versions of the privacy policy: publication, entry into force, and public access.
//!
//! Owns the published data of each version. Refuses to change a version: a version is one file for
//! ever.

pub(super) mod approval;
pub(super) mod diff;
mod publishing;
pub(super) mod why;

use std::{ops::Deref, sync::Arc};

use super::error::Error;
use crate::{
    db::{
        self, Db,
        policies::{self, PolicyRow},
    },
    evidence::{KeySet, Publication},
    model::{
        actor::Initiator,
        numerals::counted,
        time::{Clock, Timestamp},
    },
    policy::{Rulebook, Rules},
    vault::{self, Vault},
};

/// A published version, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Published {
    /// The operator's name for the version.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,64}$", examples("2026-1"))]
    pub version: String,
    /// SHA-256 of the file, lower-case hex.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub digest: String,
    /// When the file takes effect, according to its text.
    pub effective: Timestamp,
    /// When it was published; for a version that was in force before versions were signed, when it
    /// came into force.
    pub published_at: Timestamp,
    /// When a process first used it for decisions; `None` if none has yet.
    pub in_force_at: Option<Timestamp>,
    /// Whether this process uses it for decisions.
    pub current: bool,
}

/// The result of publishing a file, or of its dry run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Publishing {
    /// The version.
    pub version: String,
    /// SHA-256 of the file, lower-case hex.
    pub digest: String,
    /// When the file takes effect, according to its text.
    pub effective: Timestamp,
    /// Whether it was not published before.
    pub new: bool,
    /// The signed statement; `None` if nothing was published.
    pub statement: Option<String>,
}

/// The rules of a version for a reader.
pub enum Version<'a> {
    /// Rules that this process has loaded.
    Held(&'a Rules),
    /// Rules of a version that was published after this process started.
    Read(Box<Rules>),
}

impl Deref for Version<'_> {
    type Target = Rules;

    fn deref(&self) -> &Rules {
        match self {
            Self::Held(rules) => rules,
            Self::Read(rules) => rules,
        }
    }
}

/// Puts a policy in force: publishes it if that was not done before, and records the change in the
/// audit log. Repeating it changes nothing.
///
/// # Errors
/// [`Error::Policy`] if the file was changed without a new version.
pub async fn put_in_force(db: &Db, vault: &Vault, rules: &Rules) -> Result<(), Error> {
    fits_published(db, rules).await?;
    publishing::write(vault, Initiator::Vault, rules, true)
        .await
        .map(drop)
        .map_err(refused)
}

/// Whether a file goes with what was published: its version is new, or was published with this very
/// file. What is published under the version, if it is. The service refuses to start with any other
/// file, and `policy check` says so before.
///
/// # Errors
/// [`Error::Policy`] if another file was published under this version; the database's.
pub async fn fits_published(db: &Db, rules: &Rules) -> Result<Option<PolicyRow>, Error> {
    let known = policies::find(&mut db.read().await?, rules.version()).await?;
    match &known {
        Some(row) if row.digest != rules.digest() => Err(changed(rules)),
        _ => Ok(known),
    }
}

/// Signs and stores a version without putting it in force. A dry run changes nothing.
///
/// # Errors
/// [`Error::Policy`] if another file was published under this version.
pub async fn publish(
    db: &Db,
    vault: &Vault,
    rules: &Rules,
    dry_run: bool,
) -> Result<Publishing, Error> {
    let known = fits_published(db, rules).await?;
    let is_known = known.is_some_and(|known| known.jws.is_some());
    let new = if dry_run {
        !is_known
    } else {
        publishing::write(vault, Initiator::Operator, rules, false)
            .await
            .map_err(refused)?
    };
    let kept = policies::find(&mut db.read().await?, rules.version()).await?;
    Ok(Publishing {
        version: rules.version().to_owned(),
        digest: rules.digest().to_owned(),
        effective: rules.document().effective,
        new,
        statement: kept.and_then(|kept| kept.jws),
    })
}

/// Returns the rules of the version that came into force last; `None` before the first.
///
/// # Errors
/// [`Error::Policy`] if this program cannot parse it; any database error.
pub async fn in_force(db: &Db) -> Result<Option<Rules>, Error> {
    let all = policies::all(&mut db.read().await?).await?;
    let Some(row) = all.into_iter().rfind(|row| row.in_force_at.is_some()) else {
        return Ok(None);
    };
    let odd = |faults: Vec<_>| {
        Error::Policy(format!(
            "version {} of the policy is in force and has {}",
            row.version,
            counted(faults.len(), "fault", "faults")
        ))
    };
    Rules::parse(&row.version, &row.source)
        .map(Some)
        .map_err(odd)
}

/// Compares the configured file with the published versions and returns oddities, for `doctor`.
///
/// # Errors
/// Any database error.
pub async fn oddities(db: &Db, rules: &Rules, clock: &Clock) -> Result<Vec<String>, Error> {
    let now = clock.now();
    let effective = rules.document().effective;
    let mut odd = Vec::new();
    if effective > now {
        odd.push(format!("version {} is in force from {effective} on: until then every request to listen is refused", rules.version()));
    }
    let published = policies::all(&mut db.read().await?).await?;
    for row in published {
        if row.digest == rules.digest() {
            continue;
        }
        let later = Rules::parse(&row.version, &row.source)
            .ok()
            .filter(|other| other.document().effective > effective);
        if let Some(later) = later {
            let version = later.version();
            let date = later.document().effective;
            odd.push(format!(
                "the published version {version} takes effect later ({date}) than the configured \
                 version {}",
                rules.version()
            ));
        }
    }
    Ok(odd)
}

/// Combines the rules with every earlier version to which recordings may be pinned.
///
/// # Errors
/// [`Error::Policy`] if an earlier version no longer loads.
pub async fn rulebook(db: &Db, rules: Rules) -> Result<Rulebook, Error> {
    rulebook_beside(db, rules, None).await
}

/// The same, with an additional earlier version.
pub(super) async fn rulebook_beside(
    db: &Db,
    rules: Rules,
    also: Option<Rules>,
) -> Result<Rulebook, Error> {
    let all = policies::all(&mut db.read().await?).await?;
    let unused = all.iter().filter(|policy| policy.in_force_at.is_none());
    let unused = unused.map(|policy| policy.digest.clone()).collect();
    let earlier = all
        .into_iter()
        .filter(|policy| policy.digest != rules.digest())
        .map(|policy| {
            let name = format!("policy version `{}`", policy.version);
            Rules::parse(&name, &policy.source).map_err(|faults| {
                let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                Error::Policy(format!(
                    "a version to which recordings are pinned no longer loads: {}",
                    faults.join("; ")
                ))
            })
        });
    let earlier = earlier.chain(also.map(Ok)).collect::<Result<Vec<_>, _>>()?;
    Ok(Rulebook::new(rules, earlier).without_force(unused))
}

/// Parses the same text again, for rules of its own.
pub(super) fn parsed_again(rules: &Rules) -> Result<Rules, Error> {
    parse(rules.version(), rules.text())
}

/// Read access to the versions of the policy.
pub struct Policies {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
}

impl Policies {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
        }
    }

    /// Returns every published version, the newest first.
    ///
    /// # Errors
    /// Any database error; [`Error::Policy`] for a row whose file does not load.
    pub async fn all(&self) -> Result<Vec<Published>, Error> {
        let rows = policies::all(&mut self.db.read().await?).await?;
        let keys = self.vault.keys().await?;
        rows.iter()
            .rev()
            .map(|row| self.published(row, &keys))
            .collect()
    }

    /// Returns one version as it is listed, and its rules.
    ///
    /// # Errors
    /// [`Error::NotFound`]; any database error.
    pub async fn find(&self, version: &str) -> Result<(Published, Version<'_>), Error> {
        let row = policies::find(&mut self.db.read().await?, version)
            .await?
            .ok_or(Error::NotFound)?;
        let rules = match self.rulebook.find(&row.digest) {
            Some(rules) => Version::Held(rules),
            None => Version::Read(Box::new(parsed(&row)?)),
        };
        let keys = self.vault.keys().await?;
        Ok((self.published(&row, &keys)?, rules))
    }

    /// Returns the signed statement of a version's publication.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a version from before versions were signed.
    pub async fn statement(&self, version: &str) -> Result<String, Error> {
        let row = policies::find(&mut self.db.read().await?, version).await?;
        row.and_then(|row| row.jws).ok_or(Error::NotFound)
    }

    /// Returns the published data of a version. The endpoint is public, so this must be cheap: the
    /// file is parsed only if neither its statement nor this process has its effective date.
    fn published(&self, row: &PolicyRow, keys: &KeySet) -> Result<Published, Error> {
        let statement = row
            .jws
            .as_deref()
            .and_then(|jws| Publication::verify(jws, keys).ok());
        let held = self.rulebook.find(&row.digest);
        let effective = match (&statement, held) {
            (Some(statement), _) => statement.effective(),
            (None, Some(rules)) => rules.document().effective,
            (None, None) => parsed(row)?.document().effective,
        };
        let published_at = statement
            .map(|statement| statement.published_at())
            .or(row.in_force_at);
        Ok(Published {
            version: row.version.clone(),
            digest: row.digest.clone(),
            effective,
            published_at: published_at.unwrap_or(effective),
            in_force_at: row.in_force_at,
            current: row.digest == self.rulebook.current().digest(),
        })
    }
}

fn parsed(row: &PolicyRow) -> Result<Rules, Error> {
    parse(&row.version, &row.source)
}

fn parse(version: &str, text: &str) -> Result<Rules, Error> {
    Rules::parse(&format!("policy version `{version}`"), text).map_err(|faults| {
        Error::Policy(
            faults
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; "),
        )
    })
}

fn changed(rules: &Rules) -> Error {
    Error::Policy(format!(
        "version {} was published with another file: a published version never changes, so give \
         this file a new `version`",
        rules.version()
    ))
}

fn refused(error: vault::Error) -> Error {
    match error {
        vault::Error::Db(db::Error::Stale(why)) => Error::Policy(why.into()),
        other => other.into(),
    }
}
