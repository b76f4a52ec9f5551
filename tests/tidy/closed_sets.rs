//! Closed sets of words are derived, and not written by hand.

use super::lexer::Code;

/// Files with a form that contains more than the word, so that no derivation parses it.
const PARTS: [&str; 2] = [
    // `media/0` to `media/255`.
    "src/core/model/artefact.rs",
    // `vault`, or a kind with an id behind it.
    "src/core/model/actor.rs",
];

/// Returns sets whose words are matched one by one, for parsing or for printing.
pub(super) fn by_hand(code: &Code) -> Vec<String> {
    if PARTS.contains(&code.path.as_str()) {
        return Vec::new();
    }
    // The lexer blanks texts: an arm with an empty side had a text there.
    let reading = bodies(code, "FromStr for").filter(|(_, body)| {
        arms(body).any(|(before, _)| before.trim_end().ends_with(['{', '}', ',', '|']))
    });
    let giving = bodies(code, "fn as_str").filter(|(_, body)| {
        arms(body).any(|(_, after)| after.trim_start().starts_with([',', '}']))
    });
    let comparing = bodies(code, "FromStr for").filter(|(_, body)| body.contains(".as_str() == "));
    reading
        .chain(giving)
        .chain(comparing)
        .map(|(at, _)| {
            format!(
                "{}: words of a closed set by hand; derive them with strum, see model/word.rs",
                code.at(at)
            )
        })
        .collect()
}

/// Returns both sides of each arm's arrow.
fn arms(body: &str) -> impl Iterator<Item = (&str, &str)> {
    let arrows = body.match_indices("=>");
    arrows.map(|(at, arrow)| (&body[..at], &body[at + arrow.len()..]))
}

/// Returns the content of the braces after these words, with its position.
fn bodies<'a>(code: &'a Code, words: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    code.words(words).map(|at| {
        let rest = &code.code[at..];
        let mut depth = 0usize;
        let end = rest.char_indices().find(|(_, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            *c == '}' && depth == 0
        });
        (at, &rest[..end.map_or(rest.len(), |(end, _)| end)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_is_written_by_hand_is_found() {
        let faults = |path: &str, text: &str| by_hand(&super::super::lexer::read(path, text)).len();
        for bad in [
            "impl FromStr for A { fn from_str(t: &str) -> R { match t { \"a\" => Ok(A), _ => E } } }",
            "impl std::str::FromStr for A { fn f(t: &str) -> R { [A].find(|a| a.as_str() == t) } }",
            "impl A { fn as_str(self) -> &'static str { match self { A => \"a\" } } }",
        ] {
            assert_eq!(faults("src/a.rs", bad), 1, "{bad}");
            assert_eq!(faults(PARTS[0], bad), 0, "{bad}");
        }
        for good in [
            "impl A { fn as_str(self) -> &'static str { self.into() } } fn b() { c => \"a\" }",
            "impl FromStr for A { fn from_str(t: &str) -> R { t.strip_prefix(\"a\") } }",
            "fn a() { match t { \"a\" => 1 } }",
        ] {
            assert_eq!(faults("src/a.rs", good), 0, "{good}");
        }
    }
}
