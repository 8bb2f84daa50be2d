//! When two replies count as equal: byte for byte, but where the server promises no order or the clock shows.

use super::newer::same_numbers;
use super::wire::{Frame, Words};

/// Milliseconds by which the two clocks may differ.
const CLOCK_TOLERANCE_MS: i64 = 30_000;

enum Rule {
    Exact,
    /// Elements come in any order.
    Unordered,
    /// Pairs come in any order.
    UnorderedPairs,
    /// The second element comes in any order, the first is a cursor that means nothing.
    Scan,
    /// Milliseconds on a clock.
    Near,
    /// Seconds on a clock.
    NearSeconds,
    /// The connection's id is the server's affair, and so is what it calls itself.
    Hello,
}

fn rule(words: &Words) -> Rule {
    match words[0].to_ascii_lowercase().as_slice() {
        b"smembers" | b"hkeys" | b"hvals" | b"keys" | b"spop" => Rule::Unordered,
        b"cluster" if words.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"getkeysinslot")) => {
            Rule::Unordered
        }
        b"hgetall" => Rule::UnorderedPairs,
        b"scan" => Rule::Scan,
        b"hello" => Rule::Hello,
        b"pttl" | b"pexpiretime" => Rule::Near,
        b"ttl" | b"expiretime" => Rule::NearSeconds,
        _ => Rule::Exact,
    }
}

/// As `same`, of a server that is newer than what the model models.
pub(crate) fn same_on_newer(words: &Words, real: &[u8], model: &[u8]) -> bool {
    let frames = || Frame::parse(real).zip(Frame::parse(model));
    let is_number = || frames().is_some_and(|((real, _), (model, _))| same_numbers(&real, &model));
    // Of two reasons not to run a transaction another one is named.
    let is_refusal =
        words[0].eq_ignore_ascii_case(b"exec") && real.starts_with(b"-") && model.starts_with(b"-");
    same(words, real, model) || is_number() || is_refusal
}

pub(crate) fn same(words: &Words, real: &[u8], model: &[u8]) -> bool {
    if real == model {
        return true;
    }
    let model_len = model.len();
    let (Some((mut real, _)), Some((mut model, length))) = (Frame::parse(real), Frame::parse(model)) else {
        return false;
    };
    if length != model_len {
        return false;
    }
    for frame in [&mut real, &mut model] {
        match rule(words) {
            Rule::Unordered => frame.sort_elements(),
            Rule::UnorderedPairs => frame.sort_pairs(),
            Rule::Scan if frame.elements.len() == 2 => {
                frame.elements[0].payload.clear();
                frame.elements[0].header.clear();
                frame.elements[1].sort_elements();
            }
            Rule::Hello => {
                let own: [&[u8]; 4] = [b"id", b"server", b"version", b"modules"];
                own.iter().for_each(|name| frame.forget_value_behind(name));
            }
            _ => {}
        }
    }
    let tolerance = match rule(words) {
        Rule::Near => CLOCK_TOLERANCE_MS,
        Rule::NearSeconds => CLOCK_TOLERANCE_MS / 1000,
        _ => 0,
    };
    match (real.integer(), model.integer()) {
        (Some(real), Some(model)) if real >= 0 && model >= 0 => real.abs_diff(model) <= tolerance as u64,
        _ => real == model,
    }
}

/// Bytes for people: escaped, and cut where they are long.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string();
    if text.len() > 400 { format!("{}… ({} bytes)", &text[..400], bytes.len()) } else { text }
}

pub(crate) fn shown_words(words: &Words) -> String {
    let shown = |word: &Vec<u8>| format!("{:.60}", word.escape_ascii().to_string());
    words.iter().map(shown).collect::<Vec<_>>().join(" ")
}
