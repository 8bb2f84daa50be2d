//! Both sides of the comparison behind one face: words in, raw frames out.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use panpipe::testkit::{ModelCluster, SessionId};

use super::wire::{Frame, Words, encode};

pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis() as u64
}

/// A connection to a real server that keeps the bytes of replies as they came.
pub(crate) struct Real {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Real {
    pub(crate) fn open(address: SocketAddr) -> Real {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("the option exists");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
        Real { stream, unread: Vec::new() }
    }

    pub(crate) fn batch(&mut self, commands: &[Words]) -> Vec<Vec<u8>> {
        let mut request = Vec::new();
        commands.iter().for_each(|words| encode(words, &mut request));
        self.stream.write_all(&request).expect("the server reads");
        let mut replies = Vec::new();
        let mut chunk = vec![0; 1 << 16];
        while replies.len() < commands.len() {
            let mut at = 0;
            while let Some((_, length)) = Frame::parse(&self.unread[at..]) {
                replies.push(self.unread[at..at + length].to_vec());
                at += length;
            }
            self.unread.drain(..at);
            if replies.len() < commands.len() {
                let length = self.stream.read(&mut chunk).expect("the server answers");
                assert_ne!(length, 0, "the server closed; unread: {:?}", self.unread);
                self.unread.extend_from_slice(&chunk[..length]);
            }
        }
        assert!(self.unread.is_empty(), "more replies than commands");
        replies
    }

    pub(crate) fn call(&mut self, words: &Words) -> Vec<u8> {
        self.batch(std::slice::from_ref(words)).remove(0)
    }

    /// Sends bytes as they are and reads until the server closes.
    pub(crate) fn raw_until_closed(mut self, bytes: &[u8]) -> Vec<u8> {
        self.stream.write_all(bytes).expect("the server reads");
        let mut read = Vec::new();
        // A reset ends the connection as well as an orderly close does.
        let _ = self.stream.read_to_end(&mut read);
        read
    }
}

/// The model's replies to commands on one session.
pub(crate) fn model_batch(
    model: &mut ModelCluster,
    session: SessionId,
    commands: &[Words],
    now_ms: u64,
) -> VecDeque<Vec<u8>> {
    let mut replies = VecDeque::new();
    for words in commands {
        let (mut request, mut reply) = (Vec::new(), Vec::new());
        encode(words, &mut request);
        model.feed(session, &request, now_ms);
        model.take_output(session, &mut reply);
        replies.push_back(reply);
    }
    replies
}
