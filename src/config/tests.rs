//! The shipped file, faults with their places, and secrets that are never shown.

use super::*;

fn layered(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigFaults> {
    let variables = variables
        .iter()
        .map(|(key, value)| ((*key).to_owned(), OsString::from(*value)))
        .collect();
    Config::layered("recvault.toml", text, Path::new("."), variables)
}

fn faults(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let faults = layered(text, variables).unwrap_err();
    faults
        .list()
        .iter()
        .map(|fault| format!("{}: {}", fault.place, fault.reason))
        .collect()
}

#[test]
fn the_shipped_file_is_the_default() {
    let shipped = layered(SHIPPED, &[]).unwrap();
    let default = layered("", &[]).unwrap();
    assert_eq!(shipped.server.listen, default.server.listen);
    assert_eq!(shipped.database.url, default.database.url);
    assert_eq!(shipped.store.url, default.store.url);
    assert_eq!(shipped.custody.root_file, default.custody.root_file);
    assert_eq!(shipped.custody.kind, default.custody.kind);
    assert_eq!(shipped.policy.file, default.policy.file);
    assert_eq!(shipped.work.concurrency, default.work.concurrency);
    assert_eq!(shipped.twilio.api_base, default.twilio.api_base);
}

#[test]
fn the_environment_overrides_the_file() {
    let config = layered(
        "[work]\nconcurrency = 2\n",
        &[("WORK__CONCURRENCY", "5"), ("STORE__URL", "memory:")],
    )
    .unwrap();
    assert_eq!(
        (config.work.concurrency, config.store.url.as_str()),
        (5, "memory:")
    );
}

#[test]
fn a_password_in_the_parameters_of_a_url_is_not_shown() {
    let url = "postgres://host/vault?user=u&password=hunter2&sslmode=require";
    let config = layered(&format!("[database]\nurl = \"{url}\"\n"), &[]).unwrap();
    let shown = config.shown().to_string();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("sslmode=require"), "{shown}");
}

#[test]
fn both_forms_of_a_folder_are_private() {
    for url in ["folder:/srv/my calls", "file:///srv/my%20calls"] {
        let config = layered(&format!("[store]\nurl = \"{url}\"\n"), &[]).unwrap();
        let expected = ("store.url".to_owned(), PathBuf::from("/srv/my calls"));
        assert!(config.private_paths().contains(&expected), "{url}");
    }
}

#[test]
fn a_number_in_a_text_key_stays_text() {
    let config = layered(
        "[store]\naccess_key_id = \"x\"\n",
        &[("STORE__ACCESS_KEY_ID", "12345")],
    )
    .unwrap();
    assert_eq!(config.store.access_key_id.as_deref(), Some("12345"));
}

#[test]
fn all_faults_are_told_together_with_their_lines() {
    let text = "[server]\nlisten = \"127.0.0.1:1\"\nlissten = 1\n\n[work]\nconcurrency = \"many\"\nlease_s = 30\nattemps = 4\n\n[sotre]\nurl = 1\n";
    let found = faults(text, &[("DATABASE__URRL", "x"), ("X", "y")]);
    assert!(
        found
            .iter()
            .any(|f| f.starts_with("recvault.toml:3: `server.lissten`: unknown field")),
        "{found:#?}"
    );
    assert!(
        found
            .iter()
            .any(|f| f.starts_with("recvault.toml:6: `work.concurrency`: invalid type")),
        "{found:#?}"
    );
    assert!(
        found
            .iter()
            .any(|f| f.starts_with("recvault.toml:8: `work.attemps`: unknown field")),
        "{found:#?}"
    );
    assert!(
        found
            .iter()
            .any(|f| f.starts_with("recvault.toml:10: `sotre`: unknown section")),
        "{found:#?}"
    );
    assert!(
        found
            .iter()
            .any(|f| f.starts_with("RECVAULT__DATABASE__URRL: `database.urrl`: unknown field")),
        "{found:#?}"
    );
    assert!(
        found.iter().any(|f| f.starts_with("RECVAULT__X: ")),
        "{found:#?}"
    );
    assert_eq!(found.len(), 6, "{found:#?}");
}

#[test]
fn a_table_of_a_section_is_set_and_refused_like_a_section() {
    let variables = [
        ("CUSTODY__PKCS11__PIN", "0042"),
        ("CUSTODY__AWS_KMS__REGION", "eu-west-1"),
        ("CUSTODY__PASSPHRASE", "42"),
    ];
    let custody = layered("[custody.pkcs11]\ntoken = \"vault\"\n", &variables)
        .unwrap()
        .custody;
    assert_eq!(
        (
            custody.pkcs11.token.as_str(),
            custody.pkcs11.pin.unwrap().expose()
        ),
        ("vault", "0042")
    );
    assert_eq!(
        (
            custody.aws_kms.region.as_str(),
            custody.passphrase.unwrap().expose()
        ),
        ("eu-west-1", "42")
    );

    let text = "[custody]\nkind = \"pkcs11\"\n[custody.pkcs11]\nmodul = \"x\"\n[custody.aws_kms]\nregion = 3\n";
    let found = faults(
        text,
        &[
            ("WORK__LEASE_S__X", "1"),
            ("A__B__C__D", "1"),
            ("CUSTODY__KIN", "x"),
        ],
    );
    for expected in [
        "recvault.toml:3: `custody.pkcs11`: unknown field `modul`",
        "recvault.toml:5: `custody.aws_kms`: invalid type",
        "RECVAULT__CUSTODY__KIN: `custody.kin`: unknown field",
        "RECVAULT__A__B__C__D: ",
    ] {
        assert!(
            found.iter().any(|fault| fault.starts_with(expected)),
            "{expected}: {found:#?}"
        );
    }
    assert!(
        faults("[work]\nlease_s = 3\n", &[("WORK__LEASE_S__X", "1")])[0]
            .starts_with("RECVAULT__WORK__LEASE_S__X: ")
    );
}

#[test]
fn recovery_may_have_a_store_of_its_own() {
    assert!(
        layered("", &[]).unwrap().recovery.store.is_none(),
        "without a word it is the one for recordings"
    );
    let config = layered(
        "[recovery]\nstore = { url = \"folder:./elsewhere\" }\n",
        &[],
    )
    .unwrap();
    assert_eq!(config.recovery.store.unwrap().url, "folder:./elsewhere");
    assert!(
        faults("[recovery]\nstore = { ulr = \"x\" }\n", &[])[0].contains("unknown field `ulr`")
    );
}

#[test]
fn proxies_are_addresses_and_networks() {
    let config = layered(
        "[server]\ntrusted_proxies = [\"10.0.0.1\", \"2001:db8::1\", \"10.0.0.0/8\"]\n",
        &[],
    )
    .unwrap();
    assert_eq!(config.server.trusted_proxies.len(), 3);
    assert!(
        layered("", &[]).unwrap().server.trusted_proxies.is_empty(),
        "without a word nobody is believed"
    );
    for bad in ["proxy.example.com", "10.0.0.1/8", "0.0.0.0/0", ""] {
        let found = faults(&format!("[server]\ntrusted_proxies = [\"{bad}\"]\n"), &[]);
        assert!(
            found[0].starts_with("recvault.toml:2: `server.trusted_proxies`"),
            "{found:?}"
        );
    }
}

#[test]
fn origins_of_pages_are_named_one_by_one() {
    let config = layered(
        "[server]\ncors_origins = [\"https://dashboard.example.com\", \"http://localhost:3000\"]\n",
        &[],
    )
    .unwrap();
    assert_eq!(config.server.cors_origins.len(), 2);
    assert!(
        layered("", &[]).unwrap().server.cors_origins.is_empty(),
        "without a word no page of another origin may"
    );
    for bad in [
        "*",
        "https://*.example.com",
        "null",
        "dashboard.example.com",
        "",
    ] {
        let found = faults(&format!("[server]\ncors_origins = [\"{bad}\"]\n"), &[]);
        assert!(
            found[0].starts_with("recvault.toml:2: `server.cors_origins`"),
            "{found:?}"
        );
    }
}

#[test]
fn a_file_that_is_not_toml_names_the_line() {
    let found = faults("[server]\nlisten = \n", &[]);
    assert!(found[0].starts_with("recvault.toml:2: "), "{found:?}");
}

#[test]
fn printing_shows_no_secret() {
    let text = format!(
        "[custody]\npassphrase = \"hunter2\"\n[custody.pkcs11]\npin = \"hunter7\"\n\
         [custody.aws_kms]\nsecret_access_key = \"hunter8\"\n[store]\nsecret_access_key = \"hunter3\"\n[database]\nurl = \"postgres://u:hunter4@h/d\"\n\
         [[twilio.accounts]]\nsid = \"AC{}\"\nauth_tokens = [\"hunter5\"]\napi_key_sid = \"SK{}\"\napi_key_secret = \"hunter6\"\n\
         callback_secret = \"hunter10\"\nshared_keys = [{{ name = \"k\", secret = \"hunter9\" }}]\n",
        "0".repeat(32),
        "0".repeat(32)
    );
    let config = layered(&text, &[]).unwrap();
    let shown = config.shown().to_string();
    assert!(
        shown.contains("(secret)") && shown.contains("postgres://u:secret@h/d"),
        "{shown}"
    );
    assert!(!shown.contains("hunter"), "{shown}");
}

proptest::proptest! {
    #[test]
    fn any_text_and_any_variable_load_or_are_refused(text in ".{0,300}", key in "[A-Z_]{0,20}", value in ".{0,40}") {
        let _ = layered(&text, &[(&key, &value)]);
    }

    #[test]
    fn any_value_of_a_known_key_loads_or_is_refused(key in "listen|concurrency|url|accounts|file|level|root_file", value in ".{0,40}") {
        for section in ["server", "database", "store", "custody", "policy", "twilio", "work", "telemetry"] {
            let _ = layered(&format!("[{section}]\n{key} = {value}\n"), &[]);
        }
    }
}

#[test]
fn a_time_out_of_range_is_a_fault_and_not_replaced() {
    for (text, line) in [
        ("[server]\nrequest_timeout_s = 0\n", 2),
        ("[server]\nrequest_timeout_s = 301\n", 2),
        ("[server]\ngrace_s = 601\n", 2),
        ("[server.limits]\nwrite_timeout_s = 0\n", 1),
        ("[server.limits]\nwrite_timeout_s = 3601\n", 1),
    ] {
        let found = faults(text, &[]);
        let place = format!("recvault.toml:{line}: `server.");
        assert!(found[0].starts_with(&place), "{found:?}");
        assert!(found[0].contains("out of range: expected "), "{found:?}");
    }
    let text =
        "[server]\nrequest_timeout_s = 300\ngrace_s = 0\n[server.limits]\nwrite_timeout_s = 3600\n";
    let server = layered(text, &[]).unwrap().server;
    assert_eq!(server.request_timeout_s.duration().as_secs(), 300);
}

#[test]
fn a_public_address_that_is_none_is_a_fault_with_its_line() {
    let found = faults("[server]\npublic_url = \"vault.example.com\"\n", &[]);
    assert!(
        found[0].starts_with("recvault.toml:2: `server.public_url`: expected the address"),
        "{found:?}"
    );
}

#[test]
fn no_fault_repeats_a_secret() {
    let account = format!("[[twilio.accounts]]\nsid = \"AC{}\"\n", "0".repeat(32));
    for text in [
        "[custody.pkcs11]\npin = 123456\n",
        "[custody.pkcs11]\npin = hunter123456\n",
        "[custody]\npassphrase = 123456\n",
        "[custody]\npassphrase = 123456.5\n",
        "[custody]\npkcs11 = \"123456, expected 123456\"\n",
        "[custody]\npkcs11 = 123456\n",
        "[store]\nsecret_access_key = 123456\n",
        &format!("{account}auth_tokens = [123456]\n"),
        &format!("{account}auth_tokens = \"123456\"\n"),
        &format!("{account}auth_tokens = [\"t\"]\nshared_keys = \"123456\"\n"),
        &format!(
            "{account}auth_tokens = [\"t\"]\nshared_keys = [{{ name = \"k\", secret = 123456 }}]\n"
        ),
    ] {
        let found = faults(text, &[]).join("\n");
        assert!(!found.contains("123456"), "{text}: {found}");
        assert!(found.contains("recvault.toml:"), "{found}");
    }
    let found = faults("[twilio]\n", &[("TWILIO__ACCOUNTS", "[{ sid = 123456 }]")]).join("\n");
    assert!(!found.contains("123456"), "{found}");
}

#[test]
fn a_variable_that_is_not_utf_8_is_a_fault_of_ours_and_no_matter_of_others() {
    use std::os::unix::ffi::OsStringExt as _;

    let bytes = |text: &[u8]| OsString::from_vec(text.to_vec());
    let variables = [
        (bytes(b"OTHER"), bytes(b"\xff")),
        (bytes(b"OTHER\xff"), bytes(b"x")),
        (bytes(b"RECVAULT__STORE__URL"), bytes(b"\xffhunter2")),
        (bytes(b"RECVAULT__STORE__\xff"), bytes(b"x")),
    ];
    let read = Config::layered("f", "", Path::new("."), ours(variables.into_iter()));
    let found = read.unwrap_err().to_string();
    assert!(
        found.contains("RECVAULT__STORE__URL: its value is not UTF-8"),
        "{found}"
    );
    assert!(found.contains("unknown field"), "{found}");
    assert!(
        !found.contains("OTHER") && !found.contains("hunter2"),
        "{found}"
    );
}

#[test]
fn a_variable_sets_a_key_of_a_table_that_the_file_begins() {
    let reconcile = layered(
        "[twilio.reconcile]\nevery_m = 1\n",
        &[("TWILIO__RECONCILE__LOOK_BACK_H", "100")],
    )
    .unwrap()
    .twilio
    .reconcile;
    assert_eq!((reconcile.every_m, reconcile.look_back_h), (1, 100));
}
