//! The total in callgrind's output: a text of `name: value` lines above and below the costs of functions.

/// Instructions that were collected.
pub(crate) fn instructions(text: &str) -> Result<u64, String> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let events = field("events:").ok_or("callgrind tells no events")?;
    let column = events.split_whitespace().position(|event| event == "Ir");
    let column = column.ok_or_else(|| format!("callgrind counted no instructions but {events}"))?;
    let totals = field("totals:").or_else(|| field("summary:")).ok_or("callgrind tells no total")?;
    let total =
        totals.split_whitespace().nth(column).ok_or_else(|| format!("no instructions in {totals}"))?;
    total.parse().map_err(|error| format!("{total} is no number of instructions: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read() {
        let text = "# callgrind format\nversion: 1\npositions: line\nevents: Ir\nsummary: 6679679\n\nfn=(1) a\n1 5\n\ntotals: 6679680\n";
        assert_eq!(instructions(text), Ok(6_679_680));
        assert_eq!(instructions(&text.replace("totals: 6679680\n", "")), Ok(6_679_679));
    }

    #[test]
    fn instructions_are_found_among_other_events() {
        assert_eq!(instructions("events: Dr Ir Dw\ntotals: 1 2 3\n"), Ok(2));
    }

    #[test]
    fn what_holds_no_total_is_an_error() {
        for text in
            ["", "events: Ir\n", "totals: 5\n", "events: Dr\ntotals: 5\n", "events: Ir\ntotals: many\n"]
        {
            assert!(instructions(text).is_err(), "{text}");
        }
    }
}
