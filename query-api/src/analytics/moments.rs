//! Running count, sum and sum of squares of one quantity, and from them, exactly, the least value that stands out.

use num_bigint::{BigInt, BigUint};

use super::Sigma;

/// Of the values added and not removed since; all are ≥ 0.
#[derive(Debug, Default)]
pub(super) struct Moments {
    count: u64,
    sum: i128,
    /// Squares of sums of money need up to 254 bits.
    squares: BigUint,
}

impl Moments {
    pub(super) fn add(&mut self, value: i128) {
        self.count += 1;
        self.sum += value;
        self.squares += square(value);
    }

    /// Takes back what was added before.
    pub(super) fn remove(&mut self, value: i128) {
        self.count -= 1;
        self.sum -= value;
        self.squares -= square(value);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn sum(&self) -> i128 {
        self.sum
    }

    /// The least integer that is greater than mean + sigma × sample standard deviation. `None` of fewer than two values,
    /// and where no representable value is that large.
    ///
    /// With n values, sum S, sum of squares Q and sigma = p/q, x is greater exactly if d = n·x − S is positive and
    /// d² · (n−1) · q² > p² · n · (n·Q − S²). So d has to be at least one more than the integer square root of the
    /// right side divided by (n−1)·q²: no root, quotient or mean is ever rounded into the decision.
    pub(super) fn least_above(&self, sigma: Sigma) -> Option<i128> {
        if self.count < 2 {
            return None;
        }
        let (p, q) = sigma.ratio();
        let n = BigUint::from(self.count);
        let spread = &n * &self.squares - square(self.sum);
        let right = BigUint::from(p).pow(2) * &n * spread;
        let left_factor = BigUint::from(self.count - 1) * BigUint::from(q).pow(2);
        let least_d = (right / left_factor).sqrt() + 1_u32;
        let least = (BigInt::from(least_d) + BigInt::from(self.sum) + BigInt::from(self.count - 1))
            / BigInt::from(n);
        i128::try_from(least).ok()
    }
}

fn square(value: i128) -> BigUint {
    BigUint::from(value.unsigned_abs()).pow(2)
}
