//! Names and where they lead.
//!
//! A name is looked up at each attempt to connect, since what is behind it may have moved. While it cannot be looked up, the addresses that
//! were found last serve: a name server that is down takes no cluster with it. Knows nothing of nodes and sockets. Invariant: an address that
//! answers here was given by the resolver for this very name and port.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

use crate::config::{Endpoint, Resolver};
use crate::engine::ConnId;

/// Names whose addresses are remembered; servers can make up names for ever.
const REMEMBERED_MAX: usize = 4096;

/// The resolver, and what it said last.
#[derive(Default)]
pub(super) struct Names {
    resolver: Option<Resolver>,
    last_found: BTreeMap<Endpoint, Vec<SocketAddr>>,
}

impl Names {
    pub(super) fn new(resolver: Option<Resolver>) -> Self {
        Names { resolver, last_found: BTreeMap::new() }
    }

    /// The addresses of an endpoint, in the order in which this attempt tries them; none is no answer.
    pub(super) fn resolve(&mut self, conn: ConnId, endpoint: &Endpoint) -> io::Result<Vec<SocketAddr>> {
        if let Some(literal) = endpoint.literal() {
            return Ok(vec![literal]);
        }
        let mut addresses = match (self.look_up(endpoint), self.last_found.get(endpoint)) {
            (Ok(found), _) => {
                self.remember(endpoint, &found);
                found
            }
            (Err(_), Some(last)) => last.clone(),
            (Err(error), None) => {
                let text = format!("cannot resolve {}: {error}", endpoint.host);
                return Err(io::Error::new(error.kind(), text));
            }
        };
        // One deadline covers the attempt: begin elsewhere each time, so that a black hole does not hide the addresses behind it.
        let first = conn.attempt() % addresses.len().max(1);
        addresses.rotate_left(first);
        Ok(addresses)
    }

    fn look_up(&self, endpoint: &Endpoint) -> io::Result<Vec<SocketAddr>> {
        let (host, port) = (endpoint.host.as_str(), endpoint.port);
        let found = match &self.resolver {
            Some(resolve) => resolve(host, port)?,
            None => (host, port).to_socket_addrs()?.collect(),
        };
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(found)
    }

    fn remember(&mut self, endpoint: &Endpoint, found: &[SocketAddr]) {
        if self.last_found.get(endpoint).is_some_and(|last| last == found) {
            return;
        }
        if self.last_found.len() >= REMEMBERED_MAX && !self.last_found.contains_key(endpoint) {
            self.last_found.clear();
        }
        self.last_found.insert(endpoint.clone(), found.to_vec());
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("last_found", &self.last_found).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    type Answer = io::Result<Vec<SocketAddr>>;

    fn names(answers: Vec<Answer>) -> Names {
        let answers = Mutex::new(answers.into_iter());
        Names::new(Some(Arc::new(move |_: &str, _| {
            answers.lock().expect("one thread").next().expect("asked once too often")
        })))
    }

    fn addresses(hosts: &[u8]) -> Vec<SocketAddr> {
        hosts.iter().map(|&host| SocketAddr::from(([10, 0, 0, host], 7000))).collect()
    }

    fn down() -> Answer {
        Err(io::Error::other("no name server answers"))
    }

    fn first() -> ConnId {
        ConnId::from_u64(0)
    }

    #[test]
    fn what_was_found_last_serves_while_a_name_cannot_be_looked_up() {
        let endpoint = Endpoint::new("db.example", 7000);
        let answers = vec![Ok(addresses(&[1, 2])), down(), Ok(vec![]), Ok(addresses(&[3])), down()];
        let mut names = names(answers);
        let mut ask = || names.resolve(first(), &endpoint).expect("addresses");
        assert_eq!(ask(), addresses(&[1, 2]));
        assert_eq!(ask(), addresses(&[1, 2]), "the last ones");
        assert_eq!(ask(), addresses(&[1, 2]), "none is no answer");
        assert_eq!(ask(), addresses(&[3]), "it has moved");
        assert_eq!(ask(), addresses(&[3]));
    }

    #[test]
    fn each_attempt_begins_with_another_address() {
        // As connections are numbered: two numbers for each attempt.
        let firsts = [1u64, 3, 5, 7].map(|generation| {
            let mut names = names(vec![Ok(addresses(&[1, 2]))]);
            let conn = ConnId::from_u64(generation << 16);
            names.resolve(conn, &Endpoint::new("db.example", 7000)).expect("found")[0]
        });
        let [one, two] = [addresses(&[1])[0], addresses(&[2])[0]];
        assert_eq!(firsts, [one, two, one, two]);
    }

    #[test]
    fn a_name_that_was_never_found_is_an_error_with_its_reason() {
        let mut names = names(vec![down(), Ok(vec![]), Ok(addresses(&[1])), down()]);
        let endpoint = Endpoint::new("db.example", 7000);
        let text = |answer: Answer| answer.expect_err("nobody knows").to_string();
        assert_eq!(
            text(names.resolve(first(), &endpoint)),
            "cannot resolve db.example: no name server answers"
        );
        assert_eq!(
            text(names.resolve(first(), &endpoint)),
            "cannot resolve db.example: the name has no address"
        );
        names.resolve(first(), &endpoint).expect("found");
        let other = Endpoint::new("db.example", 7001);
        assert!(names.resolve(first(), &other).is_err(), "another port is another question");
    }

    #[test]
    fn names_without_end_are_not_remembered_without_end() {
        let mut names = Names::new(Some(Arc::new(|_: &str, _| Ok(addresses(&[1])))));
        for n in 0..10_000 {
            names.resolve(first(), &Endpoint::new(format!("n{n}"), 7000)).expect("found");
            assert!(names.last_found.len() <= REMEMBERED_MAX);
        }
    }
}
