//! JSON with exactly one interpretation.
//!
//! Owns the parsing of JSON from outside: a name occurs once in an object, and an array is not
//! accepted as an object, although `serde` would take its items for fields in order. Refuses to
//! know the content. INVARIANT: every other reader of the same bytes gets the same values.

use std::{collections::HashSet, fmt};

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer as _, MapAccess,
    SeqAccess, Visitor,
};

use super::text::may_be_repeated;

/// A parse error. Its text quotes no value, which may be a phone number.
#[derive(Debug)]
pub struct JsonFault {
    /// The path, as `parties[1].leg`; empty for the whole document.
    pub path: String,
    /// The error, with line and column.
    pub error: serde_json::Error,
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "{}", self.error)
        } else {
            write!(f, "`{}`: {}", self.path, self.error)
        }
    }
}

impl std::error::Error for JsonFault {}

/// Reads a JSON object, and nothing else.
///
/// # Errors
/// The fault: its syntax, a repeated name, an array in place of an object.
pub fn read<'de, T: serde::Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, JsonFault> {
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(JsonFault {
            path: String::new(),
            error: serde_json::Error::custom("expected a JSON object"),
        });
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(Strict(&mut json)).map_err(|fault| {
        let path = fault.path().to_string();
        JsonFault {
            path: if path == "." || path.split('.').any(|name| !may_be_repeated(name)) {
                String::new()
            } else {
                path
            },
            error: without_value(fault.into_inner()),
        }
    })?;
    json.end().map_err(|error| JsonFault {
        path: String::new(),
        error,
    })?;
    Ok(read)
}

/// Removes the found value from an error of `serde`, which quotes it before the expected one. An
/// unknown name is kept if it is harmless.
fn without_value(error: serde_json::Error) -> serde_json::Error {
    let text = error.to_string();
    let place = match error.line() {
        0 => String::new(),
        line => format!(" at line {line} column {}", error.column()),
    };
    let text = text.strip_suffix(&place).unwrap_or(&text);
    let name = text
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split_once('`'))
        .filter(|(name, _)| may_be_repeated(name));
    let quotes = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .chain(&["unknown field ", "unknown variant "])
        .any(|start| text.starts_with(start));
    if !quotes || name.is_some() {
        return error;
    }
    let expected = text.rsplit_once("expected ").map(|(_, expected)| expected);
    let expected = expected.unwrap_or("nothing of this name");
    serde_json::Error::custom(format!("expected {expected}{place}"))
}

/// Deserialises like the inner type, but strictly.
struct Strict<T>(T);

macro_rules! strictly {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method(Strict(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    strictly! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_unit deserialize_seq deserialize_map deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(name, Strict(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, Strict(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(len, Strict(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple_struct(name, len, Strict(visitor))
    }

    // As a map: for a struct, JSON would also accept an array.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Strict(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, Strict(visitor))
    }
}

macro_rules! forwarded {
    ($($method:ident($kind:ty))*) => {$(
        fn $method<E: serde::de::Error>(self, value: $kind) -> Result<V::Value, E> {
            self.0.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Strict<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    forwarded! {
        visit_bool(bool) visit_i64(i64) visit_i128(i128) visit_u64(u64) visit_u128(u128) visit_f64(f64) visit_char(char)
        visit_str(&str) visit_borrowed_str(&'de str) visit_string(String) visit_bytes(&[u8])
        visit_borrowed_bytes(&'de [u8]) visit_byte_buf(Vec<u8>)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Strict(value))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Strict(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Strict(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Members {
            members,
            seen: HashSet::new(),
        })
    }

    // Enums from outside are plain words.
    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(variant)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        self.0.next_element_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<T::Value, D::Error> {
        self.0.deserialize(Strict(value))
    }
}

/// The members of an object, with the names seen so far.
struct Members<A> {
    members: A,
    seen: HashSet<String>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let Some(name) = self.members.next_key::<String>()? else {
            return Ok(None);
        };
        let key = seed.deserialize(name.as_str().into_deserializer())?;
        if self.seen.insert(name) {
            Ok(Some(key))
        } else {
            // The name is not quoted: it may contain anything.
            Err(A::Error::custom("a name is there twice in one object"))
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.members.next_value_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.members.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        word: String,
        inner: Option<Inner>,
        #[serde(default)]
        many: Vec<Inner>,
        #[serde(default)]
        free: BTreeMap<String, Value>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Inner {
        number: u64,
    }

    fn outer(text: &str) -> Result<Outer, String> {
        read(text.as_bytes()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn what_means_one_thing_is_read() {
        let text = r#" {"word": "a\u00e9", "inner": {"number": 1}, "many": [{"number": 2}], "free": {"x": {"y": [1, null, 2.5]}, "y": true}} "#;
        let plain: Outer = serde_json::from_str(text).unwrap();
        assert_eq!(outer(text), Ok(plain));
        assert!(outer(r#"{"word": "a", "inner": null}"#).is_ok());
    }

    #[test]
    fn an_array_is_no_object_at_any_depth() {
        for text in [
            r#"["a", null]"#,
            r#"{"word": "a", "inner": [1]}"#,
            r#"{"word": "a", "many": [[1]]}"#,
        ] {
            assert!(serde_json::from_str::<Outer>(text).is_ok(), "{text}");
            assert!(outer(text).is_err(), "{text}");
        }
        for text in ["", " ", "1", "\"a\"", "null", "[]"] {
            assert!(read::<Value>(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_stands_once_at_any_depth() {
        for text in [
            r#"{"word": "a", "word": "a"}"#,
            r#"{"word": "a", "inner": {"number": 1, "number": 2}}"#,
            r#"{"word": "a", "free": {"x": 1, "x": 1}}"#,
            r#"{"word": "a", "free": {"x": {"y": 1, "\u0079": 1}}}"#,
            r#"{"word": "a", "free": {"x": [{"y": 1, "y": 1}]}}"#,
        ] {
            let told = outer(text).unwrap_err();
            assert!(
                told.contains("twice") || told.contains("duplicate"),
                "{told}"
            );
            assert!(read::<Value>(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_fault_names_its_place() {
        let told = outer(r#"{"word": "a", "many": [{"number": 1}, {"number": "x"}]}"#).unwrap_err();
        assert!(told.starts_with("`many[1].number`: "), "{told}");
        let told = outer(r#"{"word": "a", "other": 1}"#).unwrap_err();
        assert!(told.contains("unknown field `other`"), "{told}");
        assert!(outer(r#"{"word": "a"} {}"#).is_err(), "one object");
    }

    #[test]
    fn no_fault_repeats_a_value() {
        for text in [
            r#"{"word": 493012345678}"#,
            r#"{"word": -493012345678}"#,
            r#"{"word": 4930123456.78}"#,
            r#"{"word": "a", "inner": "+493012345678"}"#,
            r#"{"word": "a", "inner": "493012345678, expected 493012345678 at line 493012345678"}"#,
            r#"{"word": "a", "inner": {"number": "+493012345678"}}"#,
            r#"{"word": "a", "many": 493012345678}"#,
            r#"{"word": "a", "+493012345678": 1}"#,
            r#"{"word": "a", "sip:493012345678@example.org": 1}"#,
        ] {
            let told = outer(text).unwrap_err();
            assert!(!told.contains("493012345678"), "{told}");
            assert!(!told.contains("4930123456"), "{told}");
            assert!(told.contains("expected"), "{told}");
        }
    }
}
