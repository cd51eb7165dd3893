//! The queues that all processors share: what comes from elsewhere, what overflows, and all that isn't of normal urgency.
//!
//! One queue for each level. crossbeam's injector frees its blocks by epochs; a model has a plain queue behind a lock in
//! its place. Levels other than normal are rare: one counter for them all tells that there are none, for one look.

use crate::level::Level;
use crate::sync::{AtomicUsize, Ordering};

#[cfg(not(loom))]
use production::Queue;

#[cfg(loom)]
use model::Queue;

/// The shared queues.
#[derive(Debug)]
pub struct Injector<T> {
    queues: [Queue<T>; Level::COUNT],
    /// How many tasks of other levels than normal there are; counted before they are pushed.
    unusual: AtomicUsize,
}

impl<T> Default for Injector<T> {
    fn default() -> Self {
        Self { queues: std::array::from_fn(|_| Queue::new()), unusual: AtomicUsize::new(0) }
    }
}

impl<T> Injector<T> {
    /// Puts a task at the back of its level's queue.
    pub fn push(&self, level: Level, task: T) {
        if level != Level::Normal {
            // Relaxed: who is to find the task is woken by other means, which order this before.
            self.unusual.fetch_add(1, Ordering::Relaxed);
        }
        self.queues[level as usize].push(task);
    }

    /// Takes the first task of a level.
    pub fn pop(&self, level: Level) -> Option<T> {
        let task = self.queues[level as usize].pop()?;
        if level != Level::Normal {
            self.unusual.fetch_sub(1, Ordering::Relaxed);
        }
        Some(task)
    }

    /// Whether there may be tasks of other levels than normal.
    #[inline]
    pub fn has_unusual(&self) -> bool {
        self.unusual.load(Ordering::Relaxed) > 0
    }

    /// Whether there is no normal task.
    #[inline]
    pub fn has_no_normal(&self) -> bool {
        self.queues[Level::Normal as usize].is_empty()
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.queues.iter().all(Queue::is_empty)
    }

    /// About how many normal tasks there are.
    pub fn normal(&self) -> usize {
        self.queues[Level::Normal as usize].len()
    }

    /// About how many tasks there are.
    pub fn len(&self) -> usize {
        self.queues.iter().map(Queue::len).sum()
    }
}

#[cfg(not(loom))]
mod production {
    use crossbeam_deque::{Injector, Steal};

    #[derive(Debug)]
    pub struct Queue<T>(Injector<T>);

    impl<T> Queue<T> {
        pub fn new() -> Self {
            Self(Injector::new())
        }

        pub fn push(&self, task: T) {
            self.0.push(task);
        }

        #[inline]
        pub fn pop(&self) -> Option<T> {
            // To steal from an empty injector costs a fence; to look doesn't.
            while !self.0.is_empty() {
                match self.0.steal() {
                    Steal::Success(task) => return Some(task),
                    Steal::Empty => return None,
                    Steal::Retry => std::hint::spin_loop(),
                }
            }
            None
        }

        #[inline]
        pub fn is_empty(&self) -> bool {
            self.0.is_empty()
        }

        pub fn len(&self) -> usize {
            self.0.len()
        }
    }
}

#[cfg(loom)]
mod model {
    use std::collections::VecDeque;

    use crate::sync::Mutex;

    #[derive(Debug)]
    pub struct Queue<T>(Mutex<VecDeque<T>>);

    impl<T> Queue<T> {
        pub fn new() -> Self {
            Self(Mutex::new(VecDeque::new()))
        }

        pub fn push(&self, task: T) {
            self.0.lock().push_back(task);
        }

        pub fn pop(&self) -> Option<T> {
            self.0.lock().pop_front()
        }

        pub fn is_empty(&self) -> bool {
            self.0.lock().is_empty()
        }

        pub fn len(&self) -> usize {
            self.0.lock().len()
        }
    }
}
