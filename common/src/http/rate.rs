//! How fast requests may come, each key or network by itself.
//!
//! A request costs one, whatever is in it: it is counted before its body is read, so that one too many costs next to nothing.
//! A batch therefore costs what a single order does. Its size has limits of its own, and it is the cheaper way to send.
//!
//! Without a key the network counts: an IPv4 address, or 64 bits of an IPv6 one, of which a caller has as many as he likes. It is
//! the connection's own address: what a header says of another can be made up. Behind a proxy, give keys.
//! What is remembered is bounded: [`MAX_PAYERS`] at once, and whoever comes beyond them shares one allowance, [`Payer::Crowd`],
//! until some of them have been quiet for long enough to be forgotten.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use super::keys::KeyName;

const MAX_PAYERS: usize = 65_536;
/// Between two looks at who can be forgotten, while there are as many as may be.
const FORGET_INTERVAL: Duration = Duration::from_secs(1);
const MAX_RATE: u32 = 1_000_000;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Requests in a time: the setting `RATE_LIMIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    requests: NonZeroU32,
    per: Duration,
    unit: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 1000000 requests in a second, minute or hour, like 100/s, 600/m or 5000/h")]
pub struct InvalidRate;

/// Who is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Payer {
    Key(KeyName),
    Network(IpAddr),
    /// All for whom there is no room.
    Crowd,
}

/// What a request was told about its allowance.
#[derive(Debug)]
pub(super) struct Allowance {
    policy: HeaderValue,
    remaining: u32,
    /// Until the whole burst is there again or, where nothing remains, until one more request is.
    reset: Duration,
}

#[derive(Debug)]
pub(super) struct Limiter {
    rate: Rate,
    burst: NonZeroU32,
    policy: HeaderValue,
    limiter: RateLimiter<Payer, Payers, DefaultClock, StateInformationMiddleware>,
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let (requests, unit) = text.split_once('/').ok_or(InvalidRate)?;
        let requests: NonZeroU32 = requests.parse().map_err(|_| InvalidRate)?;
        let (seconds, unit) = match unit {
            "s" => (1, "second"),
            "m" => (60, "minute"),
            "h" => (3_600, "hour"),
            _ => return Err(InvalidRate),
        };
        let per = Duration::from_secs(seconds);
        if requests.get() > MAX_RATE {
            return Err(InvalidRate);
        }
        Ok(Self {
            requests,
            per,
            unit,
        })
    }
}

impl Payer {
    pub(super) fn of_address(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => Self::Network(address.into()),
            Some(IpAddr::V6(address)) => {
                let network = address.to_bits() >> 64 << 64;
                Self::Network(Ipv6Addr::from_bits(network).into())
            }
            None => Self::Crowd,
        }
    }
}

impl Limiter {
    /// `burst`: how many may come at once after a pause; as many as the rate names, unless it is given.
    pub(super) fn new(rate: Rate, burst: Option<NonZeroU32>) -> Self {
        let burst = burst.unwrap_or(rate.requests);
        let quota = Quota::with_period(rate.per / rate.requests.get())
            .expect("a second holds more nanoseconds than the largest rate has requests")
            .allow_burst(burst);
        let window = whole_seconds(rate.per / rate.requests.get() * burst.get());
        let policy = format!("\"requests\";q={burst};w={window}");
        Self {
            rate,
            burst,
            policy: HeaderValue::try_from(policy).expect("digits are visible ASCII"),
            limiter: RateLimiter::new(quota, Payers::new(MAX_PAYERS), DefaultClock::default()),
        }
    }

    /// Counts one request.
    ///
    /// # Errors
    /// It is one too many; when to come again is its allowance's `reset`.
    pub(super) fn check(&self, payer: &Payer) -> Result<Allowance, Allowance> {
        let outcome = self.limiter.check_key(payer);
        match outcome {
            Ok(state) => Ok(self.remaining(&state)),
            Err(until) => Err(Allowance {
                policy: self.policy.clone(),
                remaining: 0,
                reset: until.wait_time_from(self.limiter.clock().now()),
            }),
        }
    }

    fn remaining(&self, state: &StateSnapshot) -> Allowance {
        let remaining = state.remaining_burst_capacity();
        let missing = self.burst.get().saturating_sub(remaining);
        Allowance {
            policy: self.policy.clone(),
            remaining,
            reset: self.rate.per / self.rate.requests.get() * missing,
        }
    }

    /// The rule in words.
    pub(super) fn rule(&self) -> String {
        let Rate { requests, unit, .. } = self.rate;
        format!(
            "at most {requests} requests per {unit}, {} at once",
            self.burst
        )
    }
}

impl Allowance {
    pub(super) fn reset(&self) -> Duration {
        self.reset
    }

    /// `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers.
    pub(super) fn tell(self, headers: &mut HeaderMap) {
        let Self {
            policy,
            remaining,
            reset,
        } = self;
        let limit = format!("\"requests\";r={remaining};t={}", whole_seconds(reset));
        headers.insert(
            RATE_LIMIT,
            HeaderValue::try_from(limit).expect("digits are visible ASCII"),
        );
        headers.insert(RATE_LIMIT_POLICY, policy);
    }
}

/// Never told shorter than it is.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// What is remembered of each payer: until when his allowance is used up, counted from the start. Later than that he is
/// like one who never came, and can be forgotten.
#[derive(Debug)]
struct Payers {
    started: Instant,
    most: usize,
    state: Mutex<PayersState>,
}

#[derive(Debug, Default)]
struct PayersState {
    used_until: HashMap<Payer, Nanos>,
    next_forgetting: Nanos,
}

impl Payers {
    fn new(most: usize) -> Self {
        Self {
            started: Instant::now(),
            most,
            state: Mutex::default(),
        }
    }
}

impl StateStore for Payers {
    type Key = Payer;

    fn measure_and_replace<T, F, E>(&self, payer: &Payer, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used_until) = state.used_until.get_mut(payer) {
            let (outcome, later) = measure(Some(*used_until))?;
            *used_until = later;
            return Ok(outcome);
        }
        // Keys are few and known: strangers, however many, crowd none of them out.
        let known = matches!(payer, Payer::Key(_));
        let payer = if known || state.has_room(self.most, self.started) {
            payer
        } else {
            &Payer::Crowd
        };
        let (outcome, later) = measure(state.used_until.get(payer).copied())?;
        state.used_until.insert(payer.clone(), later);
        Ok(outcome)
    }
}

impl PayersState {
    fn has_room(&mut self, most: usize, started: Instant) -> bool {
        if self.used_until.len() < most {
            return true;
        }
        let now = Nanos::from(started.elapsed());
        if now >= self.next_forgetting {
            self.next_forgetting = now + FORGET_INTERVAL;
            self.used_until.retain(|_, used_until| *used_until > now);
        }
        self.used_until.len() < most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(rate: &str, burst: u32) -> Limiter {
        Limiter::new(rate.parse().unwrap(), NonZeroU32::new(burst))
    }

    fn key(name: &str) -> Payer {
        Payer::of_address(Some(name.parse().unwrap()))
    }

    #[test]
    fn a_burst_is_let_in_and_the_next_is_told_when_to_come() {
        let limiter = limiter("60/h", 3);
        let remaining: Vec<_> = (0..3)
            .map(|_| limiter.check(&key("127.0.0.1")).unwrap().remaining)
            .collect();
        assert_eq!(remaining, [2, 1, 0]);
        let refused = limiter.check(&key("127.0.0.1")).unwrap_err();
        let reset = refused.reset();
        assert!(
            reset > Duration::from_secs(50) && reset <= Duration::from_secs(60),
            "{reset:?}"
        );
        let mut headers = HeaderMap::new();
        refused.tell(&mut headers);
        assert_eq!(headers.get("ratelimit").unwrap(), "\"requests\";r=0;t=60");
        assert_eq!(
            headers.get("ratelimit-policy").unwrap(),
            "\"requests\";q=3;w=180"
        );
        // Everyone else has his own.
        assert!(limiter.check(&key("127.0.0.2")).is_ok());
    }

    #[test]
    fn what_was_used_comes_back_with_time() {
        let limiter = limiter("1000/s", 1);
        assert!(limiter.check(&key("::1")).is_ok());
        let started = Instant::now();
        while limiter.check(&key("::1")).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10));
        }
    }

    #[test]
    fn addresses_of_one_network_count_as_one() {
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
    }

    #[test]
    fn a_flood_of_addresses_shares_one_allowance_and_is_forgotten_when_quiet() {
        let payers = Payers::new(3);
        let use_until = |name: &str, until: Duration| {
            let until = Nanos::from(until);
            payers.measure_and_replace(&key(name), |before| Ok::<_, ()>((before.is_some(), until)))
        };
        let long = Duration::from_secs(3_600);
        for known in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
            assert_eq!(use_until(known, long), Ok(false));
        }
        // The first of the crowd opens its allowance, all others find it.
        assert_eq!(use_until("10.0.0.4", long), Ok(false));
        for number in 5..200 {
            assert_eq!(use_until(&format!("10.0.0.{number}"), long), Ok(true));
        }
        assert_eq!(use_until("10.0.0.1", Duration::ZERO), Ok(true));
        let state = || payers.state.lock().unwrap();
        assert_eq!(state().used_until.len(), 4);
        // At the next look whoever has been quiet makes room, also for those who were of the crowd.
        state().next_forgetting = Nanos::default();
        state().used_until.remove(&Payer::Crowd);
        assert_eq!(use_until("10.0.0.9", long), Ok(false));
        assert!(state().used_until.contains_key(&key("10.0.0.9")));
    }

    #[test]
    fn a_rate_is_a_number_of_requests_in_a_unit_of_time() {
        assert_eq!("5/m".parse::<Rate>().unwrap().per, Duration::from_secs(60));
        for bad in [
            "",
            "5",
            "0/s",
            "-1/s",
            "5/d",
            "1.5/s",
            "5 /s",
            "1000001/s",
            "5/",
        ] {
            assert_eq!(bad.parse::<Rate>(), Err(InvalidRate), "{bad}");
        }
    }
}
