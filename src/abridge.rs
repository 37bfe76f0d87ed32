//! Long texts in messages and drawings: their beginning, and a sign that there is more.
//!
//! Main function: [`abridged`]. May call no other room.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

/// The text in at most `most` characters; a longer one ends with `…`.
pub fn abridged(text: &str, most: usize) -> String {
    ending_with(text, most, "…")
}

/// The text in at most `most` characters, 24 or more; a longer one ends with a note of its length.
///
/// ```
/// use calc6::view::abridged_with_length;
/// assert_eq!(abridged_with_length("1024", 24), "1024");
/// assert_eq!(abridged_with_length(&"7".repeat(300), 24), "777777… (300 characters)");
/// ```
pub fn abridged_with_length(text: &str, most: usize) -> String {
    let count = text.chars().count();
    ending_with(text, most, &format!("… ({count} characters)"))
}

fn ending_with(text: &str, most: usize, end: &str) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept = most.saturating_sub(end.chars().count());
    text.chars().take(kept).chain(end.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_fits_stays_as_it_is() {
        for text in ["", "x", "äöü"] {
            assert_eq!(abridged(text, 3), text);
        }
        assert_eq!(abridged("äöü!", 3), "äö…");
        assert_eq!(abridged_with_length(&"é".repeat(25), 24), "ééééééé… (25 characters)");
    }
}
