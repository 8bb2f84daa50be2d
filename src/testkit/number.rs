//! Numbers as the server reads and prints them.
//!
//! Knows the server's text forms; refuses to know which command asks. Every rule is the one of Redis 7.0
//! (`util.c`, `object.c`), newer servers print scores in their shortest form instead.

use super::reply::{CommandError, NOT_A_FLOAT, NOT_AN_INTEGER};
use super::request::integer;

/// An integer argument or stored value.
pub(crate) fn parse_integer(text: &[u8]) -> Result<i64, CommandError> {
    integer(text).ok_or(NOT_AN_INTEGER)
}

/// A score or an increment. What C's `strtod` takes, except leading space and NaN.
pub(crate) fn parse_double(text: &[u8]) -> Result<f64, CommandError> {
    double(text).ok_or(NOT_A_FLOAT)
}

/// A floating point number, where the text is one.
pub(crate) fn double(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let (negative, magnitude) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if magnitude.starts_with(['+', '-']) {
        return None;
    }
    let hex = magnitude.strip_prefix("0x").or_else(|| magnitude.strip_prefix("0X"));
    let value = match hex {
        Some(digits) => hex_double(digits)?,
        None => magnitude.parse::<f64>().ok().filter(|value| !value.is_nan())?,
    };
    // Rust reads too large a number as infinity; the server reports a range error.
    if value.is_infinite() && magnitude.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(if negative { -value } else { value })
}

fn hex_double(digits: &str) -> Option<f64> {
    if digits.is_empty() || digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, 16).ok().map(|value| value as f64)
}

/// A score as Redis 7.0 prints it: C's `%.17g`.
pub(crate) fn double_text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0".into() } else { "0".into() };
    }
    let scientific = format!("{value:.16e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let digits = digits.trim_end_matches('0');
    if !(-4..17).contains(&exponent) {
        let (head, tail) = digits.split_at(1);
        let point = if tail.is_empty() { "" } else { "." };
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{head}{point}{tail}e{exponent_sign}{:02}", exponent.abs());
    }
    if exponent < 0 {
        let zeros = "0".repeat((-exponent - 1) as usize);
        return format!("{sign}0.{zeros}{digits}");
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        format!("{sign}{digits}{}", "0".repeat(whole - digits.len()))
    } else {
        format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_print_with_seventeen_significant_digits() {
        let cases = [
            (1.0, "1"),
            (0.1, "0.10000000000000001"),
            (-2.5, "-2.5"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1.5e300, "1.5000000000000001e+300"),
            (1e-5, "1.0000000000000001e-05"),
            (0.0001, "0.0001"),
            (f64::NEG_INFINITY, "-inf"),
            (-0.0, "-0"),
        ];
        for (value, text) in cases {
            assert_eq!(double_text(value), text);
        }
    }

    #[test]
    fn doubles_are_read_like_the_server_reads_them() {
        assert_eq!(double(b"+1.5e3"), Some(1500.0));
        assert_eq!(double(b"-inf"), Some(f64::NEG_INFINITY));
        assert_eq!(double(b"0x1F"), Some(31.0));
        for text in ["", " 1", "1 ", "nan", "--1", "1e999", "0x", "1.2.3", "a"] {
            assert_eq!(double(text.as_bytes()), None, "{text:?}");
        }
    }
}
