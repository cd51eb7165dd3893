//! How often a processor looks at the injector: about every 200 µs, whatever its runs take.
//!
//! The number of runs between two looks follows a moving average of the run time. To look too often costs what the look
//! costs; to look too rarely keeps those waiting that came from other threads.

use std::time::Duration;

const START: u32 = 61;
const BOUNDS: (u32, u32) = (2, 127);
const TARGET: Duration = Duration::from_micros(200);
/// How much one measurement counts against all before it.
const WEIGHT: f64 = 0.1;

/// The interval of one processor, in runs.
#[derive(Debug)]
pub struct Interval {
    runs: u32,
    fixed: bool,
    /// The moving average of a run's time, in nanoseconds.
    mean: f64,
}

impl Interval {
    /// A fixed interval, or one that is tuned.
    pub fn new(fixed: Option<u32>) -> Self {
        let start = f64::from(TARGET.as_nanos() as u32) / f64::from(START);
        Self { runs: fixed.unwrap_or(START).max(1), fixed: fixed.is_some(), mean: start }
    }

    /// How many runs there are between two looks.
    #[inline]
    pub fn runs(&self) -> u32 {
        self.runs
    }

    /// Takes into account that so many runs took so long.
    #[inline]
    pub fn measured(&mut self, runs: u32, elapsed: Duration) {
        if self.fixed || runs == 0 {
            return;
        }
        let mean = elapsed.as_nanos() as f64 / f64::from(runs);
        self.mean += (mean - self.mean) * WEIGHT;
        // A quotient out of range saturates.
        self.runs = ((TARGET.as_nanos() as f64 / self.mean.max(1.0)) as u32).clamp(BOUNDS.0, BOUNDS.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_shorten_the_interval_and_short_ones_lengthen_it() {
        let mut interval = Interval::new(None);
        assert_eq!(interval.runs(), START);
        (0..100).for_each(|_| interval.measured(1, Duration::from_millis(1)));
        assert_eq!(interval.runs(), BOUNDS.0);
        (0..200).for_each(|_| interval.measured(16, Duration::from_micros(2)));
        assert_eq!(interval.runs(), BOUNDS.1);
    }

    #[test]
    fn a_fixed_interval_stays() {
        let mut interval = Interval::new(Some(7));
        interval.measured(1, Duration::from_secs(1));
        assert_eq!(interval.runs(), 7);
    }
}
