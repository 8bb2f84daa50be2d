//! Sockets and their options.

use std::io::{self, IoSlice, Write};
use std::net::SocketAddr;
use std::time::Duration;

use ::mio::net::TcpStream;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::config::TcpOptions;

/// A nonblocking socket on its way to `address`.
pub(super) fn open_socket(address: SocketAddr, options: &TcpOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Buffer sizes count from the first packet on: the window is negotiated in the handshake.
    if options.send_buffer_bytes > 0 {
        socket.set_send_buffer_size(options.send_buffer_bytes)?;
    }
    if options.recv_buffer_bytes > 0 {
        socket.set_recv_buffer_size(options.recv_buffer_bytes)?;
    }
    socket.set_tcp_nodelay(options.nodelay)?;
    if options.keepalive_s > 0 {
        let idle = Duration::from_secs(u64::from(options.keepalive_s));
        socket
            .set_tcp_keepalive(&TcpKeepalive::new().with_time(idle).with_interval(Duration::from_secs(5)))?;
    }
    #[cfg(target_os = "linux")]
    if options.user_timeout_ms > 0 {
        socket.set_tcp_user_timeout(Some(Duration::from_millis(u64::from(options.user_timeout_ms))))?;
    }
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock || in_progress(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(socket)
}

/// EINPROGRESS has no stable `ErrorKind`.
fn in_progress(error: &io::Error) -> bool {
    const EINPROGRESS_LINUX: i32 = 115;
    const EINPROGRESS_BSD: i32 = 36;
    let code = if cfg!(any(target_os = "linux", target_os = "android")) {
        EINPROGRESS_LINUX
    } else {
        EINPROGRESS_BSD
    };
    error.raw_os_error() == Some(code)
}

/// Writes without ever raising SIGPIPE: the standard library asks for that with single buffers, not with vectored writes.
pub(super) fn write(stream: &mut TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    const MSG_NOSIGNAL: i32 = match () {
        () if cfg!(any(target_os = "linux", target_os = "android")) => 0x4000,
        () if cfg!(target_os = "freebsd") => 0x2_0000,
        // Where there is no such flag the standard library has set SO_NOSIGPIPE on the socket.
        () => 0,
    };
    match slices {
        [one] => stream.write(one),
        many => SockRef::from(&*stream).send_vectored_with_flags(many, MSG_NOSIGNAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_have_the_options_of_the_configuration() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let options = TcpOptions { send_buffer_bytes: 32 << 10, ..TcpOptions::default() };
        let socket = open_socket(listener.local_addr().expect("bound"), &options).expect("a socket");
        assert!(socket.tcp_nodelay().expect("option"));
        assert!(socket.keepalive().expect("option"));
        // The kernel doubles the size for its own bookkeeping.
        assert_eq!(socket.send_buffer_size().expect("option"), 64 << 10);
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_keepalive_time().expect("option"), Duration::from_secs(15));
            assert_eq!(socket.tcp_user_timeout().expect("option"), Some(Duration::from_secs(12)));
        }
    }
}
