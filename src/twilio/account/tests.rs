//! Accounts: accepted and refused settings, and their `Debug` output.

use std::{fs, path::Path};

use super::*;

fn sid(digit: char) -> AccountSid {
    format!("AC{}", String::from(digit).repeat(32))
        .parse()
        .unwrap()
}

fn secret(text: &str) -> SecretText {
    SecretText::new(text.into())
}

fn settings(toml: &str) -> TwilioSettings {
    toml::from_str(toml).unwrap()
}

fn faults(settings: TwilioSettings, base: &Path) -> Vec<String> {
    settings
        .resolve(base)
        .unwrap_err()
        .into_iter()
        .map(|fault| fault.key)
        .collect()
}

#[test]
fn nothing_configured_is_no_account_at_the_public_interface() {
    let accounts = settings("").resolve(Path::new("/")).unwrap();
    assert_eq!(accounts.iter().count(), 0);
    assert!(accounts.get(&sid('0')).is_none());
}

#[test]
fn an_unknown_key_is_refused() {
    for toml in [
        "api_bse = 'x'",
        &format!("[[accounts]]\nsid = '{}'\nauth_token = 'x'", sid('0')),
    ] {
        assert!(
            toml::from_str::<TwilioSettings>(toml)
                .unwrap_err()
                .to_string()
                .contains("unknown field"),
            "{toml}"
        );
    }
}

#[test]
fn an_api_key_is_named_by_its_sid() {
    let toml = format!(
        "[[accounts]]\nsid = '{}'\napi_key_sid = 'SKshort'",
        sid('0')
    );
    let refused = toml::from_str::<TwilioSettings>(&toml).unwrap_err();
    let why = refused.to_string();
    assert!(why.contains("expected `SK` and 32 hex digits"), "{why}");
}

#[test]
fn secrets_come_from_files_and_inline_and_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("plain", "old"),
        ("line", "older\n"),
        ("windows", "oldest\r\n"),
        ("key", "key-secret\n"),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let toml = format!(
        "[[accounts]]
         sid = '{}'
         auth_tokens = ['new']
         auth_token_files = ['plain', 'line', 'windows']
         api_key_sid = 'SK{}'
         api_key_secret_file = 'key'
         [[accounts]]
         sid = '{}'
         auth_tokens = ['first', 'second']",
        sid('1'),
        "a".repeat(32),
        sid('2')
    );
    let accounts = settings(&toml).resolve(folder.path()).unwrap();

    let first = accounts.get(&sid('1')).unwrap();
    let tokens: Vec<_> = first.auth_tokens().iter().map(SecretText::expose).collect();
    assert_eq!(tokens, ["new", "old", "older", "oldest"]);
    let (user, password) = first.credential();
    assert_eq!(
        (user, password.expose()),
        (format!("SK{}", "a".repeat(32)).as_str(), "key-secret")
    );

    let second = accounts.get(&sid('2')).unwrap();
    let (user, password) = second.credential();
    assert_eq!((user, password.expose()), (sid('2').as_str(), "first"));
}

#[test]
fn every_fault_is_reported_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("empty", ""),
        ("newline", "\n"),
        ("two", "a\nb\n"),
        ("blank", "a "),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let toml = format!(
        "api_base = 'http://api.twilio.com'
         media_redirect_hosts = ['cdn.example.com', 'https://cdn.example.com']
         connect_timeout_ms = 0
         read_idle_timeout_ms = 3600001
         [[accounts]]
         sid = '{one}'
         [[accounts]]
         sid = '{one}'
         auth_token_files = ['absent', 'empty', 'newline', 'two', 'blank']
         [[accounts]]
         sid = '{two}'
         auth_tokens = ['']
         api_key_sid = 'SK{key}'
         [[accounts]]
         sid = '{three}'
         auth_tokens = ['t']
         api_key_secret = 's'
         [[accounts]]
         sid = '{four}'
         auth_tokens = ['t']
         api_key_sid = 'SK{key}'
         api_key_secret = 's'
         api_key_secret_file = 'empty'",
        one = sid('1'),
        two = sid('2'),
        three = sid('3'),
        four = sid('4'),
        key = "0".repeat(32),
    );
    let found = settings(&toml).resolve(folder.path()).unwrap_err();
    let keys: Vec<_> = found
        .iter()
        .map(|fault| fault.key.strip_prefix("twilio.").unwrap())
        .collect();
    assert_eq!(
        keys,
        [
            "connect_timeout_ms",
            "read_idle_timeout_ms",
            "api_base",
            "media_redirect_hosts[1]",
            "accounts[0].auth_token_files",
            "accounts[1].sid",
            "accounts[1].auth_token_files[0]",
            "accounts[1].auth_token_files[1]",
            "accounts[1].auth_token_files[2]",
            "accounts[1].auth_token_files[3]",
            "accounts[1].auth_token_files[4]",
            "accounts[2].auth_tokens[0]",
            "accounts[2].api_key_secret_file",
            "accounts[3].api_key_sid",
            "accounts[4].api_key_secret_file",
        ]
    );
    assert!(
        found
            .iter()
            .any(|fault| fault.to_string().contains("absent")
                && fault.to_string().contains("not found")),
        "{found:?}"
    );
}

#[test]
fn the_interface_is_reached_over_tls_or_on_this_machine() {
    let with_base = |api_base: &str| TwilioSettings {
        api_base: api_base.into(),
        ..TwilioSettings::default()
    };
    for good in [
        "https://api.dublin.ie1.twilio.com",
        "http://127.0.0.1:8080",
        "http://[::1]:8080/",
        "http://localhost:1",
    ] {
        assert!(with_base(good).resolve(Path::new("/")).is_ok(), "{good}");
    }
    for bad in [
        "",
        "api.twilio.com",
        "http://api.twilio.com",
        "http://localhost.example.com",
        "http://10.0.0.1",
        "ftp://127.0.0.1",
        "https://user@api.twilio.com",
        "https://:secret@api.twilio.com",
        "https://api.twilio.com/2010-04-01",
        "https://api.twilio.com/?a",
        "https://api.twilio.com/#a",
    ] {
        assert_eq!(
            faults(with_base(bad), Path::new("/")),
            ["twilio.api_base"],
            "{bad}"
        );
    }
}

#[test]
fn no_secret_is_printed() {
    let mut account = AccountSettings::new(sid('1'), vec![secret("hunter2")]);
    account.api_key_sid = format!("SK{}", "0".repeat(32)).parse().ok();
    account.api_key_secret = Some(secret("hunter3"));
    let settings = TwilioSettings {
        accounts: vec![account],
        ..TwilioSettings::default()
    };
    assert!(!format!("{settings:?}").contains("hunter"));
    assert!(!format!("{:?}", settings.resolve(Path::new("/")).unwrap()).contains("hunter"));
}

#[test]
fn a_subaccount_without_a_key_asks_with_its_parents_credential() {
    let toml = format!(
        "[[accounts]]
         sid = '{one}'
         auth_tokens = ['one']
         api_key_sid = 'SK{key}'
         api_key_secret = 'key-secret'
         [[accounts]]
         sid = '{two}'
         parent = '{one}'
         auth_tokens = ['two']
         api_base = 'https://api.dublin.ie1.twilio.com'
         [[accounts]]
         sid = '{three}'
         parent = '{one}'
         auth_tokens = ['three']
         api_key_sid = 'SK{own}'
         api_key_secret = 'own-secret'",
        one = sid('1'),
        two = sid('2'),
        three = sid('3'),
        key = "a".repeat(32),
        own = "b".repeat(32),
    );
    let accounts = settings(&toml).resolve(Path::new("/")).unwrap();
    let credential = |digit: char| {
        let (user, password) = accounts.get(&sid(digit)).unwrap().credential();
        (user.to_owned(), password.expose().to_owned())
    };
    assert_eq!(
        credential('2'),
        (format!("SK{}", "a".repeat(32)), "key-secret".into())
    );
    assert_eq!(
        credential('3'),
        (format!("SK{}", "b".repeat(32)), "own-secret".into())
    );
    let two = accounts.get(&sid('2')).unwrap();
    assert_eq!(
        two.auth_tokens()
            .iter()
            .map(SecretText::expose)
            .collect::<Vec<_>>(),
        ["two"],
        "what signs stays its own"
    );
    assert_eq!(
        two.endpoints.api_base.as_str(),
        "https://api.dublin.ie1.twilio.com/",
        "and so does where it is"
    );
    assert_eq!(
        accounts.get(&sid('3')).unwrap().endpoints.api_base.as_str(),
        "https://api.twilio.com/"
    );
    assert!(
        !["key-secret", "own-secret"]
            .iter()
            .any(|secret| format!("{accounts:?}").contains(secret)),
        "a lent secret is shown nowhere"
    );
}

#[test]
fn a_parent_that_does_not_fit_is_told() {
    let with = |parent: char| {
        format!(
            "[[accounts]]
             sid = '{one}'
             auth_tokens = ['one']
             [[accounts]]
             sid = '{two}'
             parent = '{one}'
             auth_tokens = ['two']
             [[accounts]]
             sid = '{three}'
             parent = '{}'
             auth_tokens = ['three']",
            sid(parent),
            one = sid('1'),
            two = sid('2'),
            three = sid('3'),
        )
    };
    assert!(settings(&with('1')).resolve(Path::new("/")).is_ok());
    for (parent, said) in [
        ('9', "no entry of its own"),
        ('3', "its own parent"),
        ('2', "itself a subaccount"),
    ] {
        let found = settings(&with(parent)).resolve(Path::new("/")).unwrap_err();
        assert!(
            found.len() == 1
                && found[0].key == "twilio.accounts[2].parent"
                && found[0].problem.contains(said),
            "{found:?}"
        );
    }
}

#[test]
fn the_look_back_is_longer_than_any_call() {
    let with = |every: u32, back: u32| {
        settings(&format!(
            "[reconcile]\nevery_m = {every}\nlook_back_h = {back}"
        ))
    };
    for (every, back) in [(0, 25), (1, 72), (1440, 960)] {
        let accounts = with(every, back).resolve(Path::new("/")).unwrap();
        assert_eq!(
            accounts.reconcile().look_back().as_secs(),
            u64::from(back) * 3600
        );
        assert_eq!(
            accounts
                .reconcile()
                .every()
                .map_or(0, |every| every.as_secs()),
            u64::from(every) * 60
        );
    }
    for (every, back, key) in [
        (1441, 72, "every_m"),
        (15, 24, "look_back_h"),
        (15, 961, "look_back_h"),
        (15, 0, "look_back_h"),
    ] {
        assert_eq!(
            faults(with(every, back), Path::new("/")),
            [format!("twilio.reconcile.{key}")]
        );
    }
}
