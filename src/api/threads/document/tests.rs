//! The page of a conversation: hostile texts, hidden characters, and what stands for a text.

use super::*;
use crate::policy::{self, Rulebook, Rules};

fn render(page: &Transcribed<'_>) -> String {
    String::from_utf8(rendered(page).unwrap().to_vec()).unwrap()
}

fn item(text: &str) -> ShownItem<'_> {
    ShownItem {
        id: "rec_1".into(),
        kind: "message",
        at: "2026-11-30T10:00:00.000Z".into(),
        author: "contact",
        files: 0,
        text: Some(pieces(text)),
        redacted: Vec::new(),
        why: None,
        reasons: Vec::new(),
        shredded_at: None,
        receipt: None,
    }
}

fn page<'a>(items: Vec<ShownItem<'a>>, name: Option<&'a str>) -> Transcribed<'a> {
    Transcribed {
        conversation: "thr_1",
        kind: "thread",
        account: Some("AC1"),
        purpose: "see",
        grant: "grt_1".into(),
        is_first: true,
        parties: vec![ShownParty {
            leg: "contact",
            address: None,
            name: name.map(pieces),
        }],
        is_redacted: false,
        items,
        next: Some("?cursor=abc&limit=2".into()),
    }
}

#[test]
fn a_hostile_text_is_only_text() {
    let hostile = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "</p></li></ol><form action=//evil>",
        "&lt;b&gt; &#x3c;",
        "{{ grant }}{% include \"x\" %}",
        "<style>*{display:none}</style>",
        "javascript:alert(1)",
    ];
    for text in hostile {
        let html = render(&page(vec![item(text)], Some(text)));
        let plain = render(&page(vec![item("x")], Some("x")));
        let tags = |html: &str| html.matches('<').count();
        assert_eq!(tags(&html), tags(&plain), "{text} brings no tag");
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("<form"));
        let hrefs = |html: &str| html.matches("href=").count();
        assert_eq!(hrefs(&html), hrefs(&plain), "{text}");
    }
}

#[test]
fn what_would_not_be_seen_is_shown_by_its_number_and_each_text_is_isolated() {
    let cases = [
        (
            "pay \u{202e}001$\u{202c} now",
            "pay <span class=\"hidden\">U+202E</span>001$<span class=\"hidden\">U+202C</span> now",
        ),
        (
            "a\u{200b}b\u{ad}c",
            "a<span class=\"hidden\">U+200B</span>b<span class=\"hidden\">U+00AD</span>c",
        ),
        (
            "\u{2066}x\u{2069}",
            "<span class=\"hidden\">U+2066</span>x<span class=\"hidden\">U+2069</span>",
        ),
        ("\u{e0041}", "<span class=\"hidden\">U+E0041</span>"),
        ("bell\u{7}", "bell<span class=\"hidden\">U+0007</span>"),
        ("one\ntwo", "one\ntwo"),
        // Joiners make one sign of several, and do not hide.
        (
            "👩\u{200d}👧 \u{feff}",
            "👩\u{200d}👧 <span class=\"hidden\">U+FEFF</span>",
        ),
        ("שלום", "שלום"),
    ];
    for (text, shown) in cases {
        let html = render(&page(vec![item(text)], None));
        let expected = format!("<p class=\"text\" dir=\"auto\">{shown}</p>");
        assert!(html.contains(&expected), "{text:?}: {html}");
    }
    let html = render(&page(vec![], Some("\u{202e}eve")));
    assert!(
        html.contains("<bdi><span class=\"hidden\">U+202E</span>eve</bdi>"),
        "{html}"
    );
}

#[test]
fn the_page_says_what_is_redacted_withheld_and_gone() {
    let redacted = ShownItem {
        redacted: vec!["card-number", "iban"],
        ..item("my card is ████")
    };
    let rules = Rules::parse("p", crate::config::SHIPPED_POLICY).unwrap();
    let over = policy::over_budget(&"see".parse().unwrap(), &Rulebook::new(rules, []));
    let refused = ShownItem {
        text: None,
        why: Some(WithheldWhy::Denied.sentence()),
        reasons: over.refusals().iter().map(ProblemReason::of).collect(),
        ..item("")
    };
    let gone = ShownItem {
        text: None,
        why: Some(WithheldWhy::Shredded.sentence()),
        shredded_at: Some("2026-11-30T11:00:00.000Z".into()),
        receipt: Some("rcp_1".into()),
        ..item("")
    };
    let html = render(&Transcribed {
        is_redacted: true,
        ..page(vec![redacted, refused, gone], None)
    });
    for part in [
        "Some of the text is redacted on this copy",
        "Redacted on this copy: card-number, iban.",
        "purposes/see/budget",
        "Deleted: its key is destroyed. On <time datetime=\"2026-11-30T11:00:00.000Z\">",
        "<a href=\"/v1/receipts/rcp_1\">",
        "<a href=\"?cursor=abc&#38;limit=2\" rel=\"next\">",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(
        !html.contains("<script") && !html.contains("http"),
        "it loads nothing"
    );
}
