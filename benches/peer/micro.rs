//! The small workloads: one function of the hot path each, over material that is made beforehand.

use bytes::BytesMut;
use panpipe::config::FrameLimits;
use panpipe::resp::scan::Scanner;

use super::{KEY_BYTES, VALUE, keys, measured};

/// What is done once per item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    Slot,
    /// The crate alone, without looking for a hash tag: the reference.
    Crc16,
    EncodeRequest,
    EncodeCmd,
    Scan,
    /// As `Scan`, arriving in pieces of this many bytes.
    ScanChunked(usize),
}

/// One small workload.
#[derive(Debug)]
pub(crate) struct Micro {
    pub(crate) name: &'static str,
    job: Job,
    keys: Vec<Vec<u8>>,
    value: Option<&'static [u8]>,
    replies: Vec<u8>,
    pub(crate) items: u64,
    out: BytesMut,
    scanner: Scanner,
}

const ITEMS: usize = 1000;

/// The names of all small workloads.
pub(crate) const NAMES: [&str; 12] = [
    "slot_16",
    "slot_tagged",
    "slot_crc16_crate",
    "encode_set_request",
    "encode_set_cmd",
    "encode_get_request",
    "encode_get_cmd",
    "scan_ok",
    "scan_integer",
    "scan_bulk_64",
    "scan_array_10",
    "scan_array_10_chunked",
];

impl Micro {
    pub(crate) fn new(name: &'static str) -> Self {
        let job = match name {
            "slot_crc16_crate" => Job::Crc16,
            "encode_set_request" | "encode_get_request" => Job::EncodeRequest,
            "encode_set_cmd" | "encode_get_cmd" => Job::EncodeCmd,
            "scan_ok" | "scan_integer" | "scan_bulk_64" | "scan_array_10" => Job::Scan,
            "scan_array_10_chunked" => Job::ScanChunked(100),
            _ => Job::Slot,
        };
        let bulk = [b"$64\r\n".as_slice(), VALUE, b"\r\n"].concat();
        let reply = match name {
            "scan_integer" => b":1234567\r\n".to_vec(),
            "scan_bulk_64" => bulk,
            "scan_array_10" | "scan_array_10_chunked" => [b"*10\r\n".to_vec(), bulk.repeat(10)].concat(),
            _ => b"+OK\r\n".to_vec(),
        };
        let tagged = name == "slot_tagged";
        let key = |plain: [u8; KEY_BYTES]| match tagged {
            true => [b"user:{", &plain[4..], b"}:name"].concat(),
            false => plain.to_vec(),
        };
        let value: Option<&[u8]> = name.starts_with("encode_set").then_some(VALUE);
        Micro {
            name,
            job,
            keys: keys(ITEMS).into_iter().map(key).collect(),
            value,
            replies: reply.repeat(ITEMS),
            items: ITEMS as u64,
            out: BytesMut::with_capacity(256 * ITEMS),
            scanner: Scanner::new(FrameLimits::default()),
        }
    }

    /// Does the job once per item; the answer only keeps the work from being optimised away.
    pub(crate) fn round(&mut self) -> u64 {
        match self.job {
            Job::Slot => measured::slots(&self.keys),
            Job::Crc16 => measured::crc16(&self.keys),
            Job::EncodeRequest => measured::encode_requests(&self.keys, self.value, &mut self.out),
            Job::EncodeCmd => measured::encode_cmds(&self.keys, self.value, &mut self.out),
            Job::Scan => measured::scan(&mut self.scanner, &self.replies),
            Job::ScanChunked(chunk) => measured::scan_chunked(&mut self.scanner, &self.replies, chunk),
        }
    }
}
