//! Chapter 3 of the tour: fields of any number of bits, packed as in the course's mixed-width message. See 3-calculator.md.
use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use signal_hook::consts::SIGPIPE;
use signal_hook::flag::register_conditional_default;

fn main() -> ExitCode {
    // As in C, the program ends when nobody reads its output (`| head -1`); Rust ignores SIGPIPE and panics instead.
    let _ = register_conditional_default(SIGPIPE, Arc::new(true.into()));
    let words: Vec<String> = env::args().skip(1).collect();
    let outcome = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["pack", _, ..] => pack_words(&words[1..]),
        ["unpack", octets, _, ..] => unpack_words(octets, &words[2..]),
        _ => Err("usage: fields pack VALUE:BITS...\n       fields unpack OCTETS BITS...".to_owned()),
    };
    match outcome {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{}{message}", if message.starts_with("usage") { "" } else { "fields: " });
            ExitCode::from(2)
        }
    }
}

/// The fields as octets, the first field first and its most significant bit first, without padding between them.
fn pack(fields: &[(u64, u32)]) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut used = 0_usize;
    for &(value, bits) in fields {
        for place in (0..bits).rev() {
            if used.is_multiple_of(8) {
                octets.push(0);
            }
            octets[used / 8] |= ((value >> place & 1) as u8) << (7 - used % 8);
            used += 1;
        }
    }
    octets
}

/// The values of fields with these numbers of bits. There must be an octet for every eight of them.
fn unpack(octets: &[u8], widths: &[u32]) -> Vec<u64> {
    let mut bits = octets.iter().flat_map(|octet| (0..8).rev().map(move |place| u64::from(octet >> place & 1)));
    widths.iter().map(|&width| bits.by_ref().take(width as usize).fold(0, |value, bit| value << 1 | bit)).collect()
}

fn pack_words(words: &[String]) -> Result<String, String> {
    let mut fields = Vec::new();
    for word in words {
        let (value, bits) = word.split_once(':').ok_or_else(|| format!("expected VALUE:BITS, found \"{word}\""))?;
        let value: u64 = value.parse().map_err(|_| format!("\"{value}\" is not a value from 0 to 2^64-1"))?;
        let bits = width(bits)?;
        if bits < 64 && value >> bits != 0 {
            return Err(format!("{value} needs more than {bits} bits"));
        }
        fields.push((value, bits));
    }
    whole_octets(fields.iter().map(|(_, bits)| bits).sum())?;
    let octets = pack(&fields);
    Ok(octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(" "))
}

fn unpack_words(hex: &str, words: &[String]) -> Result<String, String> {
    let widths = words.iter().map(|word| width(word)).collect::<Result<Vec<u32>, _>>()?;
    let digits: Vec<u32> =
        hex.chars().filter(|c| *c != ' ').map(|c| c.to_digit(16)).collect::<Option<_>>().unwrap_or_default();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return Err(format!("expected octets in hexadecimal, two digits each, found \"{hex}\""));
    }
    let octets: Vec<u8> = digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect();
    let bits: u32 = widths.iter().sum();
    whole_octets(bits)?;
    if octets.len() != bits as usize / 8 {
        return Err(format!("fields of {bits} bits need {} octets, found {}", bits / 8, octets.len()));
    }
    Ok(unpack(&octets, &widths).iter().map(u64::to_string).collect::<Vec<_>>().join(" "))
}

fn width(word: &str) -> Result<u32, String> {
    let bits = word.parse().ok().filter(|bits| (1..=64).contains(bits));
    bits.ok_or_else(|| format!("\"{word}\" is not a number of bits from 1 to 64"))
}

/// A message has whole octets, so unused bits must be named as a field too.
fn whole_octets(bits: u32) -> Result<(), String> {
    match bits % 8 {
        0 => Ok(()),
        over => Err(format!("the fields have {bits} bits; add one of {} bits to fill the last octet", 8 - over)),
    }
}
