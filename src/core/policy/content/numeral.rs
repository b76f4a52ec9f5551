//! Numbers in words, as people read them out: in English and in German.
//!
//! Owns the words for digits, and the combination of two words into one number (`forty-one`,
//! `einundvierzig`, `twelve hundred`). Refuses to know what the digits identify. Thousands are not
//! parsed: nobody reads out a long number that way. INVARIANT: a word is looked up once, among all
//! of them: a transcript has a million words, and almost none of them is a number.

use std::{collections::HashMap, sync::LazyLock};

/// A word inside a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numeral {
    /// Digits, regardless of the next word.
    Digits(&'static str),
    /// Twenty to ninety: the first digit of two, and both.
    Tens(&'static str, &'static str),
    /// A hundred after other digits.
    Hundred,
    /// Multiplies the next digit.
    Times(u8),
    /// May occur inside a number, without a value.
    Filler,
}

impl Numeral {
    /// Returns the digits that it stands for.
    pub(super) fn digits(self) -> &'static str {
        match self {
            Self::Digits(digits) | Self::Tens(_, digits) => digits,
            Self::Hundred => "00",
            Self::Times(_) | Self::Filler => "",
        }
    }

    /// Returns its meaning before this word: `forty` is one digit in `forty-one`, and two in
    /// `forty, one`.
    pub(super) fn before(self, next: Option<Numeral>, between: &str) -> Self {
        let joined = between
            .chars()
            .all(|c| c == ' ' || c == '-' || c == '\u{2010}' || c == '\u{2011}');
        match (self, next) {
            (Self::Tens(first, _), Some(Self::Digits(digit)))
                if joined && digit.len() == 1 && digit != "0" =>
            {
                Self::Digits(first)
            }
            (Self::Hundred, Some(Self::Digits(digit))) if joined && digit.len() == 1 => {
                Self::Digits("0")
            }
            // `twelve hundred and eleven`: its digits are the following ones.
            (Self::Hundred, Some(Self::Digits(_) | Self::Tens(..) | Self::Filler)) if joined => {
                Self::Filler
            }
            (own, _) => own,
        }
    }
}

/// Returns the meaning of a folded word inside a number.
pub(super) fn read(word: &str) -> Option<Numeral> {
    // The longest is `siebenundzwanzig`.
    if word.len() > 20 {
        return None;
    }
    english(word).or_else(|| GERMAN.get(word).copied())
}

fn english(word: &str) -> Option<Numeral> {
    Some(match word {
        "zero" | "oh" | "o" | "nought" | "naught" => Numeral::Digits("0"),
        "one" => Numeral::Digits("1"),
        "two" => Numeral::Digits("2"),
        "three" => Numeral::Digits("3"),
        "four" => Numeral::Digits("4"),
        "five" => Numeral::Digits("5"),
        "six" => Numeral::Digits("6"),
        "seven" => Numeral::Digits("7"),
        "eight" => Numeral::Digits("8"),
        "nine" | "niner" => Numeral::Digits("9"),
        "ten" => Numeral::Digits("10"),
        "eleven" => Numeral::Digits("11"),
        "twelve" => Numeral::Digits("12"),
        "thirteen" => Numeral::Digits("13"),
        "fourteen" => Numeral::Digits("14"),
        "fifteen" => Numeral::Digits("15"),
        "sixteen" => Numeral::Digits("16"),
        "seventeen" => Numeral::Digits("17"),
        "eighteen" => Numeral::Digits("18"),
        "nineteen" => Numeral::Digits("19"),
        "twenty" => Numeral::Tens("2", "20"),
        "thirty" => Numeral::Tens("3", "30"),
        "forty" | "fourty" => Numeral::Tens("4", "40"),
        "fifty" => Numeral::Tens("5", "50"),
        "sixty" => Numeral::Tens("6", "60"),
        "seventy" => Numeral::Tens("7", "70"),
        "eighty" => Numeral::Tens("8", "80"),
        "ninety" => Numeral::Tens("9", "90"),
        "hundred" => Numeral::Hundred,
        "double" => Numeral::Times(2),
        "triple" | "treble" => Numeral::Times(3),
        "quadruple" => Numeral::Times(4),
        "dash" | "hyphen" | "space" | "uh" | "um" | "er" | "and" => Numeral::Filler,
        _ => return None,
    })
}

/// Every German number word. Words are folded: `ß` is `ss`.
static GERMAN: LazyLock<HashMap<String, Numeral>> = LazyLock::new(|| {
    let mut words: HashMap<String, Numeral> = HashMap::new();
    let mut digits = |word: String, number: usize| {
        if let Some(digits) = digits_of(number) {
            words.insert(word, Numeral::Digits(digits));
        }
    };
    for (names, first) in [(&UNITS, 0), (&TEENS, 10)] {
        names
            .iter()
            .zip(first..)
            .for_each(|(name, number)| spellings(name).for_each(|word| digits(word, number)));
    }
    // Used on the telephone, because `zwei` sounds like `drei`.
    digits("zwo".into(), 2);
    for (ten, tens) in TENS
        .iter()
        .zip(2..)
        .flat_map(|(name, tens)| spellings(name).map(move |word| (word, 10 * tens)))
    {
        for (unit, number) in UNITS
            .iter()
            .chain(["ein"].iter())
            .zip((0..10).chain([1]))
            .skip(1)
        {
            spellings(unit).for_each(|unit| digits(format!("{unit}und{ten}"), tens + number));
        }
        digits(ten, tens);
    }
    for (word, numeral) in [
        ("doppel", Numeral::Times(2)),
        ("zweimal", Numeral::Times(2)),
        ("dreimal", Numeral::Times(3)),
        ("viermal", Numeral::Times(4)),
        ("strich", Numeral::Filler),
        ("bindestrich", Numeral::Filler),
        ("äh", Numeral::Filler),
        ("ähm", Numeral::Filler),
        ("und", Numeral::Filler),
        ("hundert", Numeral::Hundred),
    ] {
        words.insert(word.into(), numeral);
    }
    words
});

/// Returns a name with umlauts, and its spelling without them.
fn spellings(name: &str) -> impl Iterator<Item = String> {
    let plain = name.replace('ü', "ue").replace('ö', "oe");
    [name.to_owned()]
        .into_iter()
        .chain((plain != name).then_some(plain))
}

/// Returns the digits of a number below 100, without a leading zero.
fn digits_of(number: usize) -> Option<&'static str> {
    const PAIRS: &str = concat!(
        "00010203040506070809",
        "10111213141516171819",
        "20212223242526272829",
        "30313233343536373839",
        "40414243444546474849",
        "50515253545556575859",
        "60616263646566676869",
        "70717273747576777879",
        "80818283848586878889",
        "90919293949596979899",
    );
    let at = 2 * number;
    PAIRS.get(at + usize::from(number < 10)..at + 2)
}

const UNITS: [&str; 10] = [
    "null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun",
];
const TEENS: [&str; 10] = [
    "zehn",
    "elf",
    "zwölf",
    "dreizehn",
    "vierzehn",
    "fünfzehn",
    "sechzehn",
    "siebzehn",
    "achtzehn",
    "neunzehn",
];
const TENS: [&str; 8] = [
    "zwanzig", "dreissig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn german_words_are_read_with_umlauts_and_without() {
        for (word, digits) in [
            ("null", "0"),
            ("zwo", "2"),
            ("fünf", "5"),
            ("fuenf", "5"),
            ("zwoelf", "12"),
            ("siebzehn", "17"),
            ("vierzig", "40"),
            ("einundvierzig", "41"),
            ("fünfunddreissig", "35"),
            ("fuenfundfuenfzig", "55"),
            ("siebenundzwanzig", "27"),
        ] {
            assert_eq!(read(word).map(Numeral::digits), Some(digits), "{word}");
        }
        for word in [
            "ein",
            "vierzehnte",
            "undvierzig",
            "nullundvierzig",
            "vierundvierundvierzig",
            "ganz",
        ] {
            assert_eq!(read(word), None, "{word}");
        }
    }
}
