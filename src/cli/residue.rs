//! What stays at the source after a deletion, in text.

use crate::model::residue::{Residue, ResidueKind};

/// Returns a line for each trace; empty without any.
pub(super) fn text(residue: &[Residue]) -> String {
    residue.iter().map(line).collect()
}

fn line(left: &Residue) -> String {
    let what = match left.what {
        ResidueKind::Logs => "logs",
        ResidueKind::Backups => "backups",
        ResidueKind::Metadata => "metadata",
        ResidueKind::BulkExports => "files of bulk exports",
        ResidueKind::Archive => "archive",
        ResidueKind::Sentences => "sentences",
    };
    let until = left
        .until
        .map_or_else(|| "unknown".to_owned(), |until| until.to_string());
    format!(
        "  stays at Twilio: {what} of the deleted {}, until: {until}\n",
        left.copy.as_str()
    )
}
