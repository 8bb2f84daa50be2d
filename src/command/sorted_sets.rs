//! Commands on sorted sets.

use bytes::Bytes;

use crate::command::arg::{Arg, ToArg};
use crate::command::list::{with_items, with_pairs};
use crate::command::{Commands, Keys, Request};

/// Sorted sets: members, each with a score, in the order of their scores (and where those are equal, of their bytes).
///
/// A key that holds another type is a `WRONGTYPE` error of the server; an empty list of members is an error too. Scores
/// are doubles; the infinities are scores, NaN is an error.
pub trait SortedSets: Commands {
    /// Sets the scores of members, and adds those that are new; answers how many are new.
    /// [ZADD](https://redis.io/docs/latest/commands/zadd/)
    fn zadd<M: ToArg>(
        &mut self,
        key: impl ToArg,
        members: impl IntoIterator<Item = (f64, M)>,
    ) -> Self::Output<u64> {
        with_pairs(&[key.to_arg()], members, |args| self.request(Request::new("ZADD", Keys::FIRST, args)))
    }

    /// Removes members; answers how many there were. The key goes with its last member.
    /// [ZREM](https://redis.io/docs/latest/commands/zrem/)
    fn zrem<M: ToArg>(&mut self, key: impl ToArg, members: impl IntoIterator<Item = M>) -> Self::Output<u64> {
        with_items(&[key.to_arg()], members, |args| self.request(Request::new("ZREM", Keys::FIRST, args)))
    }

    /// The score of a member; `None` where there is no such member or key.
    /// [ZSCORE](https://redis.io/docs/latest/commands/zscore/)
    fn zscore(&mut self, key: impl ToArg, member: impl ToArg) -> Self::Output<Option<f64>> {
        self.request(Request::new("ZSCORE", Keys::FIRST, &[key.to_arg(), member.to_arg()]).read_only())
    }

    /// How many members there are; 0 where there is no such key.
    /// [ZCARD](https://redis.io/docs/latest/commands/zcard/)
    fn zcard(&mut self, key: impl ToArg) -> Self::Output<u64> {
        self.request(Request::new("ZCARD", Keys::FIRST, &[key.to_arg()]).read_only())
    }

    /// The members from rank `start` to `stop`, both included, lowest score first, counted from 0, or from the end where negative
    /// (-1 is the highest). What lies outside is left out; empty where there is no such key.
    /// [ZRANGE](https://redis.io/docs/latest/commands/zrange/)
    fn zrange(&mut self, key: impl ToArg, start: i64, stop: i64) -> Self::Output<Vec<Bytes>> {
        let args = [key.to_arg(), Arg::Integer(start), Arg::Integer(stop)];
        self.request(Request::new("ZRANGE", Keys::FIRST, &args).read_only())
    }

    /// As [`SortedSets::zrange`], each member with its score.
    fn zrange_with_scores(
        &mut self,
        key: impl ToArg,
        start: i64,
        stop: i64,
    ) -> Self::Output<Vec<(Bytes, f64)>> {
        let args = [key.to_arg(), Arg::Integer(start), Arg::Integer(stop), Arg::Bytes(b"WITHSCORES")];
        self.request(Request::new("ZRANGE", Keys::FIRST, &args).read_only())
    }

    /// Adds to the score of a member; answers the new one. No member counts as 0, and is added.
    /// [ZINCRBY](https://redis.io/docs/latest/commands/zincrby/)
    fn zincrby(&mut self, key: impl ToArg, increment: f64, member: impl ToArg) -> Self::Output<f64> {
        let args = [key.to_arg(), Arg::Float(increment), member.to_arg()];
        self.request(Request::new("ZINCRBY", Keys::FIRST, &args))
    }
}

impl<C: Commands> SortedSets for C {}
