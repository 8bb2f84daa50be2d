//! How people write amounts on a command line: `64mb`, `10k`, `2%`, `sample:1000`.

/// Bytes, with or without a unit: `65536`, `64k`, `4mb`, `1GiB`. Units are powers of 1024.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let lower = text.trim().to_ascii_lowercase();
    let (digits, unit) = lower.split_at(lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len()));
    let shift = match unit.trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err("write bytes as 65536, 64kb, 4mb or 1gb".to_owned()),
    };
    let number: usize = digits.parse().map_err(|_| "write bytes as 65536, 64kb, 4mb or 1gb".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "that is more than this machine can address".to_owned())
}

/// Bytes, and at least one.
pub(super) fn some_bytes(text: &str) -> Result<usize, String> {
    bytes(text).and_then(|bytes| if bytes == 0 { Err("must be more than 0".to_owned()) } else { Ok(bytes) })
}

/// A number of things: `5000`, `50k`, `2m`. Units are powers of 1000.
pub(super) fn count(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let (digits, unit) = lower.split_at(lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len()));
    let factor = match unit {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        _ => return Err("write a number as 5000, 50k or 2m".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "write a number as 5000, 50k or 2m".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "that number is too large".to_owned())
}

/// A number of things, and at least one.
pub(super) fn some(text: &str) -> Result<u64, String> {
    count(text).and_then(|count| if count == 0 { Err("must be more than 0".to_owned()) } else { Ok(count) })
}

/// Of a server.
pub(super) fn port(text: &str) -> Result<u16, String> {
    let port = text.trim().parse().ok().filter(|&port: &u16| port > 0);
    port.ok_or_else(|| "a port is a number from 1 to 65535".to_owned())
}

/// How many errors are too many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum ErrorsMax {
    Count(u64),
    /// Of the records that were loaded so far.
    Percent(f64),
}

pub(super) fn errors_max(text: &str) -> Result<ErrorsMax, String> {
    let Some(percent) = text.trim().strip_suffix('%') else { return count(text).map(ErrorsMax::Count) };
    match percent.trim().parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(ErrorsMax::Percent(percent)),
        _ => Err("write a share of the records as 0.1% or 2%".to_owned()),
    }
}

/// What is read back after the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verify {
    None,
    /// Whether every key is there.
    Count,
    /// About so many records, evenly spread.
    Sample(u64),
    Full,
}

impl Verify {
    pub(super) fn parse(text: &str) -> Result<Verify, String> {
        match text.split_once(':') {
            None if text == "none" => Ok(Verify::None),
            None if text == "count" => Ok(Verify::Count),
            None if text == "full" => Ok(Verify::Full),
            Some(("sample", records)) => some(records).map(Verify::Sample),
            _ => Err("is one of none, count, sample:N and full".to_owned()),
        }
    }

    pub(super) fn name(self) -> String {
        match self {
            Verify::None => "none".to_owned(),
            Verify::Count => "count".to_owned(),
            Verify::Sample(records) => format!("sample:{records}"),
            Verify::Full => "full".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units_of_1024() {
        for (text, amount) in
            [("0", 0), ("65536", 65_536), ("64k", 65_536), ("4MB", 4 << 20), ("1 GiB", 1 << 30), ("7b", 7)]
        {
            assert_eq!(bytes(text), Ok(amount), "{text}");
        }
        for text in ["", "k", "-1", "1.5m", "4 miles", "99999999999999999999", "99999999999g"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert!(some_bytes("0").is_err());
    }

    #[test]
    fn counts_have_units_of_1000() {
        assert_eq!(count("10k"), Ok(10_000));
        assert_eq!(count("2m"), Ok(2_000_000));
        assert!(count("2g").is_err());
        assert!(some("0").is_err());
    }

    #[test]
    fn ports_have_bounds() {
        assert_eq!(port("6379"), Ok(6379));
        for text in ["0", "65536", "-1", "redis", ""] {
            assert!(port(text).is_err(), "{text}");
        }
    }

    #[test]
    fn errors_are_a_number_or_a_share() {
        assert_eq!(errors_max("10"), Ok(ErrorsMax::Count(10)));
        assert_eq!(errors_max("0.5%"), Ok(ErrorsMax::Percent(0.5)));
        for text in ["101%", "-1%", "x%", "%", "nan%"] {
            assert!(errors_max(text).is_err(), "{text}");
        }
    }

    #[test]
    fn verification_is_read_as_it_is_written() {
        for verify in [Verify::None, Verify::Count, Verify::Sample(10), Verify::Full] {
            assert_eq!(Verify::parse(&verify.name()), Ok(verify));
        }
        for text in ["", "all", "sample", "sample:0", "sample:x", "full:1"] {
            assert!(Verify::parse(text).is_err(), "{text}");
        }
    }
}
