use alloc::format;

use super::*;
use proptest::prelude::*;

fn power_of_two(exponent: usize) -> Number {
    Number(IBig::ONE << exponent)
}

#[test]
fn least_octets() {
    for (text, octets) in [
        ("0", &[0][..]),
        ("-1", &[0xff]),
        ("127", &[0x7f]),
        ("128", &[0, 0x80]),
        ("-128", &[0x80]),
        ("-129", &[0xff, 0x7f]),
        ("255", &[0, 0xff]),
        ("-0x80_00", &[0x80, 0]),
    ] {
        let number: Number = text.parse().unwrap();
        let mut out = vec![0xa5; number.octet_len()];
        number.write_octets(&mut out).unwrap();
        assert_eq!(out, octets, "{text}");
        assert_eq!(Number::from_octets(octets), number);
    }
    for exponent in [7, 8, 63, 64, 127, 128, 129, 255, 256, 9855] {
        let number = power_of_two(exponent);
        assert_eq!(number.octet_len(), (exponent + 1) / 8 + 1, "2^{exponent}");
        assert_eq!(Number(-number.0).octet_len(), exponent / 8 + 1, "-2^{exponent}");
    }
}

#[test]
fn words_that_are_integers() {
    for (word, value) in [
        ("0", 0i128),
        ("-0", 0),
        ("+7", 7),
        ("007", 7),
        ("1_000_000", 1_000_000),
        ("0xFF", 255),
        ("-0b1010", -10),
        ("0o17", 15),
        ("999999999999999999", 999_999_999_999_999_999),
        ("-9223372036854775809", -9_223_372_036_854_775_809),
    ] {
        assert_eq!(word.parse(), Ok(Number::from(value)), "{word}");
    }
}

#[test]
fn words_that_are_not_integers() {
    use ParseError::*;
    for (word, error) in [
        ("", NoDigits),
        ("-", NoDigits),
        ("0x", NoDigits),
        ("12a", Digit { found: 'a', column: 3, base: 10 }),
        ("-0b12", Digit { found: '2', column: 5, base: 2 }),
        ("1é", Digit { found: 'é', column: 2, base: 10 }),
        ("--1", Digit { found: '-', column: 2, base: 10 }),
        ("1.5", Digit { found: '.', column: 2, base: 10 }),
        ("_1", Underscore { column: 1 }),
        ("1_", Underscore { column: 2 }),
        ("0x1__2", Underscore { column: 5 }),
    ] {
        assert_eq!(word.parse::<Number>(), Err(error), "{word}");
    }
}

#[test]
fn lengths_about_powers_of_ten() {
    for digits in (1..60).chain([300, 1219, 1220, 1221, 3684, 10_000]) {
        let nines: Number = "9".repeat(digits).parse().unwrap();
        let more = Number(&nines.0 + 1);
        assert_eq!((nines.decimal_len(), more.decimal_len()), (digits, digits + 1));
        assert_eq!(((-nines).decimal_len(), (-more).decimal_len()), (digits + 1, digits + 2));
    }
}

#[test]
fn bases_have_signs_and_prefixes() {
    let number = Number::from(-255);
    assert_eq!(format!("{number:x} {number:X} {number:o} {number:b}"), "-ff -FF -377 -11111111");
    assert_eq!(format!("{number:#x} {number:#X} {number:#o} {number:#b}"), "-0xff -0xFF -0o377 -0b11111111");
    let small = Number::from(10);
    assert_eq!(format!("{small:#06x}|{small:+x}|{small:>5x}|{small:<5X}|"), "0x000a|+a|    a|A    |");
    assert_eq!(format!("{:x} {:#b}", Number::ZERO, Number::ZERO), "0 0b0");
    let large = power_of_two(200);
    assert_eq!(format!("{large:#x}"), format!("0x1{}", "0".repeat(50)));
}

#[test]
fn floating_point_is_rounded_to_nearest() {
    for (number, nearest) in [
        (Number::ZERO, 0.0),
        (Number::from(-3), -3.0),
        (Number::from((1_u64 << 53) + 1), 9_007_199_254_740_992.0),
        (power_of_two(1000), 2f64.powi(1000)),
        (power_of_two(2000), f64::INFINITY),
        (-power_of_two(2000), f64::NEG_INFINITY),
    ] {
        assert_eq!(number.to_f64(), nearest);
    }
}

proptest! {
    #[test]
    fn integers_round_trip(value: i128, unsigned: u128, other: i128) {
        let number = Number::from(value);
        prop_assert_eq!(i128::try_from(&number), Ok(value));
        prop_assert_eq!(u128::try_from(Number::from(unsigned)), Ok(unsigned));
        prop_assert_eq!(i64::try_from(&number).ok(), i64::try_from(value).ok());
        prop_assert_eq!(u8::try_from(&Number::from(value % 300)).ok(), u8::try_from(value % 300).ok());
        prop_assert_eq!(number.partial_cmp(&other), value.partial_cmp(&other));
        let large = Number::from(unsigned);
        prop_assert!(number == value && large == unsigned);
        prop_assert_eq!(large > value, value < 0 || unsigned > value as u128);
        prop_assert_eq!(&String::from(&number), &value.to_string());
        prop_assert_eq!(Number::from(&number), number);
    }

    #[test]
    fn bases_are_those_of_the_magnitude(value: i128) {
        let number = Number::from(value);
        let sign = if value < 0 { "-" } else { "" };
        let magnitude = value.unsigned_abs();
        prop_assert_eq!(format!("{number:#x}"), format!("{sign}{magnitude:#x}"));
        prop_assert_eq!(format!("{number:X}"), format!("{sign}{magnitude:X}"));
        prop_assert_eq!(format!("{number:#o}"), format!("{sign}{magnitude:#o}"));
        prop_assert_eq!(format!("{number:#b}"), format!("{sign}{magnitude:#b}"));
        prop_assert_eq!(format!("{number:#x}").parse(), Ok(number));
    }

    #[test]
    fn octets_and_text_round_trip(octets in prop::collection::vec(any::<u8>(), 1..300)) {
        let number = Number::from_octets(&octets);
        let mut wide = vec![0xa5; octets.len()];
        number.write_octets(&mut wide).unwrap();
        prop_assert_eq!(&wide, &octets);
        prop_assert!(number.octet_len() <= octets.len());
        prop_assert_eq!(&number.to_octets_of_width(octets.len()), &Some(octets.clone()));
        let least = number.to_octets();
        prop_assert_eq!(least.len(), number.octet_len());
        prop_assert_eq!(Number::from_octets(&least), number.clone());
        prop_assert_eq!(number.to_octets_of_width(least.len() - 1), None);
        let mut short = vec![0xa5; number.octet_len() - 1];
        prop_assert!(number.write_octets(&mut short).is_none());

        let mut text = vec![0xa5; 800];
        let len = number.write_decimal(&mut text).unwrap();
        let text = str::from_utf8(&text[..len]).unwrap();
        prop_assert_eq!(text, &number.to_string());
        prop_assert_eq!(text.parse::<Number>(), Ok(number.clone()));
        let (least, most) = number.decimal_len_bounds();
        prop_assert!(least <= len && len <= most && most <= least + 1);
        prop_assert_eq!(number.decimal_len(), len);
        for room in 0..len {
            prop_assert_eq!(number.write_decimal(&mut vec![0; room]), Err(TextTooLong { octets: len }));
        }
    }
}
