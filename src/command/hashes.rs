//! Commands on hashes.

use std::collections::HashMap;

use bytes::Bytes;

use crate::command::arg::{Arg, ToArg};
use crate::command::list::{with_items, with_pairs};
use crate::command::{Commands, Keys, Request};

/// Hashes: fields with values under one key.
///
/// A key that holds another type is a `WRONGTYPE` error of the server; an empty list of fields is a syntax error of the server.
pub trait Hashes: Commands {
    /// The value of a field; `None` where there is no such field or key.
    /// [HGET](https://redis.io/docs/latest/commands/hget/)
    fn hget(&mut self, key: impl ToArg, field: impl ToArg) -> Self::Output<Option<Bytes>> {
        self.request(Request::new("HGET", Keys::FIRST, &[key.to_arg(), field.to_arg()]).read_only())
    }

    /// Sets fields; answers how many are new (others are changed, and not counted).
    /// [HSET](https://redis.io/docs/latest/commands/hset/)
    fn hset<F: ToArg, V: ToArg>(
        &mut self,
        key: impl ToArg,
        fields: impl IntoIterator<Item = (F, V)>,
    ) -> Self::Output<u64> {
        with_pairs(&[key.to_arg()], fields, |args| self.request(Request::new("HSET", Keys::FIRST, args)))
    }

    /// The values of several fields, in the order asked; `None` for each that does not exist.
    /// [HMGET](https://redis.io/docs/latest/commands/hmget/)
    fn hmget<F: ToArg>(
        &mut self,
        key: impl ToArg,
        fields: impl IntoIterator<Item = F>,
    ) -> Self::Output<Vec<Option<Bytes>>> {
        with_items(&[key.to_arg()], fields, |args| {
            self.request(Request::new("HMGET", Keys::FIRST, args).read_only())
        })
    }

    /// All fields with their values; empty where there is no such key.
    /// [HGETALL](https://redis.io/docs/latest/commands/hgetall/)
    fn hgetall(&mut self, key: impl ToArg) -> Self::Output<HashMap<Bytes, Bytes>> {
        self.request(Request::new("HGETALL", Keys::FIRST, &[key.to_arg()]).read_only())
    }

    /// Deletes fields; answers how many there were. The key goes with its last field.
    /// [HDEL](https://redis.io/docs/latest/commands/hdel/)
    fn hdel<F: ToArg>(&mut self, key: impl ToArg, fields: impl IntoIterator<Item = F>) -> Self::Output<u64> {
        with_items(&[key.to_arg()], fields, |args| self.request(Request::new("HDEL", Keys::FIRST, args)))
    }

    /// Whether there is such a field. [HEXISTS](https://redis.io/docs/latest/commands/hexists/)
    fn hexists(&mut self, key: impl ToArg, field: impl ToArg) -> Self::Output<bool> {
        self.request(Request::new("HEXISTS", Keys::FIRST, &[key.to_arg(), field.to_arg()]).read_only())
    }

    /// How many fields there are; 0 where there is no such key.
    /// [HLEN](https://redis.io/docs/latest/commands/hlen/)
    fn hlen(&mut self, key: impl ToArg) -> Self::Output<u64> {
        self.request(Request::new("HLEN", Keys::FIRST, &[key.to_arg()]).read_only())
    }

    /// Adds to the number in a field; answers the new one. No field counts as 0.
    /// [HINCRBY](https://redis.io/docs/latest/commands/hincrby/)
    ///
    /// A value that is no integer of 64 bits, and a sum that would not be one, are errors of the server.
    fn hincrby(&mut self, key: impl ToArg, field: impl ToArg, increment: i64) -> Self::Output<i64> {
        let args = [key.to_arg(), field.to_arg(), Arg::Integer(increment)];
        self.request(Request::new("HINCRBY", Keys::FIRST, &args))
    }
}

impl<C: Commands> Hashes for C {}
