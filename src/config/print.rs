//! The configuration without its secrets.

use toml::{Table, Value};

/// Keys whose values are secret. A key that ends in `_file` or `_files` names files and is not
/// secret.
pub(super) const SECRET: &[&str] = &[
    "passphrase",
    "pin",
    "auth_tokens",
    "api_key_secret",
    "callback_secret",
    "secret_access_key",
    "secret",
];

/// Replaces secret values. A URL keeps everything but its password.
pub(super) fn redacted(table: &Table) -> Table {
    let mut shown = table.clone();
    hide(&mut shown);
    shown
}

/// Collects the files of keys that end in `_file` or `_files`, except for a certificate
/// authority's, each with its key.
pub(super) fn secret_files(table: &Table, within: &str, found: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let name = format!("{within}{key}");
        let is_of_files = (key.ends_with("_file") || key.ends_with("_files")) && key != "ca_file";
        match value {
            Value::Table(inner) => secret_files(inner, &format!("{name}."), found),
            Value::String(file) if is_of_files => found.push((name, file.clone())),
            Value::Array(items) => {
                for item in items {
                    match item {
                        Value::Table(inner) => secret_files(inner, &format!("{name}."), found),
                        Value::String(file) if is_of_files => {
                            found.push((name.clone(), file.clone()));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

fn hide(table: &mut Table) {
    for (key, value) in table.iter_mut() {
        if SECRET.contains(&key.as_str()) {
            *value = Value::String("(secret)".into());
            continue;
        }
        match value {
            Value::Table(inner) => hide(inner),
            Value::Array(items) => items
                .iter_mut()
                .filter_map(Value::as_table_mut)
                .for_each(hide),
            Value::String(text) => {
                if let Some(shown) = without_password(text) {
                    *text = shown;
                }
            }
            _ => {}
        }
    }
}

/// Returns a URL with its password replaced: before the host, or as a parameter, which PostgreSQL
/// URLs allow. `None` if the text is no URL with a password.
fn without_password(text: &str) -> Option<String> {
    const PASSWORDS: [&str; 2] = ["password", "sslpassword"];
    let mut url = url::Url::parse(text).ok()?;
    let mut is_hidden = url.password().is_some() && url.set_password(Some("secret")).is_ok();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if pairs
        .iter()
        .any(|(name, _)| PASSWORDS.contains(&name.as_str()))
    {
        let mut shown = url.query_pairs_mut();
        shown.clear();
        for (name, value) in &pairs {
            let is_secret = PASSWORDS.contains(&name.as_str());
            shown.append_pair(name, if is_secret { "secret" } else { value });
        }
        drop(shown);
        is_hidden = true;
    }
    is_hidden.then(|| url.to_string())
}
