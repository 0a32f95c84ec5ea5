//! Parsed commands: a name and a small tree of values, which a binding can hand on without knowing the command.

use crate::set::SequenceSet;

/// An argument.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NIL or absent.
    Nil,
    /// A yes or no.
    Bool(bool),
    /// A number; negative only for dates before 1970.
    Num(i64),
    /// Text.
    Str(String),
    /// Octets.
    Bytes(Vec<u8>),
    /// A sequence set.
    Set(SequenceSet),
    /// Any number of values of one kind.
    List(Vec<Value>),
    /// A fixed number of values.
    Tuple(Vec<Value>),
}

impl Value {
    pub(crate) fn str(text: impl Into<String>) -> Self {
        Self::Str(text.into())
    }
}

/// A complete command. What `args` holds for each name is documented where it is parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// As the client chose it.
    pub tag: String,
    /// Upper case; `UID FETCH` and the like are one name.
    pub name: String,
    /// Its arguments.
    pub args: Vec<Value>,
}
