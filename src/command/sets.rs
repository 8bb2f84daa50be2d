//! Commands on sets.

use bytes::Bytes;

use crate::command::arg::ToArg;
use crate::command::list::with_items;
use crate::command::{Commands, Keys, Request};

/// Sets: values without order, each once.
///
/// A key that holds another type is a `WRONGTYPE` error of the server; an empty list of members is an error of the server too.
pub trait Sets: Commands {
    /// Adds members; answers how many are new. [SADD](https://redis.io/docs/latest/commands/sadd/)
    fn sadd<M: ToArg>(&mut self, key: impl ToArg, members: impl IntoIterator<Item = M>) -> Self::Output<u64> {
        with_items(&[key.to_arg()], members, |args| self.request(Request::new("SADD", Keys::FIRST, args)))
    }

    /// Removes members; answers how many there were. The key goes with its last member.
    /// [SREM](https://redis.io/docs/latest/commands/srem/)
    fn srem<M: ToArg>(&mut self, key: impl ToArg, members: impl IntoIterator<Item = M>) -> Self::Output<u64> {
        with_items(&[key.to_arg()], members, |args| self.request(Request::new("SREM", Keys::FIRST, args)))
    }

    /// All members, in no order; empty where there is no such key.
    /// [SMEMBERS](https://redis.io/docs/latest/commands/smembers/)
    fn smembers(&mut self, key: impl ToArg) -> Self::Output<Vec<Bytes>> {
        self.request(Request::new("SMEMBERS", Keys::FIRST, &[key.to_arg()]).read_only())
    }

    /// Whether it is a member. [SISMEMBER](https://redis.io/docs/latest/commands/sismember/)
    fn sismember(&mut self, key: impl ToArg, member: impl ToArg) -> Self::Output<bool> {
        self.request(Request::new("SISMEMBER", Keys::FIRST, &[key.to_arg(), member.to_arg()]).read_only())
    }

    /// How many members there are; 0 where there is no such key.
    /// [SCARD](https://redis.io/docs/latest/commands/scard/)
    fn scard(&mut self, key: impl ToArg) -> Self::Output<u64> {
        self.request(Request::new("SCARD", Keys::FIRST, &[key.to_arg()]).read_only())
    }
}

impl<C: Commands> Sets for C {}
