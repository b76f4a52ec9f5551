//! Checks of an account's configuration, at Twilio and here, for `doctor`.
//!
//! Owns what is requested and how the answers are judged. INVARIANT: nothing is changed, here or
//! there; an account that cannot be reached is a finding and not an error, within [`PATIENCE`].

use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::AccountReview;
use crate::{
    db::discovery::{self, DiscoveryCount},
    flow::error::Error,
    model::{numerals::counted, recording::DiscoveredBy, sid::AccountSid, time::Timestamp},
    twilio::{Account, Accounts, PublicUrl, RestError, rest::Listing},
};

/// The time limit for the requests about an account.
const PATIENCE: Duration = Duration::from_secs(20);
/// Accounts examined concurrently.
const AT_ONCE: usize = 4;
/// Missed callbacks are reported above one in this many.
const LATE: i64 = 20;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountVerdict {
    /// As expected.
    Ok,
    /// It works, but should be improved.
    Weak,
    /// It does not work.
    Broken,
}

/// A finding about an account.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AccountFinding {
    /// The account.
    pub account: AccountSid,
    /// The subject of the check: `reachable`, `media`, `callbacks`, `subaccounts`, `numbers`.
    pub what: &'static str,
    /// The result of the check.
    pub verdict: AccountVerdict,
    /// The reason, and the remedy.
    pub why: String,
}

impl AccountReview {
    /// Examines every account, with requests to Twilio.
    ///
    /// # Errors
    /// Any database error.
    pub async fn examine(&self, public: &PublicUrl) -> Result<Vec<AccountFinding>, Error> {
        let accounts = self.twilio.accounts();
        let each: Vec<_> = accounts
            .iter()
            .map(|account| self.examine_one(&accounts, account, public))
            .collect();
        let found: Vec<Result<_, Error>> = stream::iter(each).buffered(AT_ONCE).collect().await;
        Ok(found
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    async fn examine_one(
        &self,
        accounts: &Accounts,
        account: &Account,
        public: &PublicUrl,
    ) -> Result<Vec<AccountFinding>, Error> {
        let mut found = Vec::new();
        let since = self.clock.now().before(accounts.reconcile().look_back());
        let asked = self.ask(accounts, account, public, since, &mut found);
        if tokio::time::timeout(PATIENCE, asked).await.is_err() {
            found.push(finding(
                account,
                "reachable",
                AccountVerdict::Broken,
                format!("Twilio did not answer within {} s", PATIENCE.as_secs()),
            ));
        }
        let counts = discovery::counts(&mut self.db.read().await?, account.sid(), since).await?;
        found.push(callbacks(account, &counts));
        Ok(found)
    }

    async fn ask(
        &self,
        accounts: &Accounts,
        account: &Account,
        public: &PublicUrl,
        since: Timestamp,
        found: &mut Vec<AccountFinding>,
    ) {
        let client = &self.twilio.client;
        let listing = Listing {
            since,
            until: None,
            page_size: 50,
            with_deleted: false,
        };
        let recordings = match client
            .recordings(account, &listing)
            .next(client, account)
            .await
        {
            Ok(page) => page.map(|page| page.items).unwrap_or_default(),
            Err(error) => {
                found.push(unreachable(account, &error));
                return;
            }
        };
        found.push(match client.account(account).await {
            Ok(resource) if resource.status == "active" => {
                finding(account, "reachable", AccountVerdict::Ok, "Twilio answers, and the account is active".into())
            }
            Ok(_) => finding(account, "reachable", AccountVerdict::Weak, "Twilio answers, and the account is not active".into()),
            Err(RestError::Refused { status: 401 | 403, .. }) if account.uses_api_key() => {
                let why = "Twilio lists its recordings; its API key is a standard one, which may not read the account itself";
                finding(account, "reachable", AccountVerdict::Ok, why.into())
            }
            Err(error) => unreachable(account, &error),
        });
        let known = recordings
            .iter()
            .find(|recording| recording.status == "completed");
        found.push(match known {
            None => finding(
                account,
                "media",
                AccountVerdict::Ok,
                "no recording exists yet to test whether unauthenticated requests are refused"
                    .into(),
            ),
            Some(recording) => match client.media_is_protected(account, &recording.sid).await {
                Ok(true) => finding(
                    account,
                    "media",
                    AccountVerdict::Ok,
                    "an unauthenticated request for a recording is refused".into(),
                ),
                Ok(false) => finding(account, "media", AccountVerdict::Weak, OPEN.into()),
                Err(error) => finding(
                    account,
                    "media",
                    AccountVerdict::Weak,
                    format!("it is unknown whether unauthenticated requests are refused: {error}"),
                ),
            },
        });
        self.ask_about_others(accounts, account, public, found)
            .await;
    }

    /// Examines subaccounts that are not configured, and phone numbers that use this service.
    async fn ask_about_others(
        &self,
        accounts: &Accounts,
        account: &Account,
        public: &PublicUrl,
        found: &mut Vec<AccountFinding>,
    ) {
        let client = &self.twilio.client;
        if account.parent().is_none()
            && let Ok(subaccounts) = client.subaccounts(account).await
        {
            for sub in subaccounts
                .iter()
                .filter(|sub| accounts.get(&sub.sid).is_none())
            {
                let why = format!(
                    "its subaccount `{}` is not in `twilio.accounts`: callbacks of the subaccount \
                     are refused, and its recordings not found; add it",
                    sub.sid
                );
                found.push(finding(account, "subaccounts", AccountVerdict::Weak, why));
            }
        }
        let Ok(numbers) = client.incoming_numbers(account).await else {
            return;
        };
        let ours = |url: &Option<String>| {
            url.as_ref().is_some_and(|url| {
                url.starts_with(&public.join("/twilio/")) && url.contains("/consent/voice")
            })
        };
        let ours: Vec<&str> = numbers
            .iter()
            .filter(|number| ours(&number.voice_url))
            .map(|number| number.sid.as_str())
            .collect();
        if !ours.is_empty() {
            let why = format!(
                "{} of {} numbers ask for consent here before recording: {}",
                ours.len(),
                numbers.len(),
                ours.join(", ")
            );
            found.push(finding(account, "numbers", AccountVerdict::Ok, why));
        }
    }
}

const OPEN: &str = "anyone who knows the address of a recording can hear it: enable \"Enforce HTTP \
                    Auth on Media URLs\" in the console under Voice, Settings, General";

fn finding(
    account: &Account,
    what: &'static str,
    verdict: AccountVerdict,
    why: String,
) -> AccountFinding {
    AccountFinding {
        account: account.sid().clone(),
        what,
        verdict,
        why,
    }
}

fn unreachable(account: &Account, error: &RestError) -> AccountFinding {
    let why = match error {
        RestError::Refused {
            status: 401 | 403, ..
        } => {
            format!(
                "{error}; check `api_key_sid` and its secret, or the first auth token, and `parent` of a subaccount"
            )
        }
        error => format!("{error}; check `api_base`, and that this machine can reach it"),
    };
    finding(account, "reachable", AccountVerdict::Broken, why)
}

/// Judges callbacks by those that arrived, because Twilio does not reveal which are subscribed.
fn callbacks(account: &Account, counts: &[DiscoveryCount]) -> AccountFinding {
    let sum = |statuses: &[&str], heard_by: DiscoveredBy| -> i64 {
        let of = counts.iter().filter(|count| {
            count.heard_by == heard_by && statuses.contains(&count.source_status.as_str())
        });
        of.map(|count| count.count).sum()
    };
    let told = sum(&["completed"], DiscoveredBy::Callback);
    let missed = sum(&["completed"], DiscoveredBy::Reconcile);
    let empty_told = sum(&["absent", "failed"], DiscoveredBy::Callback);
    let empty_missed = sum(&["absent", "failed"], DiscoveredBy::Reconcile);
    let (verdict, why) = if told == 0 && missed > 0 {
        (
            AccountVerdict::Weak,
            format!(
                "no callback came for {}: set recordingStatusCallback to {URL}",
                counted(missed, "completed recording", "completed recordings")
            ),
        )
    } else if missed.saturating_mul(LATE) > told + missed {
        let all = told + missed;
        (
            AccountVerdict::Weak,
            format!(
                "no callback came for {missed} of {}: callbacks get lost; make Twilio retry them, \
                 with {URL}",
                counted(all, "completed recording", "completed recordings")
            ),
        )
    } else if empty_told == 0 && empty_missed > 0 {
        let why = format!(
            "no callback came for {} without a file: set recordingStatusCallbackEvent=\"in-progress completed absent\"",
            counted(empty_missed, "recording", "recordings")
        );
        (AccountVerdict::Weak, why)
    } else if told + missed + empty_told == 0 {
        (
            AccountVerdict::Ok,
            "no recent recording shows whether callbacks arrive".to_owned(),
        )
    } else {
        (
            AccountVerdict::Ok,
            format!(
                "callbacks came for {told} of {} and {empty_told} without a file",
                counted(told + missed, "completed recording", "completed recordings")
            ),
        )
    };
    finding(account, "callbacks", verdict, why)
}

const URL: &str = "your public URL with `/twilio/recordings#rc=5&rp=all`, and recordingStatusCallbackEvent=\"in-progress completed absent\"";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::twilio::account::{AccountSettings, TwilioSettings};

    fn judged(counts: &[(&str, DiscoveredBy, i64)]) -> (AccountVerdict, String) {
        let sid: AccountSid = format!("AC{}", "0".repeat(32)).parse().unwrap();
        let accounts = vec![AccountSettings::new(
            sid.clone(),
            vec![crate::secret::SecretText::new("t".into())],
        )];
        let accounts = TwilioSettings {
            accounts,
            ..TwilioSettings::default()
        }
        .resolve(Path::new("/"))
        .unwrap();
        let counts: Vec<DiscoveryCount> = counts
            .iter()
            .map(|&(status, heard_by, count)| DiscoveryCount {
                source_status: status.into(),
                heard_by,
                count,
            })
            .collect();
        let found = callbacks(accounts.get(&sid).unwrap(), &counts);
        (found.verdict, found.why)
    }

    #[test]
    fn callbacks_are_judged_by_what_came() {
        use DiscoveredBy::{Callback, Reconcile};
        assert_eq!(judged(&[]).0, AccountVerdict::Ok);
        assert_eq!(
            judged(&[("completed", Callback, 19), ("completed", Reconcile, 1)]).0,
            AccountVerdict::Ok,
            "one was late"
        );
        let (verdict, why) = judged(&[("completed", Callback, 17), ("completed", Reconcile, 1)]);
        assert!(
            verdict == AccountVerdict::Weak
                && why.contains("1 of 18")
                && why.contains("#rc=5&rp=all"),
            "{why}"
        );
        let (verdict, why) = judged(&[("completed", Reconcile, 3)]);
        assert!(
            verdict == AccountVerdict::Weak && why.contains("no callback came for 3 completed"),
            "{why}"
        );
        let (verdict, why) = judged(&[("completed", Callback, 3), ("absent", Reconcile, 2)]);
        assert!(
            verdict == AccountVerdict::Weak && why.contains("\"in-progress completed absent\""),
            "{why}"
        );
        assert_eq!(
            judged(&[
                ("completed", Callback, 3),
                ("absent", Reconcile, 2),
                ("failed", Callback, 1)
            ])
            .0,
            AccountVerdict::Ok
        );
    }
}
