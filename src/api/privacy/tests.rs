//! The text of the page, and its structure.

use super::*;

fn page(policy: &str) -> String {
    let rules = Rules::parse("p", policy).unwrap();
    Page::of(&rules, VersionStatus::Current, hours(86400), 0, &[])
        .render()
        .unwrap()
}

fn said(policy: &str) -> String {
    page(policy)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn horizons_are_said_as_people_say_them() {
    assert_eq!(
        [1, 24, 47, 48, 50, 720].map(|hours_| hours(hours_ * 3600)),
        [
            "1 hour", "24 hours", "47 hours", "2 days", "50 hours", "30 days"
        ]
    );
}

#[test]
fn what_the_file_says_cannot_become_markup() {
    let html = page(
        &crate::config::SHIPPED_POLICY.replace("Example Company", "<script>alert(1)</script>"),
    );
    assert!(
        !html.contains("<script") && html.contains("&#60;script&#62;"),
        "{html}"
    );
}

#[test]
fn everything_that_the_shipped_policy_promises_is_on_the_page() {
    let html = said(crate::config::SHIPPED_POLICY);
    for part in [
        "Example Company",
        "Carries the calls and makes the recordings.",
        "This call is recorded. We use the recording to finish what we promise you",
        "The legal basis of recording is a legitimate interest",
        "Recordings shorter than 1 second are discarded",
        "Teaching the people who answer calls.",
        "only the first 5 minutes of the audio",
        "Listens to recordings to check and improve the service.",
        "standard: for 90 days after it was made",
        "restricted: for 365 days after it was made; a second person must agree",
        "<td>after 365 days</td>",
        "<td>privacy-officer; in an emergency nobody",
        "Numbers of payment cards: the recording becomes “restricted”",
        "Courts and authorities whose demand the law obliges us to meet",
        "You can withdraw your consent at any time",
        "to ask for your recordings and for who has listened",
        "in force from <time datetime=\"2026-01-01T00:00:00.000Z\">1 January 2026</time>",
        "At most 200 recordings",
        "<html lang=\"en\">",
    ] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
    assert!(
        !html.contains("agreed to be recorded"),
        "recording is not based on consent here"
    );
}

#[test]
fn nothing_is_claimed_that_the_file_does_not_say() {
    let bare = "version = \"0\"\neffective = 2026-01-01T12:30:00Z\ndefault_tier = \"t\"\n[controller]\nname = \"C\"\ncontact = \"Some Street 1\"\n\
                [roles]\n[[tiers]]\nname = \"t\"\ndescription = \"T\"\ngrant_lifetime = \"24h\"\n[actions]\ncatalogue = []\nshred = []\naudit = []\n";
    let html = said(bare);
    for part in [
        "When you are recorded",
        "Automatic checks",
        "Your consent",
        "Who else receives",
        "mailto:",
        "These processors handle",
    ] {
        assert!(!html.contains(part), "{part} in {html}");
    }
    for part in [
        "For nothing: the policy has no purpose",
        "no period is set",
        "not needed",
        "1 January 2026, 12:30 UTC",
    ] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
}

#[test]
fn consent_to_recording_comes_with_its_quarantine() {
    let policy = crate::config::SHIPPED_POLICY.replacen(
        "basis = \"legitimate-interest\"",
        "basis = \"consent\"",
        1,
    );
    assert!(said(&policy).contains("It is deleted 7 days after that"));
}

#[test]
fn each_kind_that_is_kept_is_named_and_no_other() {
    let with = |kinds: &str| {
        let kept = crate::config::SHIPPED_POLICY.replacen(
            "[collection]\n",
            &format!("[collection]\nkinds = [{kinds}]\n"),
            1,
        );
        said(&kept)
    };
    let both = with("\"call\", \"message\"");
    for part in [
        "<li>The sound of calls and conferences</li>",
        "<li>Messages between you and our numbers",
        "applies to each of these",
    ] {
        assert!(both.contains(part), "{part} is not in {both}");
    }
    let only = with("\"message\"");
    assert!(!only.contains("The sound of calls"), "{only}");
    let shipped = said(crate::config::SHIPPED_POLICY);
    assert!(shipped.contains("<li>The sound of calls and conferences</li>"));
    assert!(!shipped.contains("Messages between") && !shipped.contains("each of these"));
    let all: std::collections::BTreeSet<&str> = MediaKind::ALL
        .iter()
        .map(|kind| words::kind(*kind))
        .collect();
    assert_eq!(all.len(), MediaKind::ALL.len());
}

#[test]
fn what_is_asked_and_what_messages_mean_is_on_the_page() {
    let html = said(&crate::samples::asking());
    for part in [
        "<blockquote lang=\"de-DE\"><p>Wir würden dieses Gespräch gern aufzeichnen",
        "Yes: key 1, or “ja”, “ja bitte” or “einverstanden”. No: key 2, or “nein” or “nein danke”.",
        "A yes covers recording and training.",
        "<li>“stop recording”, “delete my recordings” or any message that Twilio classifies as “STOP”: you withdraw your consent to everything that rests on it</li>",
    ] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
    let html = said(crate::config::SHIPPED_POLICY);
    assert!(!html.contains("A yes covers") && !html.contains("these words mean"));
    let markup = crate::samples::asking().replacen("We would like", "<b>We</b> would like", 1);
    assert!(!page(&markup).contains("<b>We"));
}

#[test]
fn headings_go_down_one_step_at_a_time_and_every_cell_has_its_heading() {
    let html = page(crate::config::SHIPPED_POLICY);
    let levels: Vec<u32> = html
        .match_indices("<h")
        .filter_map(|(at, _)| html[at + 2..].chars().next()?.to_digit(10))
        .collect();
    assert_eq!(
        (
            levels.first(),
            levels.iter().filter(|level| **level == 1).count()
        ),
        (Some(&1), 1)
    );
    assert!(
        levels.windows(2).all(|pair| pair[1] <= pair[0] + 1),
        "{levels:?}"
    );
    assert_eq!(
        html.matches("<th").count() - html.matches("<thead").count(),
        html.matches("scope=").count()
    );
    assert_eq!(
        html.matches("<table").count(),
        html.matches("<caption").count()
    );
    for reference in html
        .split("href=\"#")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        assert!(
            html.contains(&format!("id=\"{reference}\"")),
            "#{reference} leads nowhere"
        );
    }
}
