//! Requests and replies as bytes.

/// The words of one command.
pub(crate) type Words = Vec<Vec<u8>>;

pub(crate) fn words(line: &str) -> Words {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

pub(crate) fn encode(words: &Words, out: &mut Vec<u8>) {
    out.extend(format!("*{}\r\n", words.len()).into_bytes());
    for word in words {
        out.extend(format!("${}\r\n", word.len()).into_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// A frame taken apart just enough to sort its elements: its header line, its payload, its elements.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Frame {
    pub(crate) header: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) elements: Vec<Frame>,
}

impl Frame {
    /// The first frame in `bytes` and its length; none while it is incomplete.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
        let line = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let header = bytes[..line].to_vec();
        let mut at = line + 2;
        let mut frame = Frame { header, payload: Vec::new(), elements: Vec::new() };
        let count = frame.count();
        match frame.header[0] {
            b'$' | b'=' | b'!' if count >= 0 => {
                let end = at + count as usize;
                bytes.get(end..end + 2)?;
                frame.payload = bytes[at..end].to_vec();
                at = end + 2;
            }
            b'*' | b'~' | b'>' | b'%' => {
                let factor = if frame.header[0] == b'%' { 2 } else { 1 };
                for _ in 0..count * factor {
                    let (element, length) = Frame::parse(&bytes[at..])?;
                    frame.elements.push(element);
                    at += length;
                }
            }
            b'+' | b'-' | b':' | b'$' | b'_' | b',' | b'#' | b'(' => {}
            other => panic!("not RESP: {:?} in {:?}", char::from(other), String::from_utf8_lossy(bytes)),
        }
        Some((frame, at))
    }

    fn count(&self) -> i64 {
        std::str::from_utf8(&self.header[1..]).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The number of an integer reply.
    pub(crate) fn integer(&self) -> Option<i64> {
        (self.header[0] == b':').then(|| self.count())
    }

    /// Text for people.
    pub(crate) fn text(&self) -> String {
        let elements: Vec<String> = self.elements.iter().map(Frame::text).collect();
        let payload = self.payload.escape_ascii();
        match self.header.first() {
            Some(b'$') => payload.to_string(),
            Some(b'*' | b'%' | b'~') => format!("{}[{}]", char::from(self.header[0]), elements.join(" ")),
            _ => format!("{}{payload}", self.header.escape_ascii()),
        }
    }

    /// Sorts elements that have no order of their own.
    pub(crate) fn sort_elements(&mut self) {
        self.elements.sort();
    }

    /// Blanks the element that follows the one with this payload.
    pub(crate) fn forget_value_behind(&mut self, name: &[u8]) {
        if let Some(at) = self.elements.iter().position(|element| element.payload == name) {
            let value = &mut self.elements[at + 1];
            value.header.clear();
            value.payload.clear();
            value.elements.clear();
        }
    }

    /// Sorts the pairs of a map, or of a flat array.
    pub(crate) fn sort_pairs(&mut self) {
        let mut pairs: Vec<Vec<Frame>> = self.elements.chunks(2).map(<[Frame]>::to_vec).collect();
        pairs.sort();
        self.elements = pairs.concat();
    }
}
