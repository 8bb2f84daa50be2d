//! How the replies to the parts of one command become one reply again.
//!
//! It knows the shapes that the rules expect; whether a part failed is not its business: parts that did not answer
//! never come here.

use crate::error::{Error, ErrorKind, Outcome};
use crate::resp::encode::{put_array_header, put_bulk};
use crate::resp::{Elements, ReplyKind, ReplyRef};

/// The rule by which parts are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// One element per key, in the order asked (MGET).
    Elements,
    /// The sum of integers (DEL, EXISTS, DBSIZE).
    Sum,
    /// The first reply; each part succeeded (MSET, FLUSHALL).
    First,
    /// All elements of all lists, node after node (KEYS).
    Concat,
    /// Lists of 0 and 1 of the same length: 1 where every node says 1 (SCRIPT EXISTS).
    And,
    /// Node, reply, node, reply: pairs as RESP2 sends a map.
    PerNode,
}

/// Joins `parts` into one frame. `part_of_group[n]` names the part that answered argument group `n`, and is empty where
/// the command went to several nodes as a whole; `nodes[n]` is where part `n` ran.
pub(crate) fn join(
    merge: Merge,
    parts: &[ReplyRef<'_>],
    part_of_group: &[u32],
    nodes: &[String],
) -> Result<Vec<u8>, Error> {
    match merge {
        // Sent whole to several nodes (MGET with a route of the caller's) there is no element per key to pick.
        Merge::Elements if part_of_group.is_empty() => Ok(per_node(parts, nodes)),
        Merge::Elements => elements(parts, part_of_group),
        Merge::Sum => sum(parts),
        Merge::First => Ok(parts.first().map_or(b"_\r\n".as_slice(), ReplyRef::frame).to_vec()),
        Merge::Concat => concat(parts),
        Merge::And => and(parts),
        Merge::PerNode => Ok(per_node(parts, nodes)),
    }
}

fn elements(parts: &[ReplyRef<'_>], part_of_group: &[u32]) -> Result<Vec<u8>, Error> {
    const EXPECTED: &str = "one element per key";
    let mut sources = lists(parts)?;
    let mut frame = Vec::with_capacity(parts.iter().map(|part| part.frame().len()).sum());
    put_array_header(&mut frame, part_of_group.len());
    for &part in part_of_group {
        let element = sources.get_mut(part as usize).and_then(Iterator::next);
        frame.extend_from_slice(
            element.ok_or_else(|| mismatch(EXPECTED, "fewer elements than keys"))?.frame(),
        );
    }
    match sources.iter().all(|source| source.len() == 0) {
        true => Ok(frame),
        false => Err(mismatch(EXPECTED, "more elements than keys")),
    }
}

fn sum(parts: &[ReplyRef<'_>]) -> Result<Vec<u8>, Error> {
    let mut sum: i64 = 0;
    for part in parts {
        let value = part.as_i64().ok_or_else(|| unexpected("an integer from each part", *part))?;
        sum = sum.saturating_add(value);
    }
    Ok(format!(":{sum}\r\n").into_bytes())
}

fn concat(parts: &[ReplyRef<'_>]) -> Result<Vec<u8>, Error> {
    let sources = lists(parts)?;
    let mut frame = Vec::with_capacity(parts.iter().map(|part| part.frame().len()).sum());
    put_array_header(&mut frame, sources.iter().map(Elements::len).sum());
    for element in sources.into_iter().flatten() {
        frame.extend_from_slice(element.frame());
    }
    Ok(frame)
}

fn and(parts: &[ReplyRef<'_>]) -> Result<Vec<u8>, Error> {
    const EXPECTED: &str = "a list of 0 and 1 from each part";
    let mut sources = lists(parts)?;
    let len = sources.first().map_or(0, Elements::len);
    let mut frame = Vec::new();
    put_array_header(&mut frame, len);
    for _ in 0..len {
        let mut all = true;
        for source in &mut sources {
            let element = source.next().ok_or_else(|| mismatch(EXPECTED, "lists of different lengths"))?;
            all &= element.as_bool().ok_or_else(|| unexpected(EXPECTED, element))?;
        }
        frame.extend_from_slice(if all { b":1\r\n" } else { b":0\r\n" });
    }
    match sources.iter().all(|source| source.len() == 0) {
        true => Ok(frame),
        false => Err(mismatch(EXPECTED, "lists of different lengths")),
    }
}

fn per_node(parts: &[ReplyRef<'_>], nodes: &[String]) -> Vec<u8> {
    let mut frame = Vec::new();
    put_array_header(&mut frame, 2 * parts.len());
    for (n, part) in parts.iter().enumerate() {
        put_bulk(&mut frame, nodes.get(n).map_or("", String::as_str).as_bytes());
        frame.extend_from_slice(part.frame());
    }
    frame
}

/// The elements of parts that must all be lists.
fn lists<'a>(parts: &[ReplyRef<'a>]) -> Result<Vec<Elements<'a>>, Error> {
    parts
        .iter()
        .map(|part| match part.kind() {
            ReplyKind::Array | ReplyKind::Set => Ok(part.elements()),
            _ => Err(unexpected("a list from each part", *part)),
        })
        .collect()
}

fn unexpected(expected: &'static str, found: ReplyRef<'_>) -> Error {
    mismatch(expected, format!("{:?}", found.kind()))
}

fn mismatch(expected: &'static str, found: impl Into<String>) -> Error {
    Error::new(ErrorKind::Decode { expected, found: found.into() }, Outcome::Executed)
}

#[cfg(test)]
mod tests;
