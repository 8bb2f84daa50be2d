//! The long way through a reply: what is known of it between two scans, one element after the other.
//!
//! Invariant: all bytes before `position` are accepted and never looked at again; the elements still missing
//! are exactly those that `nesting` counts.

use smallvec::SmallVec;

use super::{Bounds, Frame, FrameKind, Scan, whole_scalar};
use crate::error::ProtocolError;
use crate::resp::header::{self, Length};

/// What is known of a reply that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Open aggregates, outermost first.
    nesting: SmallVec<[Level; 8]>,
    /// Where the element under the scan begins; all before it is accepted.
    pub(super) position: usize,
    /// How many bytes behind the element's type byte hold no carriage return.
    searched: usize,
    /// The element's payload, once its header was read.
    payload: Option<Payload>,
    /// Elements declared so far.
    elements: u64,
    attribute: Attribute,
    push: bool,
    /// Bytes looked at and steps taken, for the proof that cost is linear.
    #[cfg(test)]
    pub(super) work: usize,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    /// Values still missing; never 0 while the level is open.
    missing: u64,
    /// Its end is not the end of a value: the value it describes follows.
    attribute: bool,
}

#[derive(Debug, Clone, Copy)]
struct Payload {
    /// Relative to the element's type byte.
    place: header::Payload,
    verbatim: bool,
}

/// Attributes of the current reply. Those within an attribute are part of it.
#[derive(Debug, Default, Clone, Copy)]
struct Attribute {
    pairs: u64,
    /// Bytes of those that are finished.
    bytes: usize,
    /// Where the open one began, and how deep.
    open: Option<(usize, usize)>,
    /// Bytes of those in front of the whole reply.
    leading: usize,
}

/// How many bytes the element under the scan may still take, and which limit says so.
#[derive(Clone, Copy)]
struct Room {
    bytes: usize,
    what: &'static str,
    limit: usize,
}

enum Step {
    /// A value of so many bytes is whole.
    Value(usize),
    /// A header of so many bytes opened an aggregate, or was an empty attribute.
    Header(usize),
    /// A bulk header was read.
    Payload,
    /// So many bytes are missing.
    Wait(usize),
}

pub(super) enum Fault {
    Malformed(&'static str),
    Limit { what: &'static str, limit: u64 },
}

const NEAR_BYTES: usize = 32;
const STREAMED: &str = "streamed strings and aggregates are not supported";

impl Progress {
    /// Back to the start of a reply; the memory of the nesting records stays.
    pub(super) fn clear(&mut self) {
        self.nesting.clear();
        self.position = 0;
        self.searched = 0;
        self.payload = None;
        self.elements = 0;
        self.attribute = Attribute::default();
        self.push = false;
    }

    pub(super) fn is_in_push(&self) -> bool {
        self.push
    }

    /// Forgets what is accepted, and what has come of the string at `position`; answers how many bytes that is. They are nobody's memory any
    /// more, so the limit on the bytes of the reply counts from here again.
    pub(super) fn skip(&mut self, bytes: &[u8]) -> usize {
        if self.attribute.open.is_some() {
            return 0;
        }
        let mut gone = self.position;
        if let Some(payload) = self.payload.as_mut().filter(|payload| !payload.verbatim) {
            let come = bytes.len().saturating_sub(gone).min(payload.place.end);
            payload.place.start = payload.place.start.saturating_sub(come);
            payload.place.end = payload.place.end.saturating_sub(come);
            gone = gone.saturating_add(come);
        }
        self.position = 0;
        self.attribute.leading = 0;
        gone
    }

    pub(super) fn advance(&mut self, bytes: &[u8], bounds: &Bounds) -> Result<Scan, Fault> {
        loop {
            let tried = self.take_scalars(bytes, bounds);
            let rest = bytes.get(self.position..).unwrap_or_default();
            #[cfg(test)]
            self.count_work(1);
            match self.step(rest, bounds, tried)? {
                Step::Value(len) => {
                    self.position = self.position.saturating_add(len);
                    if self.end_value() {
                        return Ok(Scan::Complete(self.frame()));
                    }
                }
                Step::Header(len) => self.position = self.position.saturating_add(len),
                Step::Payload => {}
                Step::Wait(bytes_wanted) => return Ok(Scan::Incomplete { bytes_wanted }),
            }
        }
    }

    /// The run of whole scalars at the front of the innermost aggregate's missing values, its last one apart: nothing ends with them,
    /// so they need no more than counting. Answers whether the element that stands at `position` now is known to be no whole scalar.
    fn take_scalars(&mut self, bytes: &[u8], bounds: &Bounds) -> bool {
        let Some(level) = self.nesting.last_mut() else { return false };
        if self.searched > 0 || self.payload.is_some() || self.attribute.open.is_some() {
            return false;
        }
        while level.missing > 1 {
            let rest = bytes.get(self.position..).unwrap_or_default();
            let room = bounds.reply.saturating_sub(self.position);
            let Some(len) = whole_scalar(rest, bounds, room) else { return true };
            self.position = self.position.saturating_add(len);
            level.missing = level.missing.saturating_sub(1);
            #[cfg(test)]
            {
                self.work = self.work.saturating_add(1);
            }
        }
        false
    }

    fn frame(&self) -> Frame {
        let kind = if self.push { FrameKind::Push } else { FrameKind::Reply };
        Frame { len: self.position, attribute_len: self.attribute.leading, kind }
    }

    /// One element, header or payload, at the start of `rest`; `tried` where it is known to be no whole scalar.
    fn step(&mut self, rest: &[u8], bounds: &Bounds, tried: bool) -> Result<Step, Fault> {
        if let Some(payload) = self.payload {
            return self.end_payload(rest, payload);
        }
        let Some((&tag, body)) = rest.split_first() else { return Ok(Step::Wait(1)) };
        let room = self.room(tag, bounds);
        if self.searched == 0
            && !tried
            && let Some(len) = whole_scalar(rest, bounds, room.bytes)
        {
            return Ok(Step::Value(len));
        }
        self.check_tag(tag)?;
        let Some(text) = self.line(body, bounds, room)? else { return Ok(Step::Wait(1)) };
        let len = text.len().saturating_add(3);
        match tag {
            b'$' | b'!' | b'=' => self.open_payload(tag, text, bounds, room),
            b'*' | b'~' | b'%' | b'>' | b'|' => self.open_aggregate(tag, text, bounds),
            _ => check_line(tag, text).map(|()| Step::Value(len)),
        }
    }

    /// What the type byte alone proves wrong is refused before its line is whole.
    fn check_tag(&self, tag: u8) -> Result<(), Fault> {
        match tag {
            b'+' | b'-' | b':' | b'$' | b'*' | b'_' | b'#' | b',' | b'(' | b'!' | b'=' | b'%' | b'~'
            | b'|' => Ok(()),
            b'>' if self.nesting.is_empty() => Ok(()),
            b'>' => Err(Fault::Malformed("push inside another reply")),
            b';' | b'.' => Err(Fault::Malformed(STREAMED)),
            _ => Err(Fault::Malformed("not a RESP type byte")),
        }
    }

    /// The text of the element's line behind its type byte, where its end has come.
    fn line<'a>(&mut self, body: &'a [u8], bounds: &Bounds, room: Room) -> Result<Option<&'a [u8]>, Fault> {
        // One number bounds the text, so that a line is refused for the same reason however it is cut.
        let in_room = room.bytes.checked_sub(3).ok_or(room.exceeded())?;
        let text_max = bounds.line.min(in_room);
        let window = body.get(self.searched..body.len().min(text_max.saturating_add(1))).unwrap_or_default();
        let found = window.iter().position(|&byte| byte == b'\r');
        #[cfg(test)]
        self.count_work(found.unwrap_or(window.len()));
        let Some(found) = found else {
            if body.len() > text_max {
                return Err(if bounds.line <= in_room {
                    Fault::Limit { what: "a line", limit: bounds.line as u64 }
                } else {
                    room.exceeded()
                });
            }
            self.searched = body.len().max(self.searched);
            return Ok(None);
        };
        let end = self.searched.saturating_add(found);
        match body.get(end.saturating_add(1)) {
            None => {
                self.searched = end;
                Ok(None)
            }
            Some(b'\n') => {
                self.searched = 0;
                Ok(body.get(..end))
            }
            Some(_) => Err(Fault::Malformed("carriage return without line feed")),
        }
    }

    fn open_payload(&mut self, tag: u8, text: &[u8], bounds: &Bounds, room: Room) -> Result<Step, Fault> {
        let header_len = text.len().saturating_add(3);
        let size = match header::length(text) {
            Some(Length::Null) if tag == b'$' => return Ok(Step::Value(header_len)),
            Some(Length::Of(size)) => usize::try_from(size).unwrap_or(usize::MAX),
            _ if text == b"?" => return Err(Fault::Malformed(STREAMED)),
            _ => return Err(Fault::Malformed("not the length of a string")),
        };
        if tag == b'=' && size < 4 {
            return Err(Fault::Malformed("verbatim string without a format"));
        }
        if size > bounds.bulk {
            return Err(Fault::Limit { what: "a string", limit: bounds.bulk as u64 });
        }
        let end = header_len.saturating_add(size);
        if end.saturating_add(2) > room.bytes {
            return Err(room.exceeded());
        }
        let place = header::Payload { start: header_len, end };
        self.payload = Some(Payload { place, verbatim: tag == b'=' });
        Ok(Step::Payload)
    }

    fn end_payload(&mut self, rest: &[u8], payload: Payload) -> Result<Step, Fault> {
        let len = payload.place.end.saturating_add(2);
        if rest.len() < len {
            return Ok(Step::Wait(len.saturating_sub(rest.len())));
        }
        if rest.get(payload.place.end..len) != Some(b"\r\n") {
            return Err(Fault::Malformed("string not ended by carriage return and line feed"));
        }
        if payload.verbatim && rest.get(payload.place.start.saturating_add(3)) != Some(&b':') {
            return Err(Fault::Malformed("verbatim string without a format"));
        }
        self.payload = None;
        Ok(Step::Value(len))
    }

    fn open_aggregate(&mut self, tag: u8, text: &[u8], bounds: &Bounds) -> Result<Step, Fault> {
        let limits = &bounds.limits;
        let header_len = text.len().saturating_add(3);
        let count = match header::length(text) {
            Some(Length::Null) if tag == b'*' => return Ok(Step::Value(header_len)),
            Some(Length::Of(0)) if tag == b'>' => return Err(Fault::Malformed("push without a kind")),
            Some(Length::Of(count)) => count,
            _ if text == b"?" => return Err(Fault::Malformed(STREAMED)),
            _ => return Err(Fault::Malformed("not the length of an aggregate")),
        };
        // The elements of a map are its keys and its values.
        let missing = if matches!(tag, b'%' | b'|') { count.saturating_mul(2) } else { count };
        if missing > limits.elements_max {
            return Err(Fault::Limit { what: "the elements of an aggregate", limit: limits.elements_max });
        }
        if self.nesting.len() >= bounds.depth {
            return Err(Fault::Limit { what: "nesting", limit: bounds.depth as u64 });
        }
        let attribute = tag == b'|';
        if attribute {
            self.attribute.pairs = self.attribute.pairs.saturating_add(count);
            if self.attribute.pairs > limits.attribute_pairs_max {
                return Err(Fault::Limit { what: "attribute pairs", limit: limits.attribute_pairs_max });
            }
            let depth = self.nesting.len();
            self.attribute.open.get_or_insert((self.position, depth));
        } else {
            self.elements = self.elements.saturating_add(missing);
            if self.elements > limits.total_elements_max {
                return Err(Fault::Limit {
                    what: "the elements of a reply",
                    limit: limits.total_elements_max,
                });
            }
        }
        self.push |= tag == b'>';
        if missing > 0 {
            self.nesting.push(Level { missing, attribute });
            return Ok(Step::Header(header_len));
        }
        if attribute {
            self.end_attribute(self.position.saturating_add(header_len));
            return Ok(Step::Header(header_len));
        }
        Ok(Step::Value(header_len))
    }

    /// Counts a whole value; true where it was the reply itself.
    fn end_value(&mut self) -> bool {
        while let Some(level) = self.nesting.last_mut() {
            level.missing = level.missing.saturating_sub(1);
            if level.missing > 0 {
                return false;
            }
            let attribute = level.attribute;
            self.nesting.pop();
            if attribute {
                self.end_attribute(self.position);
                return false;
            }
        }
        true
    }

    /// An attribute ended at `end`; it counts if no other is open around it.
    fn end_attribute(&mut self, end: usize) {
        let depth = self.nesting.len();
        if let Some((start, outermost)) = self.attribute.open
            && outermost == depth
        {
            self.attribute.open = None;
            self.attribute.bytes = self.attribute.bytes.saturating_add(end.saturating_sub(start));
            if depth == 0 {
                self.attribute.leading = end;
            }
        }
    }

    fn room(&self, tag: u8, bounds: &Bounds) -> Room {
        let bytes = bounds.reply.saturating_sub(self.position);
        let reply = Room { bytes, what: "a reply", limit: bounds.reply };
        if tag != b'|' && self.attribute.open.is_none() {
            return reply;
        }
        let start = self.attribute.open.map_or(self.position, |(start, _)| start);
        let used = self.attribute.bytes.saturating_add(self.position.saturating_sub(start));
        let bytes = bounds.attribute.saturating_sub(used);
        if bytes < reply.bytes { Room { bytes, what: "attributes", limit: bounds.attribute } } else { reply }
    }

    #[cfg(test)]
    fn count_work(&mut self, amount: usize) {
        self.work = self.work.saturating_add(amount);
    }
}

/// The types that are one line.
fn check_line(tag: u8, text: &[u8]) -> Result<(), Fault> {
    let (accepted, what) = match tag {
        b':' => (header::integer(text).is_some(), "not an integer of 64 bits"),
        b'_' => (text.is_empty(), "null with a text"),
        b'#' => (matches!(text, b"t" | b"f"), "boolean neither t nor f"),
        b',' => (header::double(text).is_some(), "not a double"),
        b'(' => (header::is_whole_number(text), "not a big number"),
        _ => (true, ""),
    };
    if accepted { Ok(()) } else { Err(Fault::Malformed(what)) }
}

impl Room {
    fn exceeded(self) -> Fault {
        Fault::Limit { what: self.what, limit: self.limit as u64 }
    }
}

impl Fault {
    #[cold]
    pub(super) fn near(self, element: &[u8]) -> ProtocolError {
        match self {
            Fault::Malformed(what) => {
                let near = element.get(..NEAR_BYTES).unwrap_or(element).escape_ascii().to_string();
                ProtocolError::Malformed { what, near }
            }
            Fault::Limit { what, limit } => ProtocolError::LimitExceeded { what, limit },
        }
    }
}
