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
                if let Ok(mut url) = url::Url::parse(text)
                    && url.password().is_some()
                    && url.set_password(Some("secret")).is_ok()
                {
                    *text = url.to_string();
                }
            }
            _ => {}
        }
    }
}
