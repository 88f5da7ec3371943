//! No field of a create is left out of the properties.

use std::cell::Cell;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::value::Error;
use serde::de::{Deserializer, Error as _, Visitor};

use super::values::{Field, config_fields, host_fields};
use super::{Config, HostConfig};

/// Notes the names of the fields that a struct reads, and gives it none.
struct Names<'a>(&'a Cell<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("a struct is asked for"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.0.set(fields);
        Err(Error::custom("nothing is here"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn names_of<T: for<'de> Deserialize<'de>>() -> BTreeSet<&'static str> {
    let names = Cell::new(&[][..]);
    assert!(T::deserialize(Names(&names)).is_err(), "it has no fields");
    names.get().iter().copied().collect()
}

fn drawn(fields: Vec<Field>) -> BTreeSet<&'static str> {
    fields.into_iter().map(|(name, ..)| name).collect()
}

#[test]
fn every_field_is_drawn() {
    assert_eq!(drawn(config_fields()), names_of::<Config>());
    assert_eq!(drawn(host_fields()), names_of::<HostConfig>());
}
