//! Where servers after Redis 7.0, which the model is a model of, answer the same command otherwise: corners that a client of theirs must not
//! lean on, and that random traces leave out when they run there. Everything else is compared.

use super::wire::{Frame, Words};

/// Whether Redis 8.2 and Valkey 9.1 answer as 7.0 does.
pub(crate) fn is_as_before(words: &Words, in_transaction: bool) -> bool {
    let name = words[0].to_ascii_lowercase();
    let word = |at: usize| words.get(at).map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    let has = |value: &[u8]| words.iter().any(|word| word.eq_ignore_ascii_case(value));
    match name.as_slice() {
        // A refusal behind other commands of a pipeline has no reply at all since 7.2.
        b"auth" => false,
        // The text is another, and the transaction is broken.
        b"multi" | b"watch" => !in_transaction,
        // Otherwise nobody knows whether the transaction still stands.
        b"exec" | b"discard" => words.len() == 1,
        // The time is read before the key is looked up.
        b"getex" => words.len() <= 2,
        // An unknown type is an error.
        b"scan" => !has(b"type"),
        // An incomplete pair is found before the number is looked at.
        b"client" if word(1) == b"kill" => false,
        // Numbers at the ends of the range are refused here and taken there.
        b"lrem" | b"lset" => !has(i64::MIN.to_string().as_bytes()) && !has(i64::MAX.to_string().as_bytes()),
        // Timeouts have a range, and the database's number is looked at before the mode of the server.
        b"wait" | b"select" => words[1..].iter().all(|word| word == b"0"),
        // There is an option by now.
        b"zrank" | b"zrevrank" => words.len() <= 3,
        // What follows is not looked at.
        b"cluster" if word(1) == b"setslot" => words.len() <= 4 || word(3) != b"stable",
        // Numbers of sorted sets may not be hexadecimal any more, and are read earlier.
        [b'z', ..] => !words
            .iter()
            .any(|word| word.starts_with(b"0x") || word.starts_with(b"(0x") || word.starts_with(b" ")),
        _ => true,
    }
}

/// Numbers have the fewest digits that tell them apart, where 7.0 gives seventeen.
pub(crate) fn same_numbers(real: &Frame, model: &Frame) -> bool {
    if real.elements.len() != model.elements.len() {
        return false;
    }
    let number = |frame: &Frame| -> Option<f64> {
        let text = if frame.header.starts_with(b",") {
            frame.header.get(1..)
        } else {
            Some(frame.payload.as_slice())
        };
        std::str::from_utf8(text?).ok()?.trim_end().parse().ok()
    };
    let alike = match (number(real), number(model)) {
        (Some(real), Some(model)) => real == model,
        _ => real.header == model.header && real.payload == model.payload,
    };
    alike && real.elements.iter().zip(&model.elements).all(|(real, model)| same_numbers(real, model))
}
