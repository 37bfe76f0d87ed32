//! What holds for any octets: for both the property test and the fuzz target.

use alloc::string::ToString;

use super::{Drawing, Style, View, diagram, dump};

/// As [`check`]; the first octet is the length of the request that the rest is a reply to.
pub fn check_input(input: &[u8]) {
    let Some((&len, rest)) = input.split_first() else { return };
    let (request, octets) = rest.split_at(usize::from(len).min(rest.len()));
    check(request, octets);
}

/// Checks the promises of this module for these octets, as a request and as a reply.
///
/// # Panics
/// If the octets break one.
pub fn check(request: &[u8], octets: &[u8]) {
    check_view(&View::request(octets));
    check_view(&View::reply(octets, None));
    check_view(&View::reply(octets, Some(request)));
}

fn check_view(view: &View<'_>) {
    let bits = view.octets().len() * 8;
    let mut at = 0;
    for field in view.fields() {
        assert_eq!(field.bits.start, at, "{view:?}");
        assert!(!field.bits.is_empty());
        assert!(!field.is_part_of_an_octet() || field.octets().len() == 1, "{field:?}");
        assert!(field.value.is_ascii() && !field.value.contains(|c: char| c.is_ascii_control()), "{field:?}");
        at = field.bits.end;
    }
    assert_eq!(at, bits, "{view:?}");
    for fault in view.faults() {
        assert!(fault.bits.as_ref().is_none_or(|range| !range.is_empty() && range.end <= bits), "{fault:?}");
    }
    for drawing in [Drawing::default(), Drawing { style: Style::Colour, whole: true }] {
        let (dump, diagram) = (dump(view, &drawing), diagram(view, &drawing));
        if drawing == Drawing::default() {
            assert!(dump.lines().count() < 60 && diagram.lines().count() < 40, "{dump}{diagram}");
            assert!(diagram.lines().all(|line| line.chars().count() <= 70), "{diagram}");
            assert!(dump.lines().all(|line| line.chars().count() <= 240), "{dump}");
            for text in [dump, diagram, view.to_string()] {
                assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    /// The seed corpus of the fuzz target `view`, and the inputs that fuzzing has found.
    #[test]
    fn the_fuzz_corpus_holds() {
        let fuzz = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        if !fuzz.exists() {
            return; // a published package does not contain it
        }
        let entries = std::fs::read_dir(fuzz.join("corpus/view")).unwrap();
        let inputs = entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        assert!(inputs.inspect(|input| super::check_input(input)).count() > 5);
    }
}
