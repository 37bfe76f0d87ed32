//! Colours, if wanted: ECMA-48's Select Graphic Rendition, as every terminal emulator understands it.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

/// Whether drawings carry escape sequences. Whether a terminal is there, and `NO_COLOR` is not, the caller finds out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Style {
    /// Text alone.
    #[default]
    Plain,
    /// With colours and weights.
    Colour,
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A heading.
    Heading,
    /// The name of a field.
    Label,
    /// What a field says.
    Value,
    /// What helps to find the way: offsets, clauses, lines.
    Frame,
    /// What is wrong.
    Wrong,
    /// What is worth knowing.
    Remark,
    /// What is as it should be.
    Right,
}

impl Style {
    /// The style for a stream: colours if it is a terminal, unless the environment's `NO_COLOR` is set and not empty
    /// (no-color.org) or its `TERM` is `dumb`.
    ///
    /// A variable is a `str` or, with the standard library, an `OsStr`.
    pub fn choose<T: PartialEq<str> + ?Sized>(is_terminal: bool, no_color: Option<&T>, term: Option<&T>) -> Style {
        let refused = no_color.is_some_and(|value| *value != *"") || term.is_some_and(|term| *term == *"dumb");
        if is_terminal && !refused { Style::Colour } else { Style::Plain }
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
