//! Whether the checks see what they are for. This program has no test harness of its own, so that they are tried before each run.

use std::collections::BTreeSet;
use std::time::Duration;

use super::book::{Book, Kind, Op, State};
use super::check::{Held, Loss, check_loss, check_tag};

/// Commands, what the list and the twins hold, and when servers began to lose something (0: never).
type Given = (Vec<Op>, Vec<u64>, u64, u32);

/// Reports and contents that fit, and such as have one thing wrong; and how many violations there are.
pub(crate) fn check_the_checks() {
    let op = |kind, state, reply, done_us| Op { kind, state, tag: 0, submitted_us: 0, done_us, reply };
    let push = |state, reply, done_us| op(Kind::Push, state, reply, done_us);
    let write = |state| op(Kind::Write, state, 0, 0);
    let read = |reply| op(Kind::Read, State::Executed, reply, 0);
    let (ran, not, unknown) = (State::Executed, State::NotExecuted, State::Unknown);
    let three = || vec![push(ran, 1, 10), push(ran, 2, 20), push(ran, 3, 40)];
    let five = || [three(), vec![push(ran, 4, 50), push(unknown, 0, 60)]].concat();
    let count = |ops| (ops, Vec::new(), 0, 0);
    let list = |ops, list: &[u64]| (ops, list.to_vec(), 0, 0);
    let cases: Vec<(Given, u64)> = vec![
        (list(five(), &[1, 2, 3, 4]), 0),
        (list(five(), &[1, 2, 3, 4, 5]), 0),
        (list(five(), &[1, 5, 2, 3, 4]), 0),
        (list(five(), &[1, 3, 2, 4]), 1),
        (list(five(), &[1, 2, 3, 4, 4]), 2),
        (list(five(), &[1, 2, 4]), 1),
        (list(five(), &[1, 2, 3, 4, 6]), 1),
        (list(vec![push(ran, 1, 10), push(not, 0, 0)], &[1, 2]), 1),
        (list(vec![push(ran, 2, 10), push(ran, 1, 20)], &[1, 2]), 1),
        (list(vec![push(State::Pending, 0, 0)], &[]), 1),
        // A loss at 30: a run before it may be missing, one that has a gap, or ended earlier, may not.
        ((five(), vec![1, 3, 4], 0, 30), 0),
        ((five(), vec![3, 4], 0, 30), 0),
        ((five(), vec![2, 3, 4], 0, 30), 1),
        ((five(), vec![1, 3], 0, 30), 1),
        // Reads and twins.
        ((vec![write(ran), read(1)], vec![], 1, 0), 0),
        ((vec![write(ran), read(0)], vec![], 1, 0), 1),
        ((vec![read(2), write(ran)], vec![], 2, 0), 1),
        ((vec![write(not), read(1)], vec![], 0, 0), 1),
        ((vec![write(unknown), write(ran), read(1)], vec![], 2, 0), 0),
        ((vec![write(ran), write(ran)], vec![], 1, 0), 1),
        ((vec![write(ran), write(not)], vec![], 2, 0), 1),
        (count(vec![op(Kind::Increment, ran, 1, 0)]), 1),
    ];
    // FencedReconnect: nothing runs late.
    let fenced: Vec<(Given, u64)> = vec![
        (list(five(), &[1, 2, 3, 4, 5]), 0),
        (list(vec![push(unknown, 0, 5), push(ran, 1, 10)], &[2, 1]), 1),
        ((vec![write(unknown), write(ran), read(2)], vec![], 2, 0), 0),
        ((vec![write(unknown), write(ran), read(1)], vec![], 2, 0), 1),
        ((vec![write(unknown), write(ran)], vec![], 1, 0), 1),
    ];
    let all = cases.into_iter().map(|case| (false, case)).chain(fenced.into_iter().map(|case| (true, case)));
    for (fenced, ((ops, list, twins, lost_at_us), expected)) in all {
        let mut book = Book::new(["t".to_owned()]);
        book.tally.fenced = fenced;
        let told = format!("{ops:?} {list:?} {twins} {lost_at_us}");
        book.ops = ops;
        let at = book.began + Duration::from_micros(lost_at_us.into());
        let loss = Some(Loss { at, slots: vec![(0, 16_383)] }).filter(|_| lost_at_us > 0);
        let held = Held { list, count: 0, twins: [Ok(twins), Ok(twins)] };
        let mut lost = BTreeSet::new();
        check_tag(&mut book, 0, &held, loss.as_ref(), &mut lost);
        if let Some(loss) = &loss {
            check_loss(&mut book, loss, &lost);
        }
        assert_eq!(book.tally.violations, expected, "{told}: {:?}", book.tally.told);
    }
}
