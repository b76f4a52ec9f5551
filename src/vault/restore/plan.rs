//! The input of a restore: the newest snapshot that opens, every piece of the journal after it, and
//! the gaps between them.
//!
//! Owns the order of pieces and the detection of gaps. Refuses to enter anything. A file that does
//! not open counts as missing: names decide nothing, and an unreadable piece is a gap if another
//! piece follows it.
//!
//! A gap is detected in two ways. Each piece names its predecessor, so a piece that is missing
//! between two others is noticed whatever it held; and each states the number after which its audit
//! entries begin ([`coverage`](super::coverage)). Pieces that are missing at the end have no
//! successor: only a position known from elsewhere reveals them (`not_before`).

use std::collections::BTreeSet;

use super::{coverage::Coverage, reader::RecoveryReader};
use crate::{
    custody::Custody,
    db::gaps::Gap,
    evidence::Position,
    model::timeline::{LogPath, LogPoint},
    store::{RecoveryKind, RecoveryName, Store},
    vault::{
        VaultParts,
        error::Error,
        recovery::{Header, Link},
    },
};

/// How often the store is listed again when something is missing that may just have been written.
const LOOKS: usize = 3;

/// The operator's choices for a restore.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// This snapshot; if absent, the newest that opens.
    pub snapshot: Option<RecoveryName>,
    /// The accepted gaps: exactly those that exist.
    pub accept: Vec<Gap>,
    /// A position that the vault is known to have reached. If the files end before it, there is a
    /// gap.
    pub not_before: Option<Position>,
}

/// The input of a restore.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Plan {
    /// The snapshot.
    pub snapshot: RecoveryName,
    /// Pieces of the journal after it, in order.
    pub journal: Vec<RecoveryName>,
    /// The gaps between them, or after the last.
    pub gaps: Vec<Gap>,
    /// Files that do not open and are skipped.
    pub unreadable: u64,
    /// The accepted gaps, and the position that the journal must reach.
    #[serde(skip)]
    pub choice: Choice,
    /// Every file in the listing.
    #[serde(skip)]
    pub listed: BTreeSet<RecoveryName>,
}

impl Plan {
    /// Checks that exactly the existing gaps were accepted.
    ///
    /// # Errors
    /// [`Error::Gaps`], [`Error::NoSuchGap`].
    pub fn check(&self) -> Result<(), Error> {
        let accepted = &self.choice.accept;
        if let Some(other) = accepted
            .iter()
            .find(|accepted| !self.gaps.contains(accepted))
        {
            return Err(Error::NoSuchGap(*other));
        }
        let open: Vec<String> = self
            .gaps
            .iter()
            .filter(|gap| !accepted.contains(gap))
            .map(Gap::to_string)
            .collect();
        if open.is_empty() {
            Ok(())
        } else {
            Err(Error::Gaps(open.join(", ")))
        }
    }
}

/// Chooses the newest snapshot that opens, or the requested one, and the journal after it.
///
/// # Errors
/// [`Error::NoSnapshot`]; why a requested snapshot does not open; the store's or custody's.
pub async fn plan(parts: &VaultParts, choice: Choice) -> Result<Plan, Error> {
    let mut looks = 1;
    loop {
        let plan = look(parts, &choice).await?;
        if plan.gaps.is_empty() || looks == LOOKS {
            return Ok(plan);
        }
        looks += 1;
    }
}

/// Checks that the store received no file since the plan was made: a process of the former database
/// would still be at work, and its callers rely on a restore that includes their changes.
///
/// # Errors
/// [`Error::StoreMoved`]; the store's or custody's.
pub(super) async fn check_unmoved(
    plan: &Plan,
    snapshot: &Header,
    recovery: &Store,
    custody: &dyn Custody,
) -> Result<(), Error> {
    let mut found = RecoveryReader::of(recovery, custody);
    for kind in RecoveryKind::ALL {
        for (name, _) in recovery.list_recovery(kind).await? {
            if name.point() >= snapshot.point()
                && !plan.listed.contains(&name)
                && let Some(header) = found.header(name).await?
                && header.vault == snapshot.vault
            {
                return Err(Error::StoreMoved(name.to_string()));
            }
        }
    }
    Ok(())
}

async fn look(parts: &VaultParts, choice: &Choice) -> Result<Plan, Error> {
    let mut found = RecoveryReader::of(&parts.recovery, parts.custody.as_ref());
    let epochs: BTreeSet<u64> = parts
        .custody
        .roots()
        .await?
        .iter()
        .map(|root| root.epoch)
        .collect();
    let names = async |kind| -> Result<Vec<RecoveryName>, Error> {
        let all = parts
            .recovery
            .list_recovery(kind)
            .await?
            .into_iter()
            .map(|(name, _)| name);
        Ok(all.filter(|name| epochs.contains(&name.epoch)).collect())
    };
    let mut snapshots = names(RecoveryKind::Snapshot).await?;
    let mut listed: BTreeSet<RecoveryName> = snapshots.iter().copied().collect();
    snapshots.retain(|name| choice.snapshot.is_none_or(|wanted| wanted == *name));
    let mut newest = None;
    for name in snapshots.into_iter().rev() {
        newest = match choice.snapshot {
            Some(wanted) => Some((wanted, found.open(wanted).await?)),
            None => found.header(name).await?.map(|header| (name, header)),
        };
        if newest.is_some() {
            break;
        }
    }
    let Some((snapshot, header)) = newest else {
        let epochs: Vec<String> = epochs.iter().map(u64::to_string).collect();
        let epochs = if epochs.is_empty() {
            "none".into()
        } else {
            format!("of epoch {}", epochs.join(" and "))
        };
        return Err(Error::NoSnapshot(epochs));
    };
    // Skips by name only what the header would exclude as well: a file whose header differs from
    // its name does not open.
    let (later, earlier): (Vec<_>, Vec<_>) = names(RecoveryKind::Journal)
        .await?
        .into_iter()
        .partition(|name| name.point() >= header.point());
    let mut pieces = Vec::new();
    listed.extend(later.iter().chain(&earlier));
    for name in later {
        pieces.extend(found.header(name).await?.map(|piece| (name, piece)));
    }
    pieces.sort_by_key(|(name, piece)| (piece.point(), *name));
    let left = LeftLog::of(&header, &pieces);
    for name in earlier.into_iter().filter(|name| left.may_have(*name)) {
        pieces.extend(found.header(name).await?.map(|piece| (name, piece)));
    }
    let known = choice.not_before.map(|position| position.point());
    let (pieces, gaps) = behind(&header, pieces, known);
    let journal = pieces.iter().map(|(name, _)| *name).collect();
    Ok(Plan {
        snapshot,
        journal,
        gaps,
        unreadable: found.unreadable,
        choice: choice.clone(),
        listed,
    })
}

/// Returns the pieces with changes after a snapshot, in the order in which they are entered, and
/// the gaps between them.
pub(super) fn behind(
    snapshot: &Header,
    mut pieces: Vec<(RecoveryName, Header)>,
    not_before: Option<LogPoint>,
) -> (Vec<(RecoveryName, Header)>, Vec<Gap>) {
    let begun = snapshot.point();
    pieces.retain(|(_, piece)| piece.vault == snapshot.vault);
    pieces.sort_by_key(|(name, piece)| (piece.point(), piece.chain, *name));
    let left = LeftLog::of(snapshot, &pieces);
    pieces.retain(|(_, piece)| {
        // Places in the chain are comparable within a timeline only: a process of the lost database
        // continues to assign them.
        let is_later = piece.path.current() > begun.timeline || piece.chain > snapshot.chain;
        is_later && piece.point() >= begun || left.has(piece)
    });
    let links: BTreeSet<(RecoveryName, String)> = pieces
        .iter()
        .map(|(name, piece)| (*name, piece.digest()))
        .collect();
    let newest = newest(snapshot, &pieces);
    let mut coverage = Coverage::of(snapshot, newest.path.clone());
    for (_, piece) in &pieces {
        // A predecessor that was assembled before the snapshot holds nothing that the snapshot
        // lacks.
        let is_missing = |link: &&Link| {
            (link.name.timeline > begun.timeline || piece.chain - 1 > snapshot.chain)
                && link.name.point() >= begun
                && !links.contains(&(link.name, link.sha256.clone()))
        };
        let missing = piece.previous.as_ref().filter(is_missing);
        coverage.add(piece, missing.map(|link| link.name.point()));
    }
    if let Some(known) = not_before.filter(|known| *known > newest.point()) {
        coverage.end_before(known);
    }
    let gaps = coverage.gaps();
    (pieces, gaps)
}

/// The log that a restore continues, if it is not the snapshot's: an earlier restore started before
/// the snapshot's timeline, so the entries between are in the journal only, at points lower than
/// the snapshot's.
struct LeftLog {
    main: LogPath,
    begun: LogPoint,
    /// The number up to which the snapshot equals the main log.
    shared: i64,
}

impl LeftLog {
    /// Returns it for a snapshot and the pieces, in order, that come after it.
    fn of(snapshot: &Header, pieces: &[(RecoveryName, Header)]) -> Self {
        let main = newest(snapshot, pieces).path.clone();
        Self {
            shared: main.shared_with(&snapshot.path),
            begun: snapshot.point(),
            main,
        }
    }

    /// Returns whether an earlier piece has numbers of the main log that the snapshot lacks.
    fn has(&self, piece: &Header) -> bool {
        let reached = piece.seq.min(self.main.shared_with(&piece.path));
        piece.point() < self.begun && reached > self.shared && reached >= piece.since
    }

    /// Returns whether it may have such numbers, judging by its name.
    fn may_have(&self, name: RecoveryName) -> bool {
        name.seq > self.shared && self.main.end_of(name.timeline).is_some()
    }
}

/// Returns the header of the file written last, of the snapshot and these pieces in order: a
/// restore continues its log.
pub(super) fn newest<'a>(snapshot: &'a Header, pieces: &'a [(RecoveryName, Header)]) -> &'a Header {
    let last = pieces.last().map(|(_, piece)| piece);
    last.filter(|piece| piece.point() > snapshot.point())
        .unwrap_or(snapshot)
}

#[cfg(test)]
mod tests;
