//! How the replies to the parts of one command become one reply again.

use crate::error::{Error, ErrorKind, Outcome};
use crate::resp::encode::{put_array_header, put_bulk};
use crate::resp::reply::{ReplyKind, ReplyRef};

/// The rule by which parts are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// One element per key, in the order asked (MGET).
    Elements,
    /// The sum of integers (DEL, EXISTS, DBSIZE).
    Sum,
    /// The first reply; each part succeeded (MSET, FLUSHALL).
    First,
    /// All elements of all arrays, node after node (KEYS).
    Concat,
    /// Node, reply, node, reply: pairs as RESP2 sends a map.
    PerNode,
}

/// Joins `parts` into one frame. `part_of_group[n]` names the part that answered argument group `n`; `nodes[n]` is where part `n` ran.
pub(crate) fn join(
    merge: Merge,
    parts: &[ReplyRef<'_>],
    part_of_group: &[u32],
    nodes: &[String],
) -> Result<Vec<u8>, Error> {
    let mut frame = Vec::new();
    match merge {
        Merge::Elements => return elements(parts, part_of_group),
        Merge::Sum => {
            let mut sum: i64 = 0;
            for part in parts {
                let value = part.as_i64().ok_or_else(|| unexpected("an integer from each part", *part))?;
                sum = sum.saturating_add(value);
            }
            frame.extend_from_slice(format!(":{sum}\r\n").as_bytes());
        }
        Merge::First => {
            frame.extend_from_slice(parts.first().map_or(b"_\r\n".as_slice(), |part| part.frame()))
        }
        Merge::Concat => {
            put_array_header(&mut frame, parts.iter().map(|part| part.len()).sum());
            for element in parts.iter().flat_map(|part| part.elements()) {
                frame.extend_from_slice(element.frame());
            }
        }
        Merge::PerNode => {
            put_array_header(&mut frame, 2 * parts.len());
            for (n, part) in parts.iter().enumerate() {
                put_bulk(&mut frame, nodes.get(n).map_or("", String::as_str).as_bytes());
                frame.extend_from_slice(part.frame());
            }
        }
    }
    Ok(frame)
}

fn elements(parts: &[ReplyRef<'_>], part_of_group: &[u32]) -> Result<Vec<u8>, Error> {
    let mut sources = Vec::with_capacity(parts.len());
    for part in parts {
        if part.kind() != ReplyKind::Array {
            return Err(unexpected("an array from each part", *part));
        }
        sources.push(part.elements());
    }
    let mut frame = Vec::with_capacity(parts.iter().map(|part| part.frame().len()).sum());
    put_array_header(&mut frame, part_of_group.len());
    for &part in part_of_group {
        let element = sources.get_mut(part as usize).and_then(Iterator::next);
        let element = element.ok_or_else(|| {
            Error::new(
                ErrorKind::Decode {
                    expected: "one element per key",
                    found: "fewer elements than keys".to_owned(),
                },
                Outcome::Executed,
            )
        })?;
        frame.extend_from_slice(element.frame());
    }
    Ok(frame)
}

fn unexpected(expected: &'static str, found: ReplyRef<'_>) -> Error {
    Error::new(ErrorKind::Decode { expected, found: format!("{:?}", found.kind()) }, Outcome::Executed)
}
