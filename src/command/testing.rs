//! What the tests of this module share: a taker of commands that writes down what it was given, and a seeded generator.

use crate::command::plan::Plan;
use crate::command::{Cmd, Commands, Merge, Request, cmd};
use crate::error::Error;
use crate::resp::FromReply;
use crate::resp::encode::{WireBuf, put_array_header, put_bulk};
use crate::resp::reply::ReplyRef;

/// Takes commands and answers what became of them.
pub(crate) struct Recorder;

/// One command as the engine would see it.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) words: Vec<Vec<u8>>,
    pub(crate) plan: Result<Plan, Error>,
    pub(crate) read_only: bool,
    pub(crate) group: Option<usize>,
    pub(crate) merge: Merge,
}

impl Sent {
    pub(crate) fn new(request: Request<'_>) -> Sent {
        let wire = written(&request);
        let words = words(&wire);
        assert_eq!(wire, direct(&words), "an array of bulk strings");
        let (plan, read_only, group, merge) =
            (request.plan(), request.is_read_only(), request.group, request.merge);
        Sent { words, plan, read_only, group, merge }
    }

    /// The words, with spaces between them.
    pub(crate) fn text(&self) -> String {
        let words: Vec<String> = self.words.iter().map(|word| word.escape_ascii().to_string()).collect();
        words.join(" ")
    }

    /// The same command through the raw door: by name, with nothing marked.
    pub(crate) fn by_name(&self) -> Cmd {
        let (name, args) = self.words.split_first().expect("a name");
        cmd(std::str::from_utf8(name).expect("a name")).args(args)
    }
}

impl Commands for Recorder {
    type Output<R: FromReply> = Sent;

    fn request<R: FromReply>(&mut self, request: Request<'_>) -> Sent {
        Sent::new(request)
    }
}

/// The command's bytes; asserts that they are as many as announced.
pub(crate) fn written(request: &Request<'_>) -> Vec<u8> {
    let mut wire = Vec::new();
    request.write(&mut wire);
    assert_eq!(request.wire_len(), wire.len(), "announced and written");
    wire
}

/// The words of an encoded command.
pub(crate) fn words(wire: &[u8]) -> Vec<Vec<u8>> {
    let elements = ReplyRef::new(wire).elements();
    elements.map(|word| word.as_bytes().expect("a bulk string").to_vec()).collect()
}

/// A command encoded word by word.
pub(crate) fn direct(words: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut wire = Vec::new();
    put_array_header(&mut wire, words.len());
    words.iter().for_each(|word| put_bulk(&mut wire, word.as_ref()));
    wire
}

/// A buffer that only counts, and tells shared bytes from copied ones.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    pub(crate) bytes: usize,
    pub(crate) shared: usize,
}

impl WireBuf for Counter {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
    }

    fn put_shared(&mut self, bytes: &bytes::Bytes) {
        self.bytes += bytes.len();
        self.shared += bytes.len();
    }
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Bytes of any length, mostly short; at times with the protocol's own characters in them.
    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        let len = match self.below(8) {
            0 => self.below(2000),
            1 => 9 + self.below(3),
            2 => 99 + self.below(3),
            _ => self.below(12),
        };
        let alphabet = b"ab{}\r\n$*\0\xff";
        (0..len).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }
}

mod typed;
