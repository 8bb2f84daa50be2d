//! RESP2 and RESP3: bytes in, bytes out.
//!
//! | module | does |
//! |---|---|
//! | [`encode`] | writes commands: arrays of bulk strings |
//! | [`scan`] | finds where a reply ends, in bytes that arrive in pieces, and proves that it is well formed |
//! | [`reply`] | reads one such reply in place: views, no tree of values |
//! | [`from_reply`] | turns a view into a Rust type |
//! | [`server_error`] | tells what an error line asks for: a redirect, patience, or nothing |
//!
//! Knows the wire format of the [protocol specification] and of RESP3; refuses to know sockets, commands, slots
//! and which command a reply answers. Invariant: no bytes from a server make this module panic, recurse, or
//! allocate more than it was handed; a length that a server *declares* never reserves memory.
//!
//! [protocol specification]: https://redis.io/docs/latest/develop/reference/protocol-spec/

mod debug;
mod elements;
pub mod encode;
pub mod from_reply;
mod header;
pub mod reply;
pub mod scan;
pub mod server_error;
mod walk;

pub use elements::{Elements, Pairs};
pub use from_reply::{FromReply, pairs_vec};
pub use reply::{ReplyKind, ReplyRef};
pub use scan::{Frame, FrameKind, Scan, Scanner};
