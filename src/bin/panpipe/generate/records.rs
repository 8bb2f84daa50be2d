//! Records by number: a key that tells the number, a value that only the seed tells.
//!
//! Invariant: a record depends on the seed and its number alone, and is the same in every format.

use panpipe::resp::encode::put_bulk;

/// What hot keys begin with: their hash tag is one slot's.
pub(crate) const HOT_PREFIX: &str = "{hot}:";

/// What values are made of. None of these needs quotes in any format.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const LETTERS_PER_DRAW: usize = 10;

/// How a record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Resp,
    Commands,
    Kv,
    Csv,
    Jsonl,
}

/// How long a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) min: usize,
    pub(crate) max: usize,
}

/// All records.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) shape: Shape,
    pub(crate) prefix: String,
    pub(crate) key_bytes: usize,
    pub(crate) value_bytes: Size,
    pub(crate) seed: u64,
    pub(crate) hot_percent: u8,
    pub(crate) wrong_type_every: Option<u64>,
    /// Of the record that is written.
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

impl Records {
    /// What stands above the first record.
    pub(crate) fn begin(&self, out: &mut Vec<u8>) {
        if self.shape == Shape::Csv {
            out.extend_from_slice(b"key,value\n");
        }
    }

    /// Appends a record.
    pub(crate) fn put(&mut self, number: u64, out: &mut Vec<u8>) {
        // The first record has none before it.
        let is_wrong = number > 1 && self.wrong_type_every.is_some_and(|every| number.is_multiple_of(every));
        self.draw_key(if is_wrong { number - 1 } else { number });
        self.draw_value(number);
        let (key, value) = (self.key.as_slice(), self.value.as_slice());
        let name: &[u8] = if is_wrong { b"LPUSH" } else { b"SET" };
        match self.shape {
            Shape::Resp => {
                out.extend_from_slice(b"*3\r\n");
                put_bulk(out, name);
                put_bulk(out, key);
                put_bulk(out, value);
            }
            Shape::Commands if value.is_empty() => put(out, &[name, b" ", key, b" \"\"\n"]),
            Shape::Commands => put(out, &[name, b" ", key, b" ", value, b"\n"]),
            Shape::Kv => put(out, &[key, b"\t", value, b"\n"]),
            Shape::Csv => put(out, &[key, b",", value, b"\n"]),
            Shape::Jsonl => put(out, &[b"{\"key\":\"", key, b"\",\"value\":\"", value, b"\"}\n"]),
        }
    }

    fn draw_key(&mut self, number: u64) {
        let is_hot =
            self.hot_percent > 0 && mix(self.seed ^ HOT_STREAM, number) % 100 < u64::from(self.hot_percent);
        let prefix = if is_hot { HOT_PREFIX } else { self.prefix.as_str() };
        self.key.clear();
        self.key.extend_from_slice(prefix.as_bytes());
        self.key.resize(self.key_bytes, b'0');
        let mut rest = number;
        for place in self.key.iter_mut().rev() {
            if rest == 0 {
                break;
            }
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }

    fn draw_value(&mut self, number: u64) {
        let Size { min, max } = self.value_bytes;
        let mut state = mix(self.seed, number);
        let span = (max - min) as u64 + 1;
        let len = min + (state % span) as usize;
        self.value.resize(len, 0);
        for letters in self.value.chunks_mut(LETTERS_PER_DRAW) {
            state = mix(state, 1);
            let mut bits = state;
            for letter in letters {
                *letter = LETTERS[(bits % 64) as usize];
                bits /= 64;
            }
        }
    }
}

/// Keeps the choice of hot keys apart from the values.
const HOT_STREAM: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64: the number's place in the seed's sequence.
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}
