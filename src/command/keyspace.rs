//! Commands on keys, whatever they hold.

use bytes::Bytes;

use crate::command::arg::{Arg, ToArg};
use crate::command::list::with_items;
use crate::command::replies::{KeyType, Ttl};
use crate::command::{Commands, Keys, Merge, Request, Route};

/// Keys, whatever they hold.
///
/// Where a method takes several keys they may be of several slots: there is one command per slot then, all are sent together, and
/// the answers are added up. Where some fail the error is `Partial`, and the others were done. No keys at all is `NoKey`.
pub trait Keyspace: Commands {
    /// Deletes keys; answers how many there were. [DEL](https://redis.io/docs/latest/commands/del/)
    ///
    /// Large values are freed on the spot, and the server waits for it: see [`Keyspace::unlink`].
    fn del<K: ToArg>(&mut self, keys: impl IntoIterator<Item = K>) -> Self::Output<u64> {
        with_items(&[], keys, |args| {
            self.request(Request::new("DEL", Keys::all(args.len()), args).splittable(1, Merge::Sum))
        })
    }

    /// Deletes keys and frees their values later; answers how many there were.
    /// [UNLINK](https://redis.io/docs/latest/commands/unlink/)
    fn unlink<K: ToArg>(&mut self, keys: impl IntoIterator<Item = K>) -> Self::Output<u64> {
        with_items(&[], keys, |args| {
            self.request(Request::new("UNLINK", Keys::all(args.len()), args).splittable(1, Merge::Sum))
        })
    }

    /// How many of these keys exist; one that is named twice counts twice.
    /// [EXISTS](https://redis.io/docs/latest/commands/exists/)
    fn exists<K: ToArg>(&mut self, keys: impl IntoIterator<Item = K>) -> Self::Output<u64> {
        with_items(&[], keys, |args| {
            let request = Request::new("EXISTS", Keys::all(args.len()), args).read_only();
            self.request(request.splittable(1, Merge::Sum))
        })
    }

    /// Marks keys as used now, for eviction; answers how many exist. [TOUCH](https://redis.io/docs/latest/commands/touch/)
    fn touch<K: ToArg>(&mut self, keys: impl IntoIterator<Item = K>) -> Self::Output<u64> {
        with_items(&[], keys, |args| {
            let request = Request::new("TOUCH", Keys::all(args.len()), args).read_only();
            self.request(request.splittable(1, Merge::Sum))
        })
    }

    /// Lets a key expire after `seconds`; false where there is no such key. Zero or less deletes it.
    /// [EXPIRE](https://redis.io/docs/latest/commands/expire/)
    fn expire(&mut self, key: impl ToArg, seconds: i64) -> Self::Output<bool> {
        self.request(Request::new("EXPIRE", Keys::FIRST, &[key.to_arg(), Arg::Integer(seconds)]))
    }

    /// Lets a key expire after `ms` milliseconds; false where there is no such key. Zero or less deletes it.
    /// [PEXPIRE](https://redis.io/docs/latest/commands/pexpire/)
    fn pexpire(&mut self, key: impl ToArg, ms: i64) -> Self::Output<bool> {
        self.request(Request::new("PEXPIRE", Keys::FIRST, &[key.to_arg(), Arg::Integer(ms)]))
    }

    /// How long a key has to live. [PTTL](https://redis.io/docs/latest/commands/pttl/)
    ///
    /// Sent as PTTL, which is TTL to the millisecond; the answer is a type, so that no unit and no -1 can be mistaken.
    fn ttl(&mut self, key: impl ToArg) -> Self::Output<Ttl> {
        self.request(Request::new("PTTL", Keys::FIRST, &[key.to_arg()]).read_only())
    }

    /// Removes a key's time to live; false where it had none or there is no such key.
    /// [PERSIST](https://redis.io/docs/latest/commands/persist/)
    fn persist(&mut self, key: impl ToArg) -> Self::Output<bool> {
        self.request(Request::new("PERSIST", Keys::FIRST, &[key.to_arg()]))
    }

    /// What kind of value a key holds. [TYPE](https://redis.io/docs/latest/commands/type/)
    fn key_type(&mut self, key: impl ToArg) -> Self::Output<KeyType> {
        self.request(Request::new("TYPE", Keys::FIRST, &[key.to_arg()]).read_only())
    }

    /// All keys of the cluster that match a pattern (`*` is all), in no order.
    /// [KEYS](https://redis.io/docs/latest/commands/keys/)
    ///
    /// Every primary looks through all its keys, and does nothing else meanwhile: for small data sets and for debugging.
    fn keys(&mut self, pattern: impl ToArg) -> Self::Output<Vec<Bytes>> {
        let args = [pattern.to_arg()];
        let request = Request::new("KEYS", Keys::None, &args).read_only().merged(Merge::Concat);
        self.request(request.route(&Route::AllPrimaries))
    }
}

impl<C: Commands> Keyspace for C {}
