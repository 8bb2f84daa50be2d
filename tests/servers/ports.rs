//! Ports that nobody else takes, in this process or another.
//!
//! A claim on port p is a listener on 127.77.0.1:p. All test processes of the machine use that address, so a port
//! is claimed by one of them at a time, also while its server is down; the kernel ends the claim with the process.
//! The servers themselves listen on 127.0.0.1, where the claim is not in their way.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

/// Data ports; the bus ports that belong to them do not overlap with these, and neither do those from which the
/// kernel takes the local ports of outgoing connections (32768 and up).
const FIRST: u16 = 11_000;
const COUNT: u16 = 9_000;

/// The cluster bus listens this far above the data port; 6.2 cannot be told otherwise.
const BUS_OFFSET: u16 = 10_000;

const CLAIMS: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);

/// A port that is this process's own while the value lives.
#[derive(Debug)]
pub(super) struct PortClaim {
    port: u16,
    _claim: TcpListener,
}

impl PortClaim {
    /// Claims a port which is free for data, and whose bus port is free too.
    pub(super) fn take() -> PortClaim {
        (0..COUNT).find_map(|_| claim(next_candidate())).expect("some port of thousands is free")
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }
}

fn claim(port: u16) -> Option<PortClaim> {
    let listener = TcpListener::bind((CLAIMS, port)).ok()?;
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    (free(port) && free(port + BUS_OFFSET)).then_some(PortClaim { port, _claim: listener })
}

/// Processes start at different places, so that they seldom meet.
fn next_candidate() -> u16 {
    static START: LazyLock<u32> = LazyLock::new(|| {
        let nanos = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.subsec_nanos());
        nanos.wrapping_add(std::process::id().wrapping_mul(7919))
    });
    static STEP: AtomicU32 = AtomicU32::new(0);
    let step = STEP.fetch_add(1, Ordering::Relaxed);
    FIRST + (START.wrapping_add(step) % u32::from(COUNT)) as u16
}
