//! The 80-bit floating point numbers in which the server adds for INCRBYFLOAT.
//!
//! On x86 C's `long double` has a mantissa of 64 bits, and the server prints sums with 17 digits behind the point: with
//! 64-bit floats the last of them would differ. Knows parsing, adding and printing; refuses to know commands. Exact for
//! up to 36 significant digits and sums below 2^64; beyond that it falls back to 64-bit floats.

use super::number::double;
use super::reply::CommandError;

/// A number: `mantissa × 2^exponent`, the mantissa's top bit set unless it is zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Extended {
    Finite {
        is_negative: bool,
        mantissa: u64,
        exponent: i32,
    },
    /// Out of this module's reach, or infinite.
    Coarse(f64),
}

/// Digits behind the point that the server prints.
const FRACTION_DIGITS: usize = 17;
const FRACTION_SCALE: u128 = 10u128.pow(FRACTION_DIGITS as u32);
/// Most digits, and most digits behind the point, of a number that is read exactly.
const DIGITS_MAX: usize = 36;

impl Extended {
    pub(crate) const ZERO: Extended = Extended::Finite { is_negative: false, mantissa: 0, exponent: 0 };

    /// Reads a number as C's `strtold` does; none for text that is no number.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let coarse = double(text)?;
        Some(Self::parse_exactly(text).unwrap_or_else(|| Self::from_f64(coarse)))
    }

    fn from_f64(value: f64) -> Self {
        if !value.is_finite() {
            return Extended::Coarse(value);
        }
        let bits = value.abs().to_bits();
        let (power, fraction) = ((bits >> 52) as i32, u128::from(bits & ((1 << 52) - 1)));
        // A subnormal has the smallest power and no leading bit.
        let (fraction, power) = if power == 0 { (fraction, 1) } else { (fraction | 1 << 52, power) };
        Self::round(value.is_sign_negative(), fraction, power - 1075, false)
    }

    pub(crate) fn is_infinite(self) -> bool {
        matches!(self, Extended::Coarse(value) if value.is_infinite())
    }

    /// The text has already been found to be a number.
    fn parse_exactly(text: &[u8]) -> Option<Self> {
        let is_negative = text.first() == Some(&b'-');
        let text = std::str::from_utf8(text).ok()?.trim_start_matches(['+', '-']);
        let (digits, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let digits = [whole, fraction].concat();
        let digits = digits.trim_start_matches('0');
        if digits.len() > DIGITS_MAX || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mut value: u128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        let power = power.parse::<i32>().ok()?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        let scale =
            10u128.checked_pow(power.unsigned_abs()).filter(|_| power.unsigned_abs() <= DIGITS_MAX as u32)?;
        let divisor = if power >= 0 {
            value = value.checked_mul(scale)?;
            1
        } else {
            scale
        };
        let (mut bits, mut rest, mut exponent) = (value / divisor, value % divisor, 0);
        // Bits behind the point, one by one: enough to round the 64 that stay.
        while bits >> 66 == 0 && (bits, rest) != (0, 0) && exponent > -300 {
            rest *= 2;
            bits = bits * 2 + u128::from(rest >= divisor);
            rest %= divisor;
            exponent -= 1;
        }
        Some(Self::round(is_negative, bits, exponent, rest != 0))
    }

    /// The nearest number to `bits × 2^exponent`, plus a little if `has_more`; ties go to the even one.
    fn round(is_negative: bool, bits: u128, exponent: i32, has_more: bool) -> Self {
        if bits == 0 {
            return Extended::Finite { is_negative, mantissa: 0, exponent: 0 };
        }
        let length = 128 - bits.leading_zeros();
        if length <= 64 {
            let shift = 64 - length;
            let mantissa = (bits as u64) << shift;
            return Extended::Finite { is_negative, mantissa, exponent: exponent - shift as i32 };
        }
        let shift = length - 64;
        let (kept, half) = (bits >> shift, 1u128 << (shift - 1));
        let lost = bits & ((1u128 << shift) - 1);
        let up = lost > half || lost == half && (has_more || kept & 1 == 1);
        let (kept, exponent) = (kept + u128::from(up), exponent + shift as i32);
        match u64::try_from(kept) {
            Ok(mantissa) => Extended::Finite { is_negative, mantissa, exponent },
            Err(_) => Extended::Finite { is_negative, mantissa: 1 << 63, exponent: exponent + 1 },
        }
    }

    fn to_f64(self) -> f64 {
        match self {
            Extended::Coarse(value) => value,
            Extended::Finite { is_negative, mantissa, exponent } => {
                let magnitude = mantissa as f64 * f64::from(exponent).exp2();
                if is_negative { -magnitude } else { magnitude }
            }
        }
    }

    fn add(self, other: Self) -> Self {
        let coarse = Extended::Coarse(self.to_f64() + other.to_f64());
        let (
            Extended::Finite { is_negative: a_negative, mantissa: a, exponent: a_exponent },
            Extended::Finite { is_negative: b_negative, mantissa: b, exponent: b_exponent },
        ) = (self, other)
        else {
            return coarse;
        };
        if a == 0 || b == 0 {
            return if a == 0 { other } else { self };
        }
        if a_exponent < b_exponent {
            return other.add(self);
        }
        let (large, gap) = (u128::from(a) << 62, (a_exponent - b_exponent) as u32);
        let small = u128::from(b) << 62;
        let (mut small, lost) = match gap {
            0..128 => (small >> gap, small & ((1u128 << gap) - 1) != 0),
            _ => (0, true),
        };
        let exponent = a_exponent - 62;
        if a_negative == b_negative {
            return Self::round(a_negative, large + small, exponent, lost);
        }
        // What was lost makes the difference a little smaller: borrow one, and have more.
        small += u128::from(lost);
        let is_negative = if large >= small { a_negative } else { b_negative };
        Self::round(is_negative, large.abs_diff(small), exponent, lost)
    }

    /// Prints like `%.17Lf` without trailing zeros.
    fn text(self) -> String {
        let Some((is_negative, whole, fraction)) = self.decimal() else {
            return trimmed(&format!("{:.17}", self.to_f64()));
        };
        let sign = if is_negative { "-" } else { "" };
        trimmed(&format!("{sign}{whole}.{fraction:017}"))
    }

    /// The part before the point and 17 digits behind it.
    fn decimal(self) -> Option<(bool, u128, u128)> {
        let Extended::Finite { is_negative, mantissa, exponent } = self else { return None };
        if exponent >= 0 {
            return (exponent < 60).then(|| (is_negative, u128::from(mantissa) << exponent, 0));
        }
        let shift = exponent.unsigned_abs();
        if shift >= 128 {
            return Some((is_negative, 0, 0));
        }
        let mantissa = u128::from(mantissa);
        let whole = mantissa >> shift;
        let scaled = (mantissa & ((1u128 << shift) - 1)) * FRACTION_SCALE;
        let (kept, half) = (scaled >> shift, 1u128 << (shift - 1));
        let lost = scaled & ((1u128 << shift) - 1);
        let up = lost > half || lost == half && kept & 1 == 1;
        let fraction = kept + u128::from(up);
        Some((is_negative, whole + fraction / FRACTION_SCALE, fraction % FRACTION_SCALE))
    }
}

fn trimmed(text: &str) -> String {
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    if text == "-0" { "0".into() } else { text.into() }
}

/// The sum as the server stores and answers it.
pub(crate) fn sum_text(a: Extended, b: Extended) -> Result<Vec<u8>, CommandError> {
    let sum = a.add(b);
    if !sum.to_f64().is_finite() {
        return Err(CommandError::new("ERR increment would produce NaN or Infinity"));
    }
    Ok(sum.text().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(a: &str, b: &str) -> String {
        let read = |text: &str| Extended::parse(text.as_bytes()).unwrap();
        String::from_utf8(sum_text(read(a), read(b)).unwrap()).unwrap()
    }

    #[test]
    fn sums_come_out_as_on_x86() {
        assert_eq!(sum("10.5", "0.1"), "10.6");
        assert_eq!(sum("5.0e3", "2.0e2"), "5200");
        assert_eq!(sum("3", "-3"), "0");
        assert_eq!(sum("0.1", "0.2"), "0.3");
        assert_eq!(sum("-1.25", "0.5"), "-0.75");
        assert_eq!(sum("1", "1e-17"), "1.00000000000000001");
        assert_eq!(sum("9223372036854775807", "1"), "9223372036854775808");
    }
}
