//! What was run with a processor: counted by whoever holds it, read by anybody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Relaxed counters, which nothing is decided by.
#[derive(Debug, Default)]
pub struct Load {
    runs: AtomicU64,
    slices: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Load {
    /// Counts a slice.
    #[inline]
    pub fn add(&self, runs: u32, took: Duration) {
        // Added, not stored: machines that hold no processor share one of these.
        self.runs.fetch_add(u64::from(runs), Ordering::Relaxed);
        self.slices.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Runs of agents, slices, and nanoseconds in them.
    pub fn read(&self) -> (u64, u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.runs), read(&self.slices), read(&self.nanoseconds))
    }
}
