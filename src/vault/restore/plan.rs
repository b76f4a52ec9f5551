//! What a restore would take in: the newest snapshot that opens, every piece of the journal behind
//! it, and what is missing between them.
//!
//! Owns the order of pieces and the finding of gaps. Refuses to take anything in. A file that does
//! not open counts as one that is not there: names decide nothing, and a piece that nobody can read
//! is a gap if another piece follows it.
//!
//! A hole is found twice. Each piece names its predecessor, so one that is missing between two
//! others is noticed whatever was in it; and each says behind which number its audit entries begin
//! ([`coverage`](super::coverage)).
//! Pieces that are missing at the end nobody follows: only who knows of a position elsewhere
//! notices (`not_before`).

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

/// How often the store is listed again when something is missing that may only just have been
/// written.
const LOOKS: usize = 3;

/// What somebody wants to restore.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// This snapshot; without it the newest that opens.
    pub snapshot: Option<RecoveryName>,
    /// The gaps that are accepted: exactly those that there are.
    pub accept: Vec<Gap>,
    /// A position that the vault is known to have reached. What is found of it ends not before
    /// this, or there is a gap.
    pub not_before: Option<Position>,
}

/// What a restore would take in.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Plan {
    /// The snapshot.
    pub snapshot: RecoveryName,
    /// Pieces of the journal that come after it, in order.
    pub journal: Vec<RecoveryName>,
    /// What is missing between them, or behind the last.
    pub gaps: Vec<Gap>,
    /// Files that do not open and are passed over.
    pub unreadable: u64,
    /// What of the gaps is accepted, and what the journal must reach.
    #[serde(skip)]
    pub choice: Choice,
    /// Every file that was there.
    #[serde(skip)]
    pub listed: BTreeSet<RecoveryName>,
}

impl Plan {
    /// Whether exactly the gaps that there are were accepted.
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

/// Chooses what to restore from: the newest snapshot that opens, or the one that is wanted, and the
/// journal behind it.
///
/// # Errors
/// [`Error::NoSnapshot`]; why a wanted snapshot does not open; the store's or custody's.
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

/// Checks that nothing came into the store since the plan was made: a process of the former database
/// was still at work, and told its callers that a restore would know of what it did.
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
    // By its name only what would be left out by its header, too: a file that says otherwise does
    // not open.
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

/// The pieces that hold what a snapshot does not, in the order in which they are taken in, and the
/// gaps between them.
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
        // Places in the chain are told apart within a timeline only: a process that a restore left
        // behind goes on giving them.
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
        // A predecessor that was put together before the snapshot holds nothing that the snapshot
        // does not.
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

/// The log that a restore goes on with, where that of the snapshot is another: somebody restored
/// from before the snapshot's timeline, so what came between is in the journal only, under points
/// that are lower than the snapshot's.
struct LeftLog {
    main: LogPath,
    begun: LogPoint,
    /// Up to which number the snapshot has what the main log has.
    shared: i64,
}

impl LeftLog {
    /// Of a snapshot and the pieces, in order, that come after it.
    fn of(snapshot: &Header, pieces: &[(RecoveryName, Header)]) -> Self {
        let main = newest(snapshot, pieces).path.clone();
        Self {
            shared: main.shared_with(&snapshot.path),
            begun: snapshot.point(),
            main,
        }
    }

    /// Whether an earlier piece has numbers of the main log that the snapshot has not.
    fn has(&self, piece: &Header) -> bool {
        let reached = piece.seq.min(self.main.shared_with(&piece.path));
        piece.point() < self.begun && reached > self.shared && reached >= piece.since
    }

    /// Whether it may have, as far as its name tells.
    fn may_have(&self, name: RecoveryName) -> bool {
        name.seq > self.shared && self.main.end_of(name.timeline).is_some()
    }
}

/// The file that was written last, of these pieces in order and the snapshot: its log is the one that
/// a restore goes on with.
pub(super) fn newest<'a>(snapshot: &'a Header, pieces: &'a [(RecoveryName, Header)]) -> &'a Header {
    let last = pieces.last().map(|(_, piece)| piece);
    last.filter(|piece| piece.point() > snapshot.point())
        .unwrap_or(snapshot)
}

#[cfg(test)]
mod tests;
