//! What the client knows better than the servers: a text, one statement per line, each with its reason.
//!
//! ```text
//! FIELD VALUE: NAME, NAME -- REASON
//! ```
//!
//! FIELD is `arity`, `flags`, `keys`, `place` or `class`, and VALUE is written as in the table. `row` adds a command that no server here
//! has, and its VALUE is the arity. Lines that begin with `#` are titles. Invariant: every statement changes something.

use std::collections::BTreeSet;

use crate::generate::{Row, Rows};

/// One line.
struct Statement<'a> {
    field: &'a str,
    value: &'a str,
    names: Vec<&'a str>,
}

/// Applies a text to the rows. Everything that is wrong with it comes back.
pub(crate) fn apply(text: &str, rows: &mut Rows) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut stated = BTreeSet::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match statement(line) {
            None => wrong.push(format!("line {number}: it is not `FIELD VALUE: NAME, NAME -- REASON`")),
            Some(statement) => {
                for name in &statement.names {
                    let twice = !stated.insert((statement.field, (*name).to_owned()));
                    let changed =
                        if twice { Err("it is said twice") } else { change(&statement, name, rows) };
                    wrong.extend(changed.err().map(|why| format!("line {number}: {name}: {why}")));
                }
            }
        }
    }
    wrong
}

fn statement(line: &str) -> Option<Statement<'_>> {
    let (said, reason) = line.split_once(" -- ")?;
    let (what, names) = said.split_once(": ")?;
    let (field, value) = what.split_once(' ')?;
    let names: Vec<&str> = names.split(',').map(str::trim).collect();
    let complete = reason.trim().len() > 10 && !value.is_empty() && names.iter().all(|name| !name.is_empty());
    complete.then_some(Statement { field, value, names })
}

fn change(statement: &Statement<'_>, name: &str, rows: &mut Rows) -> Result<(), &'static str> {
    let Statement { field, value, .. } = statement;
    if *field == "row" {
        let row = Row::keyless((*value).to_owned());
        return match rows.insert(name.to_owned(), row) {
            None => Ok(()),
            Some(_) => Err("a server has it already"),
        };
    }
    let row = rows.get_mut(name).ok_or("there is no such command")?;
    let field = match *field {
        "arity" => &mut row.arity,
        "flags" => &mut row.flags,
        "keys" => &mut row.keys,
        "place" => &mut row.place,
        "class" => &mut row.class,
        _ => return Err("there is no such field"),
    };
    if field == value {
        return Err("it changes nothing");
    }
    *field = (*value).to_owned();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> Vec<String> {
        let mut rows = Rows::from([("GET".to_owned(), Row::keyless("2".to_owned()))]);
        apply(text, &mut rows)
    }

    #[test]
    fn a_statement_needs_a_reason_and_an_effect() {
        assert_eq!(wrong("# title\n\narity 3: GET -- as good a reason as any"), [""; 0]);
        for line in
            ["arity 3: GET", "arity 3: GET -- ", "arity 3: GET -- short", "arity: GET -- a reason as such"]
        {
            assert_eq!(wrong(line).len(), 1, "{line}");
        }
        let said = "-- a reason as such";
        let one = |what: &str| wrong(&format!("{what} {said}")).join(";");
        assert_eq!(one("arity 2: GET"), "line 1: GET: it changes nothing");
        assert_eq!(one("arity 3: PUT"), "line 1: PUT: there is no such command");
        assert_eq!(one("color 3: GET"), "line 1: GET: there is no such field");
        assert_eq!(one("row 3: GET"), "line 1: GET: a server has it already");
        assert_eq!(one("arity 3: GET, GET"), "line 1: GET: it is said twice");
        assert_eq!(one("row 3: PUT"), "");
    }
}
