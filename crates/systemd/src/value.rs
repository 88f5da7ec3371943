//! Values of D-Bus that systemd's manager is sent, and how the specification of D-Bus writes them ("Marshaling").

/// A value of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Switch(bool),
    Number(u64),
    /// Bits, the lowest in the first byte.
    Bits(Vec<u8>),
    Processes(Vec<u32>),
}

/// A property by its name.
pub(crate) type Property = (&'static str, Value);

impl Value {
    const fn signature(&self) -> &'static str {
        match self {
            Self::Text(_) => "s",
            Self::Switch(_) => "b",
            Self::Number(_) => "t",
            Self::Bits(_) => "ay",
            Self::Processes(_) => "au",
        }
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Text(text) => writer.text(text),
            Self::Switch(is_on) => writer.number(u32::from(*is_on)),
            Self::Number(number) => writer.long(*number),
            Self::Bits(bytes) => writer.array(1, |writer| writer.0.extend_from_slice(bytes)),
            Self::Processes(numbers) => {
                writer.array(4, |writer| numbers.iter().for_each(|number| writer.number(*number)));
            }
        }
    }
}

/// What follows the head of a message, with its types.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) signature: String,
    writer: Writer,
}

impl Body {
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.signature.push('s');
        self.writer.text(text);
        self
    }

    pub(crate) fn switch(mut self, is_on: bool) -> Self {
        self.signature.push('b');
        self.writer.number(u32::from(is_on));
        self
    }

    pub(crate) fn properties(mut self, properties: &[Property]) -> Self {
        self.signature.push_str("a(sv)");
        self.writer.array(8, |writer| {
            for (name, value) in properties {
                writer.align(8);
                writer.text(name);
                writer.signature(value.signature());
                value.write(writer);
            }
        });
        self
    }

    /// An array of units with properties that has none.
    pub(crate) fn no_units(mut self) -> Self {
        self.signature.push_str("a(sa(sv))");
        self.writer.array(8, |_| {});
        self
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.writer.0
    }
}

/// Bytes of a message or of its body, whose values lie where their types want it.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    pub(crate) fn number(&mut self, number: u32) {
        self.align(4);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn long(&mut self, number: u64) {
        self.align(8);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.number(length(text.as_bytes()));
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }

    /// A type, at most 255 bytes.
    pub(crate) fn signature(&mut self, signature: &str) {
        self.0.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.0.extend_from_slice(signature.as_bytes());
        self.0.push(0);
    }

    /// An array: its length in bytes, then its elements, the first one where their type wants it.
    pub(crate) fn array(&mut self, alignment: usize, fill: impl FnOnce(&mut Self)) {
        self.number(0);
        let end_of_length = self.0.len();
        self.align(alignment);
        let start = self.0.len();
        fill(self);
        let bytes = length(&self.0[start..]);
        self.0[end_of_length - 4..end_of_length].copy_from_slice(&bytes.to_le_bytes());
    }
}

/// A length; the peer refuses what is longer than [`super::message::LONGEST`], which is far below the limit of the type.
pub(crate) fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_where_their_types_want_it() {
        let properties = [("A", Value::Switch(true)), ("B", Value::Bits(vec![7])), ("C", Value::Number(1))];
        let body = Body::default().text("u").properties(&properties).no_units();
        assert_eq!(body.signature, "sa(sv)a(sa(sv))");
        let expected: &[&[u8]] = &[
            &[1, 0, 0, 0, b'u', 0, 0, 0],
            &[61, 0, 0, 0, 0, 0, 0, 0],
            &[1, 0, 0, 0, b'A', 0, 1, b'b', 0, 0, 0, 0, 1, 0, 0, 0],
            &[1, 0, 0, 0, b'B', 0, 2, b'a', b'y', 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0],
            &[1, 0, 0, 0, b'C', 0, 1, b't', 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 0, 0, 0, 0],
        ];
        let expected = expected.concat();
        assert_eq!(body.bytes()[..8], expected[..8]);
        assert_eq!(body.bytes()[16..], expected[16..]);
        assert_eq!(u32::from(body.bytes()[8]), 64, "the bytes of the properties");
    }
}
