//! A processor: the right to run tasks that may run anywhere, and the queues that come with it.
//!
//! Whoever holds it touches `core`; others only steal from the queue, and read the counters.

use std::collections::VecDeque;

use fastrand::Rng;

use crate::interval::Interval;
use crate::local_queue::LocalQueue;
use crate::sync::{AtomicU64, Ordering, UnsafeCell};

/// What only the holder touches.
#[derive(Debug)]
pub struct Core<T> {
    /// The queue of the only processor of a scheduler: nobody steals from it, so it need not be `shared`, nor bounded.
    pub alone: VecDeque<T>,
    /// The task that was woken last, to be run next.
    pub lifo: Option<T>,
    /// How often in a row the next task came from there.
    pub lifo_streak: u32,
    pub tick: u32,
    /// The tick at which the injector is looked at.
    pub next_look: u32,
    pub interval: Interval,
    /// It counts as searching.
    pub searches: bool,
    /// It has gone to sleep, and its holder has not begun anew since.
    pub parked: bool,
    pub chance: Rng,
}

/// One processor.
#[derive(Debug)]
pub struct Processor<T> {
    pub core: UnsafeCell<Core<T>>,
    // For its holder and for thieves.
    pub shared: LocalQueue<T>,
    // Written by the holder, read by anybody.
    pub counters: Counters,
}

// SAFETY: `core` is for the holder, of whom there is one at a time; the rest is for all threads.
unsafe impl<T: Send> Sync for Processor<T> {}
// SAFETY: it owns its tasks.
unsafe impl<T: Send> Send for Processor<T> {}

impl<T> Processor<T> {
    pub fn new(number: usize, interval: Option<u32>) -> Self {
        let interval = Interval::new(interval);
        Self {
            core: UnsafeCell::new(Core {
                alone: VecDeque::new(),
                lifo: None,
                lifo_streak: 0,
                tick: 0,
                next_look: interval.runs(),
                interval,
                searches: false,
                parked: false,
                chance: Rng::with_seed(number as u64),
            }),
            shared: LocalQueue::new(),
            counters: Counters::default(),
        }
    }
}

/// What a processor has done so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// How often it looked for tasks to steal.
    pub searches: u64,
    /// How often it found some.
    pub steals: u64,
    /// The tasks that it stole.
    pub stolen: u64,
    /// How often it went to sleep.
    pub parks: u64,
    /// How often it was woken by others.
    pub wakes: u64,
    /// How often it took tasks from the injector.
    pub batches: u64,
    /// The tasks that it took from there.
    pub batched: u64,
    /// How often its queue was full.
    pub overflows: u64,
    /// Tasks that came from its LIFO slot.
    pub lifo_hits: u64,
}

/// The same in atomics. Relaxed: nothing is decided by them.
#[derive(Debug, Default)]
pub struct Counters {
    pub searches: Counter,
    pub steals: Counter,
    pub stolen: Counter,
    pub parks: Counter,
    pub wakes: Counter,
    pub batches: Counter,
    pub batched: Counter,
    pub overflows: Counter,
    pub lifo_hits: Counter,
    /// How many tasks were in the queue of a lone processor when it last told.
    pub alone: Counter,
}

impl Counters {
    pub fn read(&self) -> Counts {
        Counts {
            searches: self.searches.read(),
            steals: self.steals.read(),
            stolen: self.stolen.read(),
            parks: self.parks.read(),
            wakes: self.wakes.read(),
            batches: self.batches.read(),
            batched: self.batched.read(),
            overflows: self.overflows.read(),
            lifo_hits: self.lifo_hits.read(),
        }
    }
}

/// A number that one thread writes at a time.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it; two threads that do so at once may lose a count, which is no matter.
    #[inline]
    pub fn add(&self, more: u64) {
        self.set(self.read() + more);
    }

    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    #[inline]
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
