//! Which processors sleep, and how many search for work.
//!
//! Invariant 5 of the design: a processor searches only if fewer than half do already; a sleeper is woken only if nobody
//! searches; the last searcher that finds work wakes another; the last one to park looks at every queue again. Why nothing
//! is lost: whoever has pushed a task, and whoever parks, change the same word, one after the other. If the push was
//! first, the parker sees the task when it looks again; if the parker was, the pusher sees that nobody searches, and
//! wakes it. While somebody searches, nobody is woken: the searcher finds the task, or parks, and looks again.

use crate::sync::{AtomicUsize, Mutex, Ordering};

const SEARCHING: usize = 1;
const AWAKE: usize = 1 << 16;

fn searching(state: usize) -> usize {
    state & (AWAKE - 1)
}

/// Who sleeps, and how many search.
#[derive(Debug)]
pub struct Idle {
    /// How many search (low half) and are awake (high half).
    state: AtomicUsize,
    sleepers: Mutex<Vec<usize>>,
    processors: usize,
    /// At most half of the processors search.
    throttle: bool,
}

impl Idle {
    /// All are awake, and none searches.
    pub fn new(processors: usize, throttle: bool) -> Self {
        Self {
            state: AtomicUsize::new(processors * AWAKE),
            sleepers: Mutex::new(Vec::with_capacity(processors)),
            processors,
            throttle,
        }
    }

    fn wants_waking(&self, state: usize) -> bool {
        searching(state) == 0 && state / AWAKE < self.processors
    }

    /// After a push: the processor that is to be woken, if any. It counts as searching from now on, if it is one to
    /// [count on](Self::counts_on).
    pub fn to_wake(&self) -> Option<usize> {
        // A change of nothing, not a load: see the top.
        if !self.wants_waking(self.state.fetch_add(0, Ordering::SeqCst)) {
            return None;
        }
        let mut sleepers = self.sleepers.lock();
        if !self.wants_waking(self.state.load(Ordering::SeqCst)) {
            return None;
        }
        let place = sleepers.iter().rposition(|&sleeper| self.counts_on(sleeper));
        let sleeper = match place {
            Some(place) => sleepers.remove(place),
            None => sleepers.pop()?,
        };
        self.state.fetch_add(AWAKE + self.searchers(sleeper), Ordering::SeqCst);
        Some(sleeper)
    }

    /// Whether a processor that is woken begins at once. Processor 0 does not: its machine is the thread that the program
    /// itself runs on, and may be busy with that. It is woken last, and does not keep others from being woken.
    pub fn counts_on(&self, processor: usize) -> bool {
        processor != 0
    }

    fn searchers(&self, woken: usize) -> usize {
        if self.counts_on(woken) { SEARCHING } else { 0 }
    }

    /// A processor that nobody can run sleeps, to be woken after all others.
    pub fn sleep_last(&self, processor: usize, searches: bool) {
        let mut sleepers = self.sleepers.lock();
        self.state.fetch_sub(AWAKE + usize::from(searches) * SEARCHING, Ordering::SeqCst);
        sleepers.insert(0, processor);
    }

    /// Whether another processor may search; if so, it does.
    pub fn begin_search(&self) -> bool {
        let state = self.state.load(Ordering::SeqCst);
        if self.throttle && 2 * searching(state) >= self.processors {
            return false;
        }
        // Two may come here at once: one too many does no harm.
        self.state.fetch_add(SEARCHING, Ordering::SeqCst);
        true
    }

    /// A searcher has found work. True: it was the last.
    pub fn end_search(&self) -> bool {
        searching(self.state.fetch_sub(SEARCHING, Ordering::SeqCst)) == 1
    }

    /// A processor goes to sleep. True: nobody searches now, and it has to look at every queue again.
    pub fn park(&self, processor: usize, searches: bool) -> bool {
        let mut sleepers = self.sleepers.lock();
        let before = self.state.fetch_sub(AWAKE + usize::from(searches) * SEARCHING, Ordering::SeqCst);
        sleepers.push(processor);
        searching(before) == usize::from(searches)
    }

    /// A processor gets up by itself. False: somebody has woken it, and it counts as searching.
    pub fn unpark(&self, processor: usize) -> bool {
        let mut sleepers = self.sleepers.lock();
        let Some(place) = sleepers.iter().position(|&sleeper| sleeper == processor) else { return false };
        sleepers.swap_remove(place);
        self.state.fetch_add(AWAKE, Ordering::SeqCst);
        true
    }

    /// Whether a processor sleeps.
    pub fn is_parked(&self, processor: usize) -> bool {
        self.sleepers.lock().contains(&processor)
    }
}
