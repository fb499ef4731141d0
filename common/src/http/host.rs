//! What a service on loopback without keys is called by those who ask it.
//!
//! Whoever can reach loopback is let in, and browsers can, whichever page they show. A page may read only what is of its own
//! origin, but the name in that is its own: its owner can let the name lead to 127.0.0.1 afterwards (DNS rebinding), and the
//! browser takes us for the page's server. It still says by which name it came.

use std::net::IpAddr;

use actix_web::http::header::{self, HeaderMap};

const LOCALHOST: &str = "localhost";
const LOOPBACK: &str = "127.0.0.1";

/// Whether a request means this machine, by a name that leads nowhere else. Without a `Host` no browser has sent it.
pub(super) fn is_local(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true;
    };
    let name = name(host.to_str().unwrap_or_default());
    // What nearly all say need not be read as an address.
    name == LOOPBACK
        || name.eq_ignore_ascii_case(LOCALHOST)
        || name
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// `127.0.0.1:8080` without its port, `[::1]:8080` without its brackets too.
fn name(host: &str) -> &str {
    let in_brackets = host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    match in_brackets {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn only_names_that_lead_nowhere_else_are_local() {
        let is_local = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            is_local(&headers)
        };
        for host in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1",
            "127.0.0.1:1",
            "127.0.0.2:8081",
            "[::1]",
            "[::1]:8080",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8080",
            "10.0.0.1:8080",
            "[2001:db8::1]:8080",
            "[::1",
        ] {
            assert!(!is_local(host), "{host}");
        }
        assert!(super::is_local(&HeaderMap::new()));
    }
}
