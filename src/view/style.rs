//! Optional colours: ECMA-48's Select Graphic Rendition, which every terminal emulator implements.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

/// Whether drawings carry escape sequences. The caller checks for a terminal and for `NO_COLOR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Style {
    /// Text alone.
    #[default]
    Plain,
    /// With colours and weights.
    Colour,
}

/// The meaning of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// A heading.
    Heading,
    /// The name of a field.
    Label,
    /// The value of a field.
    Value,
    /// Offsets, clauses and lines.
    Frame,
    /// An error.
    Wrong,
    /// A remark.
    Remark,
    /// A success.
    Right,
}

impl Style {
    /// The style for a stream: colours if it is a terminal, unless the environment's `NO_COLOR` is set and not empty
    /// (no-color.org) or its `TERM` is `dumb`.
    ///
    /// A variable is a `str` or, with the standard library, an `OsStr`.
    pub fn choose<T: PartialEq<str> + ?Sized>(is_terminal: bool, no_color: Option<&T>, term: Option<&T>) -> Style {
        let disabled = no_color.is_some_and(|value| *value != *"") || term.is_some_and(|term| *term == *"dumb");
        if is_terminal && !disabled { Style::Colour } else { Style::Plain }
    }

    /// The text in the colours of its role; in the plain style, the text.
    pub fn paint(self, role: Role, text: &str) -> String {
        match self {
            Style::Plain => text.to_owned(),
            Style::Colour if text.is_empty() => String::new(),
            Style::Colour => format!("\x1b[{}m{text}\x1b[0m", parameters(role)),
        }
    }
}

fn parameters(role: Role) -> &'static str {
    match role {
        Role::Heading => "1",
        Role::Label => "36",
        Role::Value => "1",
        Role::Frame => "2",
        Role::Wrong => "1;31",
        Role::Remark => "33",
        Role::Right => "32",
    }
}
