//! Reads wire structs out of JSON by the API's rules: keys in any case, `null` as the empty value,
//! unknown fields ignored, wrong types refused in clear words that name the field.

mod error;

use model::json_words;
use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

pub(crate) use self::error::JsonError;
use super::ApiError;
use super::filters::kind;
use super::json_size::count_values;

/// Most values of a body: each takes a few dozen bytes of memory, whatever it takes of the body.
const MAXIMUM_VALUES: usize = 1 << 18;

/// The first JSON object of a body; `null` is an empty one. Whether something may follow depends on the version.
pub(crate) fn object(body: &[u8]) -> Result<Value, JsonError> {
    if count_values(body) > MAXIMUM_VALUES {
        return Err(de::Error::custom(format!("it has more than {MAXIMUM_VALUES} values")));
    }
    match serde_json::Deserializer::from_slice(body).into_iter().next() {
        None => Err(de::Error::custom("it is empty, a JSON object is needed")),
        Some(Err(error)) => Err(not_json(&error)),
        Some(Ok(Value::Null)) => Ok(Value::Object(Map::new())),
        Some(Ok(value @ Value::Object(_))) => check_strings(&value).map(|()| value),
        Some(Ok(other)) => Err(JsonError::wrong_kind(&other, "a JSON object")),
    }
}

/// Whether something stands behind the first value of a body.
pub(crate) fn has_content_behind(body: &[u8]) -> bool {
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<serde::de::IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => body[values.byte_offset()..].iter().any(|byte| !byte.is_ascii_whitespace()),
        Some(Err(_)) | None => false,
    }
}

/// Reads a value out of a query's parameter.
///
/// # Errors
/// What is wrong with it, after the parameter's name.
pub(crate) fn from_parameter<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, ApiError> {
    let value = serde_json::from_str(text).map_err(|error| not_json(&error));
    let read = value.and_then(|value| check_strings(&value).and_then(|()| T::deserialize(Lenient(value))));
    read.map_err(|error: JsonError| {
        let JsonError { path, problem, .. } = error.within(name);
        ApiError::invalid(format!("{path}: {problem}"))
    })
}

fn not_json(error: &serde_json::Error) -> JsonError {
    de::Error::custom(format!("it is not valid JSON: {}", json_words(error)))
}

/// Refuses NUL bytes in keys and strings: nothing of the kernel can hold them.
fn check_strings(value: &Value) -> Result<(), JsonError> {
    let clean = |text: &str| match text.contains('\0') {
        true => Err(JsonError { holds_nul: true, ..de::Error::custom(format!("{text:?} holds a NUL byte")) }),
        false => Ok(()),
    };
    match value {
        Value::String(text) => clean(text),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            check_strings(item).map_err(|error| error.within(&format!("[{index}]")))
        }),
        Value::Object(fields) => fields.iter().try_for_each(|(key, item)| {
            clean(key)?;
            check_strings(item).map_err(|error: JsonError| error.within(key))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Reads a wire struct out of an object.
pub(crate) fn from_object<T: DeserializeOwned>(object: Value) -> Result<T, JsonError> {
    T::deserialize(Lenient(object))
}

/// Reads a wire struct out of a body.
pub(crate) fn from_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, JsonError> {
    from_object(object(body)?)
}

/// A JSON value that gives itself by these rules.
struct Lenient(Value);

impl<'de> IntoDeserializer<'de, JsonError> for Lenient {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

/// Gives a map's entries, and names the field in errors.
fn visit_map<'de, V: Visitor<'de>>(map: Map<String, Value>, visitor: V) -> Result<V::Value, JsonError> {
    visitor.visit_map(Entries { entries: map.into_iter(), current: None })
}

struct Entries {
    entries: serde_json::map::IntoIter,
    current: Option<(String, Value)>,
}

impl<'de> de::MapAccess<'de> for Entries {
    type Error = JsonError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, JsonError> {
        self.current = self.entries.next();
        let Some((key, _)) = &self.current else { return Ok(None) };
        let key: StrDeserializer<'_, JsonError> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, JsonError> {
        let (key, value) = self.current.take().unwrap_or_default();
        let what = kind(&value);
        seed.deserialize(Lenient(value)).map_err(|error| error.for_value(what).within(&key))
    }
}

fn visit_list<'de, V: Visitor<'de>>(list: Vec<Value>, visitor: V) -> Result<V::Value, JsonError> {
    visitor.visit_seq(Items { items: list.into_iter().enumerate() })
}

struct Items {
    items: std::iter::Enumerate<std::vec::IntoIter<Value>>,
}

impl<'de> de::SeqAccess<'de> for Items {
    type Error = JsonError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, JsonError> {
        let Some((index, value)) = self.items.next() else { return Ok(None) };
        seed.deserialize(Lenient(value)).map(Some).map_err(|error| error.within(&format!("[{index}]")))
    }
}

/// Writes each key as the struct spells it; of two spellings the exact one wins, else the last.
fn respell(map: Map<String, Value>, fields: &[&str]) -> Map<String, Value> {
    let mut respelled = Map::new();
    let (exact, other): (Vec<_>, Vec<_>) =
        map.into_iter().partition(|(key, _)| fields.contains(&key.as_str()));
    for (key, value) in other.into_iter().chain(exact) {
        let field = fields.iter().find(|field| field.eq_ignore_ascii_case(&key));
        respelled.insert(field.map_or(key, |field| (*field).to_owned()), value);
    }
    respelled
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
            match self.0 {
                Value::Null => visitor.visit_i64(0),
                Value::Number(ref number) => match (number.as_i64(), number.as_u64()) {
                    (Some(number), _) => visitor.visit_i64(number),
                    (None, Some(number)) => visitor.visit_u64(number),
                    (None, None) => Err(de::Error::custom(format!("must be a whole number that fits, not {number}"))),
                },
                ref other => Err(JsonError::wrong_kind(other, "a whole number")),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Lenient {
    type Error = JsonError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_i64(number),
                (None, Some(number), _) => visitor.visit_u64(number),
                (None, None, number) => visitor.visit_f64(number.unwrap_or_default()),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(list) => visit_list(list, visitor),
            Value::Object(map) => visit_map(map, visitor),
        }
    }

    integers! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
    deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Value::Null => visitor.visit_bool(false),
            Value::Bool(value) => visitor.visit_bool(value),
            ref other => Err(JsonError::wrong_kind(other, "a boolean")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Value::Null => visitor.visit_string(String::new()),
            Value::String(text) => visitor.visit_string(text),
            ref other => Err(JsonError::wrong_kind(other, "a string")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Value::Null => visitor.visit_seq(SeqDeserializer::new(std::iter::empty::<Self>())),
            Value::Array(list) => visit_list(list, visitor),
            ref other => Err(JsonError::wrong_kind(other, "an array")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, JsonError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Value::Null => visitor.visit_map(MapDeserializer::new(std::iter::empty::<(Self, Self)>())),
            Value::Object(map) => visit_map(map, visitor),
            ref other => Err(JsonError::wrong_kind(other, "an object")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        match self.0 {
            Value::Object(map) => visit_map(respell(map, fields), visitor),
            _ => self.deserialize_map(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(Word(text)),
            ref other => Err(JsonError::wrong_kind(other, "a string")),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple_struct identifier ignored_any
    }
}

/// A variant that is one word.
struct Word(String);

impl<'de> EnumAccess<'de> for Word {
    type Error = JsonError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), JsonError> {
        let word: StrDeserializer<'_, JsonError> = self.0.as_str().into_deserializer();
        let variant = seed.deserialize(word)?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Word {
    type Error = JsonError;

    fn unit_variant(self) -> Result<(), JsonError> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _: S) -> Result<S::Value, JsonError> {
        Err(de::Error::custom(format!("{:?} is not possible here", self.0)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, JsonError> {
        Err(de::Error::custom(format!("{:?} is not possible here", self.0)))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, JsonError> {
        Err(de::Error::custom(format!("{:?} is not possible here", self.0)))
    }
}

/// A field of an object, spelled in any case.
pub(crate) fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields
        .get(name)
        .or_else(|| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// Whether a value is `null`, or has nothing in it.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
