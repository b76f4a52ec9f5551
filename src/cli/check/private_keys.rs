//! Findings of `doctor` about private keys of encrypted recordings.

use crate::config::Config;

/// Verdict and reason of each finding; none without a key.
pub(super) fn findings(config: &Config) -> Vec<(&'static str, String)> {
    let keys = &config.twilio.encryption_keys;
    let open = keys.iter().filter_map(|key| {
        key.open_to_all(&config.base)
            .map(|file| (&key.public_key_sid, file))
    });
    let mut found: Vec<_> = open
        .map(|(sid, file)| {
            let file = file.display();
            ("weak", format!("the private key of `{sid}` is readable by other users of this machine: run `chmod 600 {file}`"))
        })
        .collect();
    if !keys.is_empty() {
        let why = "private keys. Subscribe callbacks to `failed` as well as `completed` and `absent`: Twilio reports a recording that it cannot encrypt as `failed`";
        found.push(("ok", format!("{} {why}", keys.len())));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_key_that_everybody_may_read_is_weak() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let sid = format!("CR{}", "0".repeat(32));
        let file = folder.path().join("key.pem");
        fs::write(&file, "x").unwrap();
        let text = format!(
            "[[twilio.encryption_keys]]\npublic_key_sid = '{sid}'\nprivate_key_file = 'key.pem'"
        );
        let with = |mode: u32, text: &str| {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            findings(&Config::layered("x", text, folder.path(), Vec::new()).unwrap())
        };
        assert_eq!(with(0o600, "").len(), 0);
        let well = with(0o600, &text);
        assert!(
            matches!(well.as_slice(), [("ok", why)] if why.contains("`failed`")),
            "{well:?}"
        );
        let weak = with(0o644, &text);
        assert!(
            matches!(weak.as_slice(), [("weak", why), _] if why.contains(&sid) && why.contains("chmod 600")),
            "{weak:?}"
        );
    }
}
