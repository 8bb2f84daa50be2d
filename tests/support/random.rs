//! Random replies from a seed: the generator, and values that know their bytes and their text.

/// xorshift64*: small, fast, the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    /// From `PANPIPE_SEED`, or a fixed seed; prints it, so that a failure can be repeated.
    pub(crate) fn from_environment(test: &str) -> Self {
        let seed =
            std::env::var("PANPIPE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed_0001);
        println!("{test}: PANPIPE_SEED={seed}");
        Random(u64::max(seed, 1))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    pub(crate) fn bytes(&mut self, max: usize) -> Vec<u8> {
        (0..self.below(max + 1)).map(|_| self.byte()).collect()
    }

    /// Any byte; those that mean something to a parser more often.
    pub(crate) fn byte(&mut self) -> u8 {
        if self.one_in(2) {
            *self.pick(b"\r\n\r\n+-:$*_#,(!=%~>|?;.0123456789 atf")
        } else {
            self.next() as u8
        }
    }
}

/// A reply by its meaning.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Status(Vec<u8>),
    Error(Vec<u8>),
    Integer(i64),
    Bulk(Vec<u8>),
    /// With its spelling.
    Null(&'static str),
    Array(Vec<Value>),
    Set(Vec<Value>),
    Push(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Double(f64),
    Boolean(bool),
    BigNumber(String),
    Verbatim(Vec<u8>),
    BlobError(Vec<u8>),
    Attributed(Vec<(Value, Value)>, Box<Value>),
}

impl Value {
    /// A reply, now and then a push.
    pub(crate) fn random_frame(random: &mut Random) -> Value {
        if random.one_in(8) {
            let push = Value::Push((0..=random.below(3)).map(|_| Value::random(random, 3)).collect());
            return if random.one_in(3) {
                Value::Attributed(random_pairs(random, 2), Box::new(push))
            } else {
                push
            };
        }
        Value::random(random, 4)
    }

    pub(crate) fn random(random: &mut Random, depth: usize) -> Value {
        let line = |random: &mut Random| {
            let mut text = random.bytes(12);
            text.retain(|&byte| byte != b'\r');
            text
        };
        let kinds = if depth == 0 { 11 } else { 15 };
        match random.below(kinds) {
            0 => Value::Status(line(random)),
            1 => Value::Error(line(random)),
            2 => Value::Integer(random.next() as i64 >> random.below(64)),
            3 => Value::Bulk(random.bytes(12)),
            4 => Value::Bulk(random.bytes(300)),
            5 => Value::Null(random.pick::<&str>(&["_\r\n", "$-1\r\n", "*-1\r\n"])),
            6 => Value::Double(match random.below(6) {
                0 => f64::INFINITY,
                1 => f64::NEG_INFINITY,
                2 => f64::NAN,
                3 => random.next() as i32 as f64 / 8.0,
                _ => Some(f64::from_bits(random.next())).filter(|double| double.is_finite()).unwrap_or(-0.0),
            }),
            7 => Value::Boolean(random.one_in(2)),
            8 => Value::BigNumber(format!(
                "{}{}",
                random.pick(&["", "-", "+"]),
                u128::from(random.next()) << 64
            )),
            9 => Value::Verbatim(random.bytes(12)),
            10 => Value::BlobError(random.bytes(12)),
            11 => Value::Array((0..random.below(5)).map(|_| Value::random(random, depth - 1)).collect()),
            12 => Value::Set((0..random.below(4)).map(|_| Value::random(random, depth - 1)).collect()),
            13 => Value::Map(random_pairs(random, depth)),
            _ => {
                let pairs = random_pairs(random, depth);
                // One attribute per value: only the first of several can be asked for.
                match Value::random(random, depth - 1) {
                    Value::Attributed(_, value) => Value::Attributed(pairs, value),
                    value => Value::Attributed(pairs, Box::new(value)),
                }
            }
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut line = |tag: &str, text: &[u8]| {
            out.extend_from_slice(tag.as_bytes());
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        };
        match self {
            Value::Status(text) => line("+", text),
            Value::Error(text) => line("-", text),
            Value::Integer(value) => line(":", value.to_string().as_bytes()),
            Value::Double(value) => line(",", format!("{value:?}").as_bytes()),
            Value::Boolean(value) => line("#", if *value { b"t" } else { b"f" }),
            Value::BigNumber(digits) => line("(", digits.as_bytes()),
            Value::Null(spelling) => out.extend_from_slice(spelling.as_bytes()),
            Value::Bulk(bytes) => line(&format!("${}\r\n", bytes.len()), bytes),
            Value::BlobError(bytes) => line(&format!("!{}\r\n", bytes.len()), bytes),
            Value::Verbatim(bytes) => line(&format!("={}\r\ntxt:", bytes.len() + 4), bytes),
            Value::Array(values) => encode_all(&format!("*{}\r\n", values.len()), values, out),
            Value::Set(values) => encode_all(&format!("~{}\r\n", values.len()), values, out),
            Value::Push(values) => encode_all(&format!(">{}\r\n", values.len()), values, out),
            Value::Map(pairs) => encode_pairs('%', pairs, out),
            Value::Attributed(pairs, value) => {
                encode_pairs('|', pairs, out);
                value.encode(out);
            }
        }
    }

    /// What `describe` must find in the bytes.
    pub(crate) fn text(&self) -> String {
        let list = |open: &str, values: &[Value]| {
            format!("{open}{}]", values.iter().map(Value::text).collect::<Vec<_>>().join(" "))
        };
        match self {
            Value::Status(text) => format!("+{}", text.escape_ascii()),
            Value::Error(text) => format!("-{}", text.escape_ascii()),
            Value::Integer(value) => format!(":{value}"),
            Value::Bulk(bytes) => format!("\"{}\"", bytes.escape_ascii()),
            Value::Null(_) => "null".to_owned(),
            Value::Array(values) => list("[", values),
            Value::Set(values) => list("~[", values),
            Value::Push(values) => list(">[", values),
            Value::Map(pairs) => pairs_text(pairs),
            Value::Double(value) => format!(",{value:?}"),
            Value::Boolean(value) => format!("#{value}"),
            Value::BigNumber(digits) => format!("({digits}"),
            Value::Verbatim(bytes) => format!("=\"{}\"", bytes.escape_ascii()),
            Value::BlobError(bytes) => format!("!{}", bytes.escape_ascii()),
            Value::Attributed(pairs, value) => format!("|{} {}", pairs_text(pairs), value.text()),
        }
    }

    pub(crate) fn is_push(&self) -> bool {
        match self {
            Value::Push(_) => true,
            Value::Attributed(_, value) => value.is_push(),
            _ => false,
        }
    }
}

fn random_pairs(random: &mut Random, depth: usize) -> Vec<(Value, Value)> {
    (0..random.below(3))
        .map(|_| (Value::random(random, depth - 1), Value::random(random, depth - 1)))
        .collect()
}

fn encode_all(header: &str, values: &[Value], out: &mut Vec<u8>) {
    out.extend_from_slice(header.as_bytes());
    values.iter().for_each(|value| value.encode(out));
}

fn encode_pairs(tag: char, pairs: &[(Value, Value)], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{tag}{}\r\n", pairs.len()).as_bytes());
    for (key, value) in pairs {
        key.encode(out);
        value.encode(out);
    }
}

fn pairs_text(pairs: &[(Value, Value)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(key, value)| format!("{}={}", key.text(), value.text())).collect();
    format!("{{{}}}", pairs.join(" "))
}
