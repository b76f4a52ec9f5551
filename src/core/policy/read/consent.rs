//! Parsing of the consent rules: questions in calls, and the meaning of messages.

use super::{
    Reader,
    walk::{At, Section},
};
use crate::{
    model::{
        consent::{Answer, OptOut, RECORDING},
        media::MediaKind,
        name::Purpose,
    },
    policy::{
        answer::plain,
        document::{
            Basis, Collection, ConsentRules, Controller, Cue, MessageRule, MessagesFirst,
            NoticeSender, Processor, PurposeRule, Spoken, VoiceConsent, quote,
        },
    },
};

/// The maximum length of a spoken text at Twilio, in characters.
const MAX_SPOKEN: usize = 4096;
/// The maximum length of one message, in characters.
const MAX_REPLY: usize = 1600;
/// The maximum length of a listed utterance or message, in characters.
const MAX_WORDS: usize = 100;
/// The maximum number of utterances per answer, so that speech recognition takes them all as hints.
const MAX_UTTERANCES: usize = 100;
/// Named in every disclosure, whether the file lists it or not: it carries every call in which the
/// question is asked.
const TWILIO: &str = "Twilio";

/// Declarations of the rest of the file, for references. `None` if they have a fault.
pub(super) struct Declared<'a> {
    pub(super) processors: Option<&'a [Processor]>,
    pub(super) purposes: Option<&'a [PurposeRule]>,
    pub(super) controller: Option<&'a Controller>,
    /// The inner value is `None` for a file that has none.
    pub(super) collection: Option<Option<&'a Collection>>,
}

impl Reader<'_> {
    pub(super) fn consent(
        &mut self,
        mut section: Section<'_, '_>,
        declared: &Declared<'_>,
    ) -> Option<ConsentRules> {
        let voice = section.given("voice", |section| {
            let section = section.section("voice", self.faults)?;
            self.voice_consent(section, declared)
        });
        let mut taken = Taken::default();
        let messages = self.each(&mut section, "messages", |reader, section| {
            reader.message_rule(section, declared, &mut taken)
        });
        let messages_first = section.given("messages_first", |section| {
            let section = section.section("messages_first", self.faults)?;
            self.messages_first(section, declared)
        });
        section.finish(self.faults);
        Some(ConsentRules {
            voice: voice?,
            messages: messages?,
            messages_first: messages_first?,
        })
    }

    /// Parses the notice at the beginning of a thread. Without consent as the basis nothing would wait
    /// for an answer.
    fn messages_first(
        &mut self,
        mut section: Section<'_, '_>,
        declared: &Declared<'_>,
    ) -> Option<MessagesFirst> {
        let line = section.line;
        let text = section.text("text", self.faults).and_then(|text| {
            let said = self.bounded(&text, "text", MAX_REPLY)?;
            let controller = declared
                .controller
                .map(|controller| controller.name.as_str());
            self.naming(&text, said, declared, controller)
        });
        let sent_by = section.given("sent_by", |section| {
            section.parsed::<NoticeSender>("sent_by", self.faults)
        });
        section.finish(self.faults);
        let before = self.faults.count();
        if let Some(collection) = declared.collection {
            let keeps = |collection: &Collection| collection.kinds.contains(&MediaKind::Message);
            let waits = |collection: &Collection| {
                collection.basis == Some(Basis::Consent) && collection.quarantine.is_some()
            };
            if !collection.is_some_and(keeps) {
                self.faults.add(
                    line,
                    "`[messages_first]` needs `\"message\"` among the `kinds` of `[collection]`: no message is kept",
                );
            }
            if !collection.is_some_and(waits) {
                self.faults.add(
                    line,
                    "`[messages_first]` needs `basis = \"consent\"` and a `quarantine` in `[collection]`: otherwise no message waits for an answer",
                );
            }
        }
        (self.faults.count() == before).then_some(())?;
        Some(MessagesFirst {
            text: text?,
            sent_by: sent_by?.map_or(NoticeSender::Vault, |sent_by| sent_by.value),
        })
    }

    fn voice_consent(
        &mut self,
        mut section: Section<'_, '_>,
        declared: &Declared<'_>,
    ) -> Option<VoiceConsent> {
        let line = section.line;
        let purposes = self.consented(&mut section, declared);
        let attempts = section.given("attempts", |section| self.whole(section, "attempts", 1..=5));
        let patience_s = section.given("patience_s", |section| {
            self.whole(section, "patience_s", 1..=60)
        });
        let min_confidence = section.given("min_confidence_percent", |section| {
            self.whole(section, "min_confidence_percent", 0..=100)
        });
        let mut known = Vec::new();
        let languages = self.each(&mut section, "languages", |reader, section| {
            reader.spoken(section, declared, &mut known)
        });
        section.finish(self.faults);
        let purposes = purposes?;
        let languages = languages?;
        if !purposes.iter().any(|purpose| purpose.as_str() == RECORDING) {
            self.faults.add(
                line,
                format!(
                    "`purposes` in `[voice]` must hold `{RECORDING}`: a yes begins the recording"
                ),
            );
            return None;
        }
        if languages.is_empty() {
            self.faults.add(
                line,
                "`[voice]` needs at least one `[[consent.voice.languages]]`",
            );
            return None;
        }
        let small = |number: Option<i64>, default: u8| {
            number
                .and_then(|number| u8::try_from(number).ok())
                .unwrap_or(default)
        };
        Some(VoiceConsent {
            purposes,
            attempts: small(attempts?, 2),
            patience_s: small(patience_s?, 5),
            min_confidence_percent: small(min_confidence?, 50),
            languages,
        })
    }

    fn spoken(
        &mut self,
        mut section: Section<'_, '_>,
        declared: &Declared<'_>,
        known: &mut Vec<String>,
    ) -> Option<Spoken> {
        let line = section.line;
        let language = section
            .text("language", self.faults)
            .and_then(|text| self.language(&text, known));
        let voice = section.given("voice", |section| section.text("voice", self.faults));
        let text = section
            .text("text", self.faults)
            .and_then(|text| self.disclosing(&text, declared));
        let mut said = |key| {
            let text = section.text(key, self.faults)?;
            self.bounded(&text, key, MAX_SPOKEN)
        };
        let agreed = said("agreed");
        let declined = said("declined");
        let mut cue = |key| {
            let section = section.section(key, self.faults)?;
            self.cue(section)
        };
        let yes = cue("yes");
        let no = cue("no");
        section.finish(self.faults);
        let yes = yes?;
        let no = no?;
        let both = yes.words.iter().find(|word| no.words.contains(word));
        if yes.digit == no.digit {
            self.faults.add(
                line,
                format!(
                    "`yes` and `no` in `[[languages]]` are the same key `{}`",
                    yes.digit
                ),
            );
        } else if let Some(both) = both {
            self.faults.add(
                line,
                format!(
                    "`{}` in `[[languages]]` means both `yes` and `no`",
                    quote(both)
                ),
            );
        } else if yes.words.is_empty() != no.words.is_empty() {
            self.faults.add(
                line,
                "`yes` and `no` in `[[languages]]` need `words` both, or neither: a \
                            caller who can agree in words must be able to refuse in words",
            );
        } else {
            return Some(Spoken {
                language: language?,
                voice: voice?.map(|text| text.value.to_owned()),
                text: text?,
                agreed: agreed?,
                declined: declined?,
                yes,
                no,
            });
        }
        None
    }

    /// Parses a language tag (BCP 47) in its plain form: a primary language and subtags, at most 35
    /// characters.
    fn language(&mut self, text: &At<&str>, known: &mut Vec<String>) -> Option<String> {
        let mut parts = text.value.split('-');
        let primary = parts.next().is_some_and(|part| {
            matches!(part.len(), 2..=3) && part.bytes().all(|b| b.is_ascii_alphabetic())
        });
        let fits = primary
            && text.value.len() <= 35
            && parts.all(|part| {
                matches!(part.len(), 1..=8) && part.bytes().all(|b| b.is_ascii_alphanumeric())
            });
        if !fits {
            let quoted = quote(text.value);
            self.faults.add(text.line, format!("`language`: `{quoted}` must be a language tag (BCP 47), like `en-US` or `de-DE`"));
            return None;
        }
        if known
            .iter()
            .any(|other| other.eq_ignore_ascii_case(text.value))
        {
            self.faults.add(
                text.line,
                format!("`language`: `{}` is declared twice", text.value),
            );
            return None;
        }
        known.push(text.value.to_owned());
        Some(text.value.to_owned())
    }

    /// Checks a disclosure: it must name every processor of the recordings.
    fn disclosing(&mut self, text: &At<&str>, declared: &Declared<'_>) -> Option<String> {
        let said = self.bounded(text, "text", MAX_SPOKEN)?;
        self.naming(text, said, declared, None)
    }

    /// Checks that a text names every processor, and the controller if one is given.
    fn naming(
        &mut self,
        text: &At<&str>,
        said: String,
        declared: &Declared<'_>,
        too: Option<&str>,
    ) -> Option<String> {
        let lower = said.to_lowercase();
        let names = declared
            .processors
            .into_iter()
            .flatten()
            .map(|processor| processor.name.as_str());
        let mut missing: Vec<&str> = names
            .chain([TWILIO])
            .chain(too)
            .filter(|name| !lower.contains(&name.to_lowercase()))
            .collect();
        missing.dedup();
        if missing.is_empty() {
            return Some(said);
        }
        let names: Vec<&str> = missing.into_iter().map(quote).collect();
        self.faults.add(
            text.line,
            format!(
                "`text` must name {}every processor; it does not name `{}`",
                too.map_or("", |_| "the controller and "),
                names.join("`, `")
            ),
        );
        None
    }

    fn bounded(&mut self, text: &At<&str>, key: &str, most: usize) -> Option<String> {
        if text.value.chars().nth(most).is_some() {
            self.faults
                .add(text.line, format!("`{key}` has at most {most} characters"));
            return None;
        }
        Some(text.value.to_owned())
    }

    fn cue(&mut self, mut section: Section<'_, '_>) -> Option<Cue> {
        let digit = section.text("digit", self.faults).and_then(|text| {
            let mut digits = text.value.chars();
            match (digits.next(), digits.next()) {
                (Some(digit @ '0'..='9'), None) => Some(digit),
                _ => {
                    let quoted = quote(text.value);
                    self.faults.add(
                        text.line,
                        format!("`digit`: `{quoted}` must be one key, `0` to `9`"),
                    );
                    None
                }
            }
        });
        let words = section.given("words", |section| self.utterances(section));
        section.finish(self.faults);
        Some(Cue {
            digit: digit?,
            words: words?.unwrap_or_default(),
        })
    }

    /// Parses whole utterances or messages, in their normalised form.
    fn utterances(&mut self, section: &mut Section<'_, '_>) -> Option<Vec<String>> {
        let list = section.list::<String>("words", self.faults)?;
        let words: Vec<String> = list.value.iter().map(|word| plain(&word.value)).collect();
        let fits = !words.is_empty()
            && words.len() <= MAX_UTTERANCES
            && words
                .iter()
                .all(|word| !word.is_empty() && word.chars().nth(MAX_WORDS).is_none());
        if !fits {
            self.faults.add(
                list.line,
                format!(
                    "`words` must hold 1 to {MAX_UTTERANCES} utterances of at most {MAX_WORDS} characters, each with more than punctuation"
                ),
            );
        }
        fits.then_some(words)
    }

    /// Parses purposes that can be based on consent.
    fn consented(
        &mut self,
        section: &mut Section<'_, '_>,
        declared: &Declared<'_>,
    ) -> Option<Vec<Purpose>> {
        let list = section.list::<Purpose>("purposes", self.faults)?;
        let mut purposes = Vec::new();
        for purpose in list.value {
            let rule = declared
                .purposes
                .into_iter()
                .flatten()
                .find(|rule| rule.name == purpose.value);
            let why = match rule {
                // A fault of the declarations is reported there.
                _ if purpose.value.as_str() == RECORDING || declared.purposes.is_none() => None,
                Some(rule) if rule.basis == Some(Basis::Consent) => None,
                Some(_) => Some("which does not rest on consent"),
                None => Some("which no `[[purposes]]` declares"),
            };
            match why {
                Some(why) => self.faults.add(
                    purpose.line,
                    format!("`purposes` names `{}`, {why}", purpose.value),
                ),
                None if purposes.contains(&purpose.value) => {
                    self.faults.add(
                        purpose.line,
                        format!("`purposes` names `{}` twice", purpose.value),
                    );
                }
                None => purposes.push(purpose.value),
            }
        }
        Some(purposes)
    }

    fn message_rule(
        &mut self,
        mut section: Section<'_, '_>,
        declared: &Declared<'_>,
        taken: &mut Taken,
    ) -> Option<MessageRule> {
        let line = section.line;
        let words = section.given("words", |section| self.utterances(section));
        let opt_out = section.given("opt_out", |section| {
            section.parsed::<OptOut>("opt_out", self.faults)
        });
        let answer = section.given("answer", |section| {
            section.parsed::<Answer>("answer", self.faults)
        });
        let purposes = section.given("purposes", |section| self.consented(section, declared));
        let reply = section.given("reply", |section| {
            let text = section.text("reply", self.faults)?;
            self.bounded(&text, "reply", MAX_REPLY)
        });
        section.finish(self.faults);
        let rule = MessageRule {
            words: words?.unwrap_or_default(),
            opt_out: opt_out?.map(|opt_out| opt_out.value),
            answer: answer?.map(|answer| answer.value),
            purposes: purposes?.unwrap_or_default(),
            reply: reply?,
        };
        let before = self.faults.count();
        if rule.words.is_empty() && rule.opt_out.is_none() {
            self.faults.add(
                line,
                "this `[[messages]]` matches no message: give it `words` or `opt_out`",
            );
        }
        match rule.answer {
            Some(Answer::Informed) => self.faults.add(
                line,
                "`answer` in `[[messages]]`: `informed` is what the person was told, not what they say",
            ),
            None if rule.reply.is_none() => self.faults.add(
                line,
                "this `[[messages]]` has no effect: give it an `answer` or a `reply`",
            ),
            None if !rule.purposes.is_empty() => self
                .faults
                .add(line, "`purposes` in `[[messages]]` requires an `answer`"),
            // A yes needs a purpose, which must not depend on a later version of the file.
            Some(Answer::Given) if rule.purposes.is_empty() => {
                self.faults.add(
                    line,
                    "`purposes` is missing in `[[messages]]`: name the purposes of this yes",
                );
            }
            _ => {}
        }
        for word in &rule.words {
            if taken.words.contains(word) {
                self.faults
                    .add(line, format!("`{}` is in two `[[messages]]`", quote(word)));
            }
        }
        taken.words.extend(rule.words.iter().cloned());
        if let Some(opt_out) = rule.opt_out {
            if taken.opt_outs.contains(&opt_out) {
                self.faults.add(
                    line,
                    format!("`opt_out = \"{opt_out}\"` is in two `[[messages]]`"),
                );
            }
            taken.opt_outs.push(opt_out);
        }
        (self.faults.count() == before).then_some(rule)
    }
}

/// The texts that earlier rules cover.
#[derive(Default)]
pub(super) struct Taken {
    words: Vec<String>,
    opt_outs: Vec<OptOut>,
}
