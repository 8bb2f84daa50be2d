//! Commands on servers: one of them, or all.

use bytes::Bytes;

use crate::command::arg::ToArg;
use crate::command::{Commands, Keys, Merge, Request, Route};

/// Servers: one of them, or all.
///
/// What goes to several nodes is sent to all of them at once. Where some fail the error is `Partial`; a pipeline's
/// [`Replies::parts`](crate::Replies::parts) has what each node said. Nodes are named as the topology names them.
pub trait Server: Commands {
    /// Asks one primary whether it is there; the answer is `PONG`. [PING](https://redis.io/docs/latest/commands/ping/)
    fn ping(&mut self) -> Self::Output<String> {
        self.request(Request::new("PING", Keys::None, &[]).route(&Route::AnyPrimary))
    }

    /// Asks every node whether it is there, replicas too; answers each node's name and its `PONG`.
    /// [PING](https://redis.io/docs/latest/commands/ping/)
    fn ping_all(&mut self) -> Self::Output<Vec<(String, String)>> {
        self.request(Request::new("PING", Keys::None, &[]).route(&Route::AllNodes).merged(Merge::PerNode))
    }

    /// Has one primary send something back. [ECHO](https://redis.io/docs/latest/commands/echo/)
    fn echo(&mut self, message: impl ToArg) -> Self::Output<Bytes> {
        self.request(Request::new("ECHO", Keys::None, &[message.to_arg()]).route(&Route::AnyPrimary))
    }

    /// How many keys the cluster holds: the sum over its primaries.
    /// [DBSIZE](https://redis.io/docs/latest/commands/dbsize/)
    fn dbsize(&mut self) -> Self::Output<u64> {
        let request = Request::new("DBSIZE", Keys::None, &[]).read_only().merged(Merge::Sum);
        self.request(request.route(&Route::AllPrimaries))
    }

    /// How many keys each primary holds, with its name. [DBSIZE](https://redis.io/docs/latest/commands/dbsize/)
    fn dbsize_per_node(&mut self) -> Self::Output<Vec<(String, u64)>> {
        let request = Request::new("DBSIZE", Keys::None, &[]).read_only().merged(Merge::PerNode);
        self.request(request.route(&Route::AllPrimaries))
    }

    /// Deletes everything, on all primaries. [FLUSHALL](https://redis.io/docs/latest/commands/flushall/)
    ///
    /// Whether the values are freed at once or later is up to the servers (`lazyfree-lazy-user-flush`).
    fn flushall(&mut self) -> Self::Output<()> {
        let request = Request::new("FLUSHALL", Keys::None, &[]).merged(Merge::First);
        self.request(request.route(&Route::AllPrimaries))
    }

    /// Publishes a message to a channel's subscribers; answers how many of them the node that took it serves itself: in a cluster
    /// there may be more. [PUBLISH](https://redis.io/docs/latest/commands/publish/)
    ///
    /// Any node will do, since each passes the message on to all others.
    fn publish(&mut self, channel: impl ToArg, message: impl ToArg) -> Self::Output<u64> {
        let args = [channel.to_arg(), message.to_arg()];
        self.request(Request::new("PUBLISH", Keys::None, &args).route(&Route::AnyPrimary))
    }
}

impl<C: Commands> Server for C {}
