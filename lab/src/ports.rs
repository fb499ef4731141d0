//! Free loopback ports for processes that have to keep theirs over a restart.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// Below the range from which the system takes the ports of outgoing connections, one of which could take it in between; and
/// none of the ports that `scripts/up` uses.
const RANGE: std::ops::Range<u16> = 10_000..15_000;
const ATTEMPTS: usize = 1_000;

/// A loopback address on which nobody listens, and which this process gives to no one else.
///
/// # Panics
/// No port of the range is free.
#[must_use]
pub fn free_address() -> SocketAddr {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..ATTEMPTS {
        let port = rand::random_range(RANGE);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if !given.contains(&port) && TcpListener::bind(address).is_ok() {
            given.insert(port);
            return address;
        }
    }
    panic!("no free port in {RANGE:?}");
}
