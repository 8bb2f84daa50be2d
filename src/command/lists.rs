//! Commands on lists.

use bytes::Bytes;

use crate::command::arg::{Arg, ToArg};
use crate::command::list::with_items;
use crate::command::{Commands, Keys, Request};

/// Lists: values in order, reached from both ends.
///
/// A key that holds another type is a `WRONGTYPE` error of the server. The blocking forms (BLPOP, …) are not offered:
/// they would hold up the connection that all commands of a node share.
pub trait Lists: Commands {
    /// Puts values in front, one after the other, so that the last is the new first; answers the new length.
    /// [LPUSH](https://redis.io/docs/latest/commands/lpush/)
    ///
    /// No values at all is an error of the server; so it is for [`Lists::rpush`].
    fn lpush<V: ToArg>(&mut self, key: impl ToArg, values: impl IntoIterator<Item = V>) -> Self::Output<u64> {
        with_items(&[key.to_arg()], values, |args| self.request(Request::new("LPUSH", Keys::FIRST, args)))
    }

    /// Puts values behind, in their order; answers the new length.
    /// [RPUSH](https://redis.io/docs/latest/commands/rpush/)
    fn rpush<V: ToArg>(&mut self, key: impl ToArg, values: impl IntoIterator<Item = V>) -> Self::Output<u64> {
        with_items(&[key.to_arg()], values, |args| self.request(Request::new("RPUSH", Keys::FIRST, args)))
    }

    /// Takes the first value; `None` where there is no such key, which goes with its last value.
    /// [LPOP](https://redis.io/docs/latest/commands/lpop/)
    fn lpop(&mut self, key: impl ToArg) -> Self::Output<Option<Bytes>> {
        self.request(Request::new("LPOP", Keys::FIRST, &[key.to_arg()]))
    }

    /// Takes the last value; `None` where there is no such key, which goes with its last value.
    /// [RPOP](https://redis.io/docs/latest/commands/rpop/)
    fn rpop(&mut self, key: impl ToArg) -> Self::Output<Option<Bytes>> {
        self.request(Request::new("RPOP", Keys::FIRST, &[key.to_arg()]))
    }

    /// The length; 0 where there is no such key. [LLEN](https://redis.io/docs/latest/commands/llen/)
    fn llen(&mut self, key: impl ToArg) -> Self::Output<u64> {
        self.request(Request::new("LLEN", Keys::FIRST, &[key.to_arg()]).read_only())
    }

    /// The values from `start` to `stop`, both included, counted from 0, or from the end where negative (-1 is the
    /// last). What lies outside is left out; empty where there is no such key.
    /// [LRANGE](https://redis.io/docs/latest/commands/lrange/)
    fn lrange(&mut self, key: impl ToArg, start: i64, stop: i64) -> Self::Output<Vec<Bytes>> {
        let args = [key.to_arg(), Arg::Integer(start), Arg::Integer(stop)];
        self.request(Request::new("LRANGE", Keys::FIRST, &args).read_only())
    }
}

impl<C: Commands> Lists for C {}
