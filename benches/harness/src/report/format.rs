//! Numbers as they are shown: three significant digits where more would be noise, "-" for what is missing.

use super::summary::Spread;

/// What is shown where there is no figure.
pub(crate) const MISSING: &str = "-";

/// Three digits, or all before the point.
pub(crate) fn number(value: f64) -> String {
    // By what is shown: 99.96 has one digit after the point too few to be shorter than 100.
    let digits = match value.abs() {
        below if below < 0.0005 => 0,
        below if below < 0.9995 => 3,
        below if below < 9.995 => 2,
        below if below < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// A number where there is one.
pub(crate) fn optional(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map_or_else(|| MISSING.to_owned(), number)
}

/// `middle`, or `middle (min–max)` where those differ from it as they are shown.
pub(crate) fn spread(spread: Option<Spread>) -> String {
    let Some(Spread { middle, min, max }) = spread else { return MISSING.to_owned() };
    let (shown, min, max) = (number(middle), number(min), number(max));
    if min == shown && max == shown { shown } else { format!("{shown} ({min}–{max})") }
}

/// Only the middle of a spread, divided.
pub(crate) fn middle(spread: Option<Spread>, by: f64) -> String {
    optional(spread.map(|spread| spread.middle / by))
}

/// A ratio: two digits after the point, fewer where it is large, more where it is small.
pub(crate) fn ratio(value: f64) -> String {
    if (0.0995..99.95).contains(&value) { format!("{value:.2}") } else { number(value) }
}

/// A ratio and how it differed from round to round.
pub(crate) fn ratio_spread(spread: Option<Spread>) -> String {
    let Some(Spread { middle, min, max }) = spread else { return MISSING.to_owned() };
    let (shown, min, max) = (ratio(middle), ratio(min), ratio(max));
    if min == shown && max == shown { shown } else { format!("{shown} ({min}–{max})") }
}

/// A tick of an axis: short, with a letter for thousands.
pub(crate) fn tick(value: f64) -> String {
    let short = |value: f64| {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match value.abs() {
        large if large >= 1e9 => format!("{}G", short(value / 1e9)),
        large if large >= 1e6 => format!("{}M", short(value / 1e6)),
        large if large >= 1e4 => format!("{}k", short(value / 1e3)),
        _ => short(value),
    }
}

/// A name that can be part of a file's: lower case letters, digits and single hyphens.
pub(crate) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let shown = [0.0, 0.0123, 1.234, 9.996, 12.34, 99.96, 123.4, 12345.6].map(number);
        assert_eq!(shown, ["0", "0.012", "1.23", "10.0", "12.3", "100", "123", "12346"]);
        assert_eq!(optional(None), "-");
        assert_eq!(optional(Some(f64::NAN)), "-");
    }

    #[test]
    fn a_spread_that_is_none_is_one_number() {
        assert_eq!(spread(Some(Spread { middle: 5.0, min: 4.0, max: 7.5 })), "5.00 (4.00–7.50)");
        assert_eq!(spread(Some(Spread { middle: 5.0, min: 5.0, max: 5.001 })), "5.00");
        assert_eq!(ratio_spread(Some(Spread { middle: 1.0, min: 1.0, max: 1.0 })), "1.00");
        assert_eq!([0.0164, 0.25, 12.345].map(ratio), ["0.016", "0.25", "12.35"]);
        assert_eq!(ratio_spread(Some(Spread { middle: 123.4, min: 90.0, max: 130.0 })), "123 (90.00–130)");
    }

    #[test]
    fn ticks_are_short() {
        assert_eq!([0.1, 5.0, 1000.0, 50_000.0, 2_500_000.0].map(tick), ["0.1", "5", "1000", "50k", "2.5M"]);
    }

    #[test]
    fn slugs_have_no_odd_characters() {
        assert_eq!(slug("W2 on redis-8.2, <3> nodes"), "w2-on-redis-8-2-3-nodes");
        assert_eq!(slug("../../x"), "x");
    }
}
