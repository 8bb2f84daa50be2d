//! What the typed commands stand on: whoever can take a request and promise its reply.

use crate::command::{Cmd, Request};
use crate::error::Result;
use crate::resp::from_reply::FromReply;

/// Takes commands. A client answers the value itself, a pipeline a ticket for it; the typed commands are written once for both.
pub trait Commands {
    /// What a command of reply type `R` is answered with: `Result<R>` or `Ticket<R>`.
    type Output<R: FromReply>;

    /// Takes one command.
    fn request<R: FromReply>(&mut self, request: Request<'_>) -> Self::Output<R>;
}

/// Anything that is a whole command: a [`Request`] or a [`Cmd`].
pub trait ToRequest {
    /// The command, borrowed.
    ///
    /// # Errors
    /// What [`Cmd::request`] refuses.
    fn to_request(&self) -> Result<Request<'_>>;
}

impl ToRequest for Request<'_> {
    fn to_request(&self) -> Result<Request<'_>> {
        Ok(*self)
    }
}

impl ToRequest for Cmd {
    fn to_request(&self) -> Result<Request<'_>> {
        self.request()
    }
}

impl<C: ToRequest + ?Sized> ToRequest for &C {
    fn to_request(&self) -> Result<Request<'_>> {
        (**self).to_request()
    }
}
