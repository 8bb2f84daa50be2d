use super::*;
use crate::engine::rng::Rng;

/// The queue as a plain byte string with positions.
#[derive(Default)]
struct Model {
    bytes: Vec<u8>,
    acked: usize,
    sent: usize,
    flushed: usize,
}

fn unsent(queue: &SendQueue, quantum: usize) -> Vec<u8> {
    let mut slices = SmallVec::new();
    queue.unsent(&mut slices, quantum);
    slices.iter().flat_map(|slice| slice.iter().copied()).collect()
}

fn joined(pieces: &CommandBytes) -> Vec<u8> {
    pieces.iter().flatten().copied().collect()
}

#[test]
fn bytes_wait_for_the_flush_and_then_leave_in_order() {
    let mut queue = SendQueue::default();
    queue.prepare(3);
    queue.put(b"abc");
    assert!(unsent(&queue, 100).is_empty(), "nothing leaves before the flush");
    assert!(queue.flush());
    queue.put(b"def");
    assert_eq!(unsent(&queue, 100), b"abc", "what came after the flush waits for the next");
    queue.advance_sent(2);
    assert_eq!(unsent(&queue, 100), b"c");
    queue.flush();
    assert_eq!(unsent(&queue, 100), b"cdef");
    assert_eq!(unsent(&queue, 2), b"cd", "the quantum bounds one write");
}

#[test]
fn a_queue_that_holds_nothing_starts_over_in_its_buffer() {
    let mut queue = SendQueue::default();
    let mut places = Vec::new();
    for round in 0..3 {
        queue.start_over();
        queue.room(3).copy_from_slice(b"abc");
        queue.fill(3);
        queue.flush();
        let mut slices = SmallVec::new();
        queue.unsent(&mut slices, 100);
        places.push(slices[0].as_ptr());
        drop(slices);
        queue.advance_sent(3);
        if round == 1 {
            // A command without a reply keeps its bytes where they are.
            queue.start_over();
            assert_eq!(joined(&queue.share(3, 3)), b"abc");
        }
        queue.ack(3);
        queue.invariants();
    }
    assert_eq!(places, [places[0]; 3]);
}

#[test]
fn large_shared_arguments_are_not_copied() {
    let large = Bytes::from(vec![7u8; SHARED_BYTES_MIN]);
    let mut queue = SendQueue::default();
    queue.put(b"head");
    queue.put_shared(&large);
    queue.put(b"\r\n");
    queue.flush();
    let shared = queue.share(4, large.len() as u64);
    assert_eq!(shared.len(), 1);
    assert_eq!(shared[0].as_ptr(), large.as_ptr(), "the segment is the caller's own memory");
    queue.invariants();
}

#[test]
fn any_sequence_of_calls_agrees_with_a_byte_string() {
    for seed in 0..if cfg!(miri) { 1 } else { 40 } {
        agree_with_model(seed);
    }
}

fn check_against(rng: &mut Rng, queue: &SendQueue, model: &Model) {
    queue.invariants();
    let start = model.acked + rng.below((model.bytes.len() - model.acked) as u64 + 1) as usize;
    let mut seen = [0; 48];
    let len = queue.peek(start as u64, &mut seen);
    assert_eq!(seen[..len], model.bytes[start..model.bytes.len().min(start + 48)]);
}

/// Repeat one failure by calling this with the seed it names.
fn agree_with_model(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut queue = SendQueue::default();
    let mut model = Model::default();
    let mut lens: VecDeque<usize> = VecDeque::new();
    for step in 0..if cfg!(miri) { 60 } else { 400 } {
        match rng.below(7) {
            6 if rng.below(12) == 0 => rebuild(&mut queue, &mut model, &lens),
            6 => lens.push_back(fill_room(&mut rng, &mut queue, &mut model)),
            0 | 1 => {
                let bound = if rng.below(20) == 0 { 40_000 } else { 200 };
                let len = 1 + rng.below(bound) as usize;
                let bytes: Vec<u8> = (0..len).map(|n| (n as u64 ^ seed ^ step) as u8).collect();
                if rng.below(2) == 0 {
                    queue.prepare(len);
                    queue.put(&bytes);
                } else {
                    queue.put_shared(&Bytes::from(bytes.clone()));
                }
                model.bytes.extend_from_slice(&bytes);
                lens.push_back(len);
            }
            2 => {
                queue.flush();
                model.flushed = model.bytes.len();
            }
            3 => {
                // Half of the time exactly to the end of a command: where cursors go wrong.
                let any = rng.below((model.flushed - model.sent) as u64 + 1) as usize;
                let ends =
                    lens.iter().scan(model.acked, |at, len| Some(std::mem::replace(at, *at + len) + len));
                let whole =
                    ends.filter(|end| (model.sent..=model.flushed).contains(end)).nth(rng.below(3) as usize);
                let n = whole.filter(|_| rng.below(2) == 0).map_or(any, |end| end - model.sent);
                queue.advance_sent(n);
                model.sent += n;
                if rng.below(4) == 0 {
                    let untaken = rng.below((model.sent - model.acked) as u64 + 1) as usize;
                    queue.retract_sent(untaken);
                    model.sent -= untaken;
                }
            }
            4 => {
                while let Some(&len) = lens.front() {
                    if model.acked + len > model.sent || rng.below(4) == 0 {
                        break;
                    }
                    queue.ack(len as u64);
                    model.acked += len;
                    lens.pop_front();
                }
            }
            _ => take_back_last(&mut rng, &mut queue, &mut model, &mut lens),
        }
        check_against(&mut rng, &queue, &model);
        let expected = &model.bytes[model.sent..model.flushed];
        let got = unsent(&queue, usize::MAX);
        assert!(
            expected.starts_with(&got) && got.is_empty() == expected.is_empty(),
            "seed {seed} step {step}"
        );
        let mut pieces = Vec::new();
        queue.share_unsent(&mut pieces, 16, usize::MAX);
        assert_eq!(pieces.concat(), got, "seed {seed} step {step}");
        assert_eq!(queue.held_bytes() as usize, model.bytes.len() - model.acked, "seed {seed} step {step}");
        let front = lens.front().map_or(0, |&len| len);
        let shared = queue.share(model.acked as u64, front as u64);
        assert_eq!(joined(&shared), model.bytes[model.acked..model.acked + front], "seed {seed} step {step}");
    }
}

/// As after a lost connection: everything that is held starts over.
fn rebuild(queue: &mut SendQueue, model: &mut Model, lens: &VecDeque<usize>) {
    let starts = queue.segment_starts();
    let mut at = model.acked;
    let mut runs = Vec::new();
    for &len in lens {
        runs.push((queue.share_from(&starts, at as u64, len as u64), at < model.flushed));
        at += len;
    }
    queue.rebuild(runs);
    let flushed = model.flushed - model.acked;
    *model = Model { bytes: model.bytes.split_off(model.acked), acked: 0, sent: 0, flushed };
}

/// A command that is written with slack: what is behind it has no meaning and may never leave.
fn fill_room(rng: &mut Rng, queue: &mut SendQueue, model: &mut Model) -> usize {
    if model.flushed == model.bytes.len() && rng.below(2) == 0 {
        queue.start_over();
    }
    let bound = if rng.below(20) == 0 { 16_000 } else { 200 };
    let len = 1 + rng.below(bound) as usize;
    let bytes: Vec<u8> = (0..len).map(|_| rng.below(200) as u8).collect();
    let room = queue.room(len + 32);
    room.fill(0xee);
    room[..len].copy_from_slice(&bytes);
    queue.fill(len);
    model.bytes.extend_from_slice(&bytes);
    len
}

fn take_back_last(rng: &mut Rng, queue: &mut SendQueue, model: &mut Model, lens: &mut VecDeque<usize>) {
    let Some(&len) = lens.back() else { return };
    let start = model.bytes.len() - len;
    if start >= model.sent && rng.below(3) == 0 {
        queue.truncate(start as u64);
        model.bytes.truncate(start);
        model.flushed = model.flushed.min(start);
        lens.pop_back();
    }
}
