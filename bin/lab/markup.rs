//! Text in documents: characters with a meaning in the document's format are escaped, so that they are plain text.
//! Control characters are for the caller to replace: what is right depends on who wrote the text.

/// For HTML and XML, in content and in attributes.
pub fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            character => escaped.push(character),
        }
    }
    escaped
}

/// For a line of Markdown.
pub fn markdown(text: &str) -> String {
    backslashed(text, "\\`*_{}[]<>|#&~!")
}

/// With a backslash before each of `special`.
pub fn backslashed(text: &str, special: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if special.contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// With spaces in place of control characters, line ends included.
pub fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}
