//! `doctor`: checks every resource that the configuration names.

use std::{path::Path, process::ExitCode};

use super::private_files;
use crate::{
    app::App,
    cli::{failure::Failure, out::Out},
    config::Config,
    custody::{CustodyKind, Role},
    flow::{self, AccountVerdict, Flow},
    model::{numerals::counted, time::Clock},
    twilio::PublicUrl,
};

/// One finding.
#[derive(serde::Serialize)]
struct Finding {
    what: String,
    /// `ok`, `weak` or `broken`.
    verdict: &'static str,
    why: String,
}

/// The findings so far.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn find(&mut self, what: impl Into<String>, verdict: &'static str, why: impl Into<String>) {
        self.0.push(Finding {
            what: what.into(),
            verdict,
            why: why.into(),
        });
    }
}

/// Checks every configured resource. Exit code 1 if one is broken.
pub(in crate::cli) async fn doctor(file: &Path, out: Out) -> Result<ExitCode, Failure> {
    let mut findings = Findings::default();
    let config = Config::read(file)?;
    findings.find("configuration", "ok", format!("{} is read", file.display()));
    let public = config.server.public_url.clone();
    settings(&config, &mut findings);
    match App::open(config, Clock::System).await {
        Err(error) => findings.find("custody, database and store", "broken", error.to_string()),
        Ok(mut app) => {
            opened(&app, &mut findings).await;
            match app.flow_to_read().await {
                Ok(flow) => {
                    findings.find("vault", "ok", format!("{} unlocks", flow.vault.id()));
                    memory(&flow, &mut findings).await;
                    match flow.clock.status().await {
                        Ok(status) => match status.refused {
                            Some(why) => findings.find(
                                "clock",
                                "broken",
                                format!("nothing is destroyed by date: {why}"),
                            ),
                            None => clock(&status, &mut findings),
                        },
                        Err(error) => findings.find("clock", "broken", error.to_string()),
                    }
                    for stuck in flow.dead_work.stuck_deletions().await.unwrap_or_default() {
                        let why = stuck.last_error.as_deref().unwrap_or("?");
                        findings.find(
                            "source",
                            "broken",
                            format!(
                                "copies of {} could not be deleted at Twilio: {why}; the deletion \
                                 is retried",
                                stuck.subject
                            ),
                        );
                    }
                    accounts(&flow, public, &mut findings).await;
                }
                Err(error) => findings.find("vault", "broken", error.to_string()),
            }
        }
    }
    let Findings(findings) = findings;
    let is_broken = findings.iter().any(|finding| finding.verdict == "broken");
    out.facts(&findings, || {
        findings
            .iter()
            .map(|finding| format!("{:<7} {}: {}\n", finding.verdict, finding.what, finding.why))
            .collect()
    })?;
    Ok(if is_broken {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Reports the deviations of a trusted clock.
fn clock(status: &flow::ClockStatus, findings: &mut Findings) {
    let deviations = status.deviations();
    if deviations.is_empty() {
        findings.find("clock", "ok", format!("{} is believed", status.now));
    }
    for deviation in deviations {
        findings.find(
            "clock",
            "weak",
            format!("{deviation}: synchronise the clocks (NTP)"),
        );
    }
}

/// Checks that the database has every audit entry that the store names.
async fn memory(flow: &Flow, findings: &mut Findings) {
    match flow.vault.compare_with_store().await {
        Ok(()) => findings.find(
            "database",
            "ok",
            "has the newest audit entry that the store names",
        ),
        Err(error) => findings.find("database", "broken", error.to_string()),
    }
    match flow.vault.unreadable_files() {
        0 => {}
        count => findings.find("recovery", "weak", {
            let files = counted(count, "file", "files");
            format!(
                "{files} among snapshots and journal cannot be opened: examine them; the log names \
                     every one"
            )
        }),
    }
    for (gap, at) in flow
        .recovery
        .status()
        .await
        .map(|status| status.gaps)
        .unwrap_or_default()
    {
        findings.find(
            "recovery",
            "weak",
            format!("restored {at} without audit entries {gap}: a shred among them may be undone"),
        );
    }
}

/// Reports the findings from the settings alone.
fn settings(config: &Config, findings: &mut Findings) {
    let public = &config.server.public_url;
    if !public.is_https() {
        findings.find(
            "server.public_url",
            "weak",
            format!("`{public}` is not https: callbacks and recordings are sent unencrypted; put a TLS proxy in front"),
        );
    }
    if public.is_https() && config.server.trusted_proxies.is_empty() {
        let why = "empty, although a proxy terminates TLS: all its clients count as one, with one share of the connections and one rate; add the proxy";
        findings.find("server.trusted_proxies", "weak", why);
    }
    if config.database.url.starts_with("postgres")
        && !["sslmode=verify-full", "@127.", "@localhost", "@[::1]"]
            .iter()
            .any(|part| config.database.url.contains(part))
    {
        findings.find(
            "database.url",
            "weak",
            "the server's certificate is not checked: add `?sslmode=verify-full`",
        );
    }
    let custody = &config.custody;
    let is_file = custody.kind == CustodyKind::Passphrase && custody.passphrase.is_none();
    if let Some(passphrase) = custody.passphrase_file.as_deref().filter(|_| is_file) {
        let root = config.base.join(&custody.root_file);
        let passphrase = config.base.join(passphrase);
        if root.parent() == passphrase.parent() {
            findings.find(
                "custody",
                "weak",
                "the passphrase is beside the root file: anyone who copies the folder can open the \
                 vault; move the passphrase to a secret store",
            );
        }
    }
    if config.store.url.starts_with("s3://") {
        let why = "if the bucket keeps versions, removed ciphertext stays as old versions (without its key); add a lifecycle rule that expires \
                   old versions and aborts incomplete uploads";
        findings.find("store", "weak", why);
    }
    match config.twilio.accounts.len() {
        0 => findings.find(
            "twilio.accounts",
            "weak",
            "no account is configured, so every callback is refused: add `[[twilio.accounts]]`",
        ),
        count => findings.find(
            "twilio.accounts",
            "ok",
            counted(count, "account", "accounts"),
        ),
    }
    for (key, path, to) in private_files::open_to_others(config) {
        let path = path.display();
        let (who, mode) = (to.who(), to.mode());
        let why = format!("{who} may use `{path}`: `chmod {mode} {path}`");
        findings.find(key, "weak", why);
    }
    if let keys @ 1.. = config.twilio.encryption_keys.len() {
        let why = format!(
            "{}. A recording that Twilio cannot encrypt ends as `failed`; the comparison finds it",
            counted(keys, "private key", "private keys")
        );
        findings.find("twilio.encryption_keys", "ok", why);
    }
    if config.twilio.reconcile.every_m == 0 {
        let why = "0: a recording whose callback does not come is missed until `recvault twilio reconcile` runs";
        findings.find("twilio.reconcile.every_m", "weak", why);
    }
}

/// Reports the findings from the opened custody, database, store and policy.
async fn opened(app: &App, findings: &mut Findings) {
    let meaning = app.custody.meaning();
    let why = format!(
        "{}. Destruction of a root key: {}. Left to you: {}",
        app.custody.kind(),
        meaning.destroyed,
        meaning.left
    );
    findings.find("custody", "ok", why);
    place(app, findings).await;
    findings.find(
        "database",
        "ok",
        format!("{} opens, and its schema is supported", app.db.kind()),
    );
    match app.store.check_permissions().await {
        Ok(()) => findings.find(
            "store",
            "ok",
            format!(
                "{} writes, reads, lists and removes objects",
                app.store.name()
            ),
        ),
        Err(error) => findings.find("store", "broken", error.to_string()),
    }
    match app.rules() {
        Ok(rules) => {
            findings.find("policy", "ok", format!("version {}", rules.version()));
            if rules.document().consent.voice.is_some() && !app.config.twilio.consent.goes_on() {
                let why = "the policy requests consent in calls, but neither `connect_url` nor `connect_to` is set, so these calls end: set one of them";
                findings.find("twilio.consent", "weak", why);
            }
            if let Err(error) = flow::fits_published(&app.db, &rules).await {
                findings.find("policy", "broken", error.to_string());
            }
            for odd in flow::oddities(&app.db, &rules, &app.clock)
                .await
                .unwrap_or_default()
            {
                findings.find("policy", "weak", odd);
            }
        }
        Err(error) => findings.find("policy", "broken", error.to_string()),
    }
}

/// Reports every file and object in the location of custody.
async fn place(app: &App, findings: &mut Findings) {
    let contents = match app.custody.contents().await {
        Ok(contents) => contents,
        Err(error) => return findings.find("custody place", "broken", error.to_string()),
    };
    if !contents.iter().any(|item| item.role == Role::Slot) {
        findings.find(
            "custody place",
            "broken",
            "it holds no slot: expected before `recvault init`; afterwards it means that the root \
             keys are lost",
        );
    }
    for item in contents {
        let epochs: Vec<String> = item
            .roots
            .iter()
            .map(|root| root.epoch.to_string())
            .collect();
        let roots = if epochs.is_empty() {
            String::new()
        } else {
            format!(", with the root key of epoch {}", epochs.join(" and "))
        };
        match item.role {
            Role::Leftover => {
                let why = format!(
                    "{} is left from an interrupted change{roots}: the next turn, or the next \
                     start, destroys it",
                    item.name
                );
                findings.find("custody place", "weak", why);
            }
            Role::Foreign => {
                let why = format!(
                    "{} is not part of the slot{roots}: destroy it, or move it elsewhere; until \
                     then no turn is possible",
                    item.name
                );
                findings.find("custody place", "broken", why);
            }
            Role::Unexamined => {
                let why = format!(
                    "{} was not examined: it cannot be read, is too large, or is nested too deep; \
                     it may contain a copy of an old slot",
                    item.name
                );
                findings.find("custody place", "weak", why);
            }
            Role::Slot => {}
        }
    }
    if app.custody.kind() == "pkcs11" {
        let why = "keep a second copy of the token that is updated with each turn: if the only token fails, the vault is lost; SoftHSM is for trials only";
        findings.find("custody place", "weak", why);
    }
}

/// Reports Twilio's answers about the accounts, and the callbacks that arrived from them.
async fn accounts(flow: &Flow, public: PublicUrl, findings: &mut Findings) {
    // If the system chooses the port, any other number will do.
    let public = public.with_bound_port(1);
    match flow.accounts.examine(&public).await {
        Ok(found) => {
            for one in found {
                let verdict = match one.verdict {
                    AccountVerdict::Ok => "ok",
                    AccountVerdict::Weak => "weak",
                    AccountVerdict::Broken => "broken",
                };
                findings.find(format!("{} {}", one.account, one.what), verdict, one.why);
            }
        }
        Err(error) => findings.find("twilio", "broken", error.to_string()),
    }
}
