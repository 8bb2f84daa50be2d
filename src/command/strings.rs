//! Commands on strings.

use bytes::Bytes;
use smallvec::smallvec;

use crate::command::arg::{Arg, ToArg};
use crate::command::expiry::{Expiry, OptionArgs, SetOptions};
use crate::command::list::{with_items, with_pairs};
use crate::command::{Commands, Keys, Merge, Request};

/// Strings: bytes, and numbers written as bytes.
///
/// Everything that takes [`Commands`] has these methods: a client answers `Result<R>`, a pipeline `Ticket<R>`.
///
/// ```no_run
/// use panpipe::prelude::*;
///
/// let mut client = Client::connect("redis://127.0.0.1:7000")?;
/// client.set("user:1", "ada")?;
/// assert_eq!(client.get("user:1")?.as_deref(), Some(b"ada".as_slice()));
///
/// let mut pipe = client.pipeline();
/// let hits = pipe.incr("hits");
/// let names = pipe.mget(["user:1", "user:2"]);
/// let replies = pipe.flush()?;
/// println!("{} {:?}", replies.get(hits)?, replies.get(names)?);
/// # Ok::<(), panpipe::Error>(())
/// ```
///
/// Except for the forms of SET, a key that holds another type is a `WRONGTYPE` error of the server.
pub trait Strings: Commands {
    /// The value; `None` where there is no such key. [GET](https://redis.io/docs/latest/commands/get/)
    fn get(&mut self, key: impl ToArg) -> Self::Output<Option<Bytes>> {
        self.request(Request::new("GET", Keys::FIRST, &[key.to_arg()]).read_only())
    }

    /// Sets a value, whatever the key held before; a time to live that it had is removed.
    /// [SET](https://redis.io/docs/latest/commands/set/)
    fn set(&mut self, key: impl ToArg, value: impl ToArg) -> Self::Output<()> {
        self.request(Request::new("SET", Keys::FIRST, &[key.to_arg(), value.to_arg()]))
    }

    /// Sets a value with an expiry or on a condition; answers whether it was set.
    /// [SET](https://redis.io/docs/latest/commands/set/)
    ///
    /// `Expiry::AtSeconds` and `Expiry::AtMs` need server 6.2. An expiry of 0 is an error of the server.
    fn set_with(&mut self, key: impl ToArg, value: impl ToArg, options: SetOptions) -> Self::Output<bool> {
        let mut args: OptionArgs<'_> = smallvec![key.to_arg(), value.to_arg()];
        options.push(&mut args);
        self.request(Request::new("SET", Keys::FIRST, &args))
    }

    /// Sets a value that expires after `seconds`. [SETEX](https://redis.io/docs/latest/commands/setex/)
    ///
    /// 0 seconds are an error of the server. For other units see [`Strings::set_with`].
    fn setex(&mut self, key: impl ToArg, seconds: u64, value: impl ToArg) -> Self::Output<()> {
        let args = [key.to_arg(), Arg::Unsigned(seconds), value.to_arg()];
        self.request(Request::new("SETEX", Keys::FIRST, &args))
    }

    /// Sets a value where the key does not exist; answers whether it was set.
    /// [SETNX](https://redis.io/docs/latest/commands/setnx/)
    ///
    /// With an expiry: [`Strings::set_with`] and [`SetOptions::if_absent`].
    fn setnx(&mut self, key: impl ToArg, value: impl ToArg) -> Self::Output<bool> {
        self.request(Request::new("SETNX", Keys::FIRST, &[key.to_arg(), value.to_arg()]))
    }

    /// Sets a value and answers the one before; `None` where there was none. A time to live is removed.
    /// [SET with GET](https://redis.io/docs/latest/commands/set/)
    ///
    /// Sent as SET with GET (server 6.2), which replaces the old GETSET. If the key holds another type it is
    /// `WRONGTYPE`, and nothing is set.
    fn getset(&mut self, key: impl ToArg, value: impl ToArg) -> Self::Output<Option<Bytes>> {
        let args = [key.to_arg(), value.to_arg(), Arg::Bytes(b"GET")];
        self.request(Request::new("SET", Keys::FIRST, &args))
    }

    /// Takes a value: answers it and deletes the key; `None` where there is no such key. Server 6.2.
    /// [GETDEL](https://redis.io/docs/latest/commands/getdel/)
    fn getdel(&mut self, key: impl ToArg) -> Self::Output<Option<Bytes>> {
        self.request(Request::new("GETDEL", Keys::FIRST, &[key.to_arg()]))
    }

    /// The value, and with it a change of the key's time to live; `None` where there is no such key. Server 6.2.
    /// [GETEX](https://redis.io/docs/latest/commands/getex/)
    ///
    /// [`Expiry::Keep`] leaves the time to live as it is, [`Expiry::Never`] removes it.
    fn getex(&mut self, key: impl ToArg, expiry: Expiry) -> Self::Output<Option<Bytes>> {
        let mut args: OptionArgs<'_> = smallvec![key.to_arg()];
        expiry.push_for_getex(&mut args);
        self.request(Request::new("GETEX", Keys::FIRST, &args))
    }

    /// Adds to the end of a value, or sets it where there is none; answers its new length in bytes.
    /// [APPEND](https://redis.io/docs/latest/commands/append/)
    fn append(&mut self, key: impl ToArg, value: impl ToArg) -> Self::Output<u64> {
        self.request(Request::new("APPEND", Keys::FIRST, &[key.to_arg(), value.to_arg()]))
    }

    /// The length of a value in bytes; 0 where there is no such key.
    /// [STRLEN](https://redis.io/docs/latest/commands/strlen/)
    fn strlen(&mut self, key: impl ToArg) -> Self::Output<u64> {
        self.request(Request::new("STRLEN", Keys::FIRST, &[key.to_arg()]).read_only())
    }

    /// Adds 1 to a number; answers the new one. No key counts as 0. [INCR](https://redis.io/docs/latest/commands/incr/)
    ///
    /// A value that is no integer of 64 bits, and a sum that would not be one, are errors of the server; this holds for all four.
    fn incr(&mut self, key: impl ToArg) -> Self::Output<i64> {
        self.request(Request::new("INCR", Keys::FIRST, &[key.to_arg()]))
    }

    /// Adds to a number; answers the new one. No key counts as 0.
    /// [INCRBY](https://redis.io/docs/latest/commands/incrby/)
    fn incrby(&mut self, key: impl ToArg, increment: i64) -> Self::Output<i64> {
        self.request(Request::new("INCRBY", Keys::FIRST, &[key.to_arg(), Arg::Integer(increment)]))
    }

    /// Takes 1 from a number; answers the new one. No key counts as 0.
    /// [DECR](https://redis.io/docs/latest/commands/decr/)
    fn decr(&mut self, key: impl ToArg) -> Self::Output<i64> {
        self.request(Request::new("DECR", Keys::FIRST, &[key.to_arg()]))
    }

    /// Takes from a number; answers the new one. No key counts as 0.
    /// [DECRBY](https://redis.io/docs/latest/commands/decrby/)
    fn decrby(&mut self, key: impl ToArg, decrement: i64) -> Self::Output<i64> {
        self.request(Request::new("DECRBY", Keys::FIRST, &[key.to_arg(), Arg::Integer(decrement)]))
    }

    /// Adds to a number with a fraction; answers the new one. No key counts as 0.
    /// [INCRBYFLOAT](https://redis.io/docs/latest/commands/incrbyfloat/)
    ///
    /// The server calculates with more digits than an `f64` has. A value that is no number is an error.
    fn incrbyfloat(&mut self, key: impl ToArg, increment: f64) -> Self::Output<f64> {
        self.request(Request::new("INCRBYFLOAT", Keys::FIRST, &[key.to_arg(), Arg::Float(increment)]))
    }

    /// The values of several keys, in the order asked; `None` for each that does not exist or holds another type.
    /// [MGET](https://redis.io/docs/latest/commands/mget/)
    ///
    /// Keys of several slots are split: one MGET per slot, sent together. Each is a moment of its own. No keys at all is `NoKey`.
    fn mget<K: ToArg>(&mut self, keys: impl IntoIterator<Item = K>) -> Self::Output<Vec<Option<Bytes>>> {
        with_items(&[], keys, |args| {
            let request = Request::new("MGET", Keys::all(args.len()), args).read_only();
            self.request(request.splittable(1, Merge::Elements))
        })
    }

    /// Sets several values. [MSET](https://redis.io/docs/latest/commands/mset/)
    ///
    /// Within one slot all are set at once. Keys of several slots are split: one MSET per slot, sent together; where
    /// some fail the error is `Partial`, and the others are set. No pairs at all is `NoKey`.
    fn mset<K: ToArg, V: ToArg>(&mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Self::Output<()> {
        with_pairs(&[], pairs, |args| {
            let keys = Keys::Range { first: 0, step: 2, count: args.len() / 2 };
            self.request(Request::new("MSET", keys, args).splittable(2, Merge::First))
        })
    }
}

impl<C: Commands> Strings for C {}
