//! The bounded queue of one processor, from which others may steal.
//!
//! A ring. Its holder alone pushes, and moves `tail`; it pops, and thieves steal, by moving `head`, in which two positions
//! are packed: `real`, from where on tasks may be taken, and `steal`, up to where a thief is still copying. They differ
//! exactly while a thief copies, and then no second one begins. The steps:
//!
//! - push: write the slot, then publish `tail`. A slot is free only when `steal` has passed it.
//! - pop: move `real` by one; the task in the slot behind it is the holder's.
//! - steal: move `real` by the larger half of what there is, leaving `steal`; copy; then move `steal` to `real`, which the
//!   holder may have moved on meanwhile. The last of the stolen is run at once, and therefore not published.
//! - overflow: when the ring is full, its second half leaves it, with the task that found no room. The holder takes all of
//!   it at once by moving `head` a whole round, so that no thief can be among them, and publishes the first half anew:
//!   a whole round further a position has the same slot, so that nothing is copied.
//!
//! Why a look at `tail` that is too old does no harm: a thief reads `head` first and takes by comparing it; while `head`
//! stays, `tail` only grows. Positions are 32 bits wide and wrap; a thief that sleeps through 2^32 of them is ignored.

use std::mem::MaybeUninit;

use crate::sync::{AtomicU32, AtomicU64, Ordering, UnsafeCell};

/// How many tasks a queue holds.
pub const CAPACITY: usize = if cfg!(loom) { 4 } else { 256 };
const MASK: u32 = CAPACITY as u32 - 1;

#[derive(Debug, Clone, Copy)]
struct Head {
    steal: u32,
    real: u32,
}

impl Head {
    #[inline]
    fn unpack(word: u64) -> Self {
        Self { steal: (word >> 32) as u32, real: word as u32 }
    }

    #[inline]
    fn pack(self) -> u64 {
        u64::from(self.steal) << 32 | u64::from(self.real)
    }
}

/// A queue with one holder and any number of thieves.
#[derive(Debug)]
pub struct LocalQueue<T> {
    // Written by all.
    head: AtomicU64,
    // Written by the holder.
    tail: AtomicU32,
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: a slot is touched only by whoever has claimed its position by `head`, or by the holder before it publishes it
// by `tail`.
unsafe impl<T: Send> Sync for LocalQueue<T> {}
// SAFETY: it owns its tasks.
unsafe impl<T: Send> Send for LocalQueue<T> {}

impl<T> Default for LocalQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> LocalQueue<T> {
    /// An empty queue.
    pub fn new() -> Self {
        Self {
            head: AtomicU64::new(0),
            tail: AtomicU32::new(0),
            slots: (0..CAPACITY).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
        }
    }

    /// About how many tasks are in it; exact for the holder while nobody steals.
    #[inline]
    pub fn len(&self) -> usize {
        let head = Head::unpack(self.head.load(Ordering::Acquire));
        // Acquire: whoever sees the tail sees the tasks before it.
        let tail = self.tail.load(Ordering::Acquire);
        // In between, tail may have moved on, and the ring been taken round: never report more than it holds.
        (tail.wrapping_sub(head.real) as usize).min(CAPACITY)
    }

    /// Whether it is empty, as far as can be told.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    fn write(&self, position: u32, task: T) {
        self.slots[(position & MASK) as usize].with_mut(|slot| {
            // SAFETY: the holder writes to a free slot that it has not yet published.
            unsafe { (*slot).write(task) };
        });
    }

    #[inline]
    fn read(&self, position: u32) -> T {
        self.slots[(position & MASK) as usize].with(|slot| {
            // SAFETY: the caller has claimed the position, so the slot was written, and nobody else reads it.
            unsafe { (*slot).assume_init_read() }
        })
    }

    /// Puts a task at the back. If there is no room, hands out what has to go elsewhere: the newer half of the queue, and
    /// the task as the last.
    ///
    /// # Safety
    /// Only by the holder.
    #[inline]
    pub unsafe fn push(&self, task: T) -> Result<(), Vec<T>> {
        // Acquire pairs with the end of a steal: the thief has read the slots that are free now.
        let head = self.head.load(Ordering::Acquire);
        let tail = self.tail.load(Ordering::Relaxed); // the holder's own
        if tail.wrapping_sub(Head::unpack(head).steal) < CAPACITY as u32 {
            self.write(tail, task);
            // Release: whoever sees the tail sees the task.
            self.tail.store(tail.wrapping_add(1), Ordering::Release);
            return Ok(());
        }
        Err(self.overflow(head, tail, task))
    }

    #[cold]
    fn overflow(&self, head: u64, tail: u32, task: T) -> Vec<T> {
        let full = Head::unpack(head);
        let mut out = Vec::with_capacity(CAPACITY / 2 + 1);
        if full.steal == full.real {
            let round = full.real.wrapping_add(CAPACITY as u32);
            let emptied = Head { steal: round, real: round }.pack();
            // Acquire and release as in `pop`. If it fails, somebody has taken something: then only the task leaves.
            if self.head.compare_exchange(head, emptied, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                let half = CAPACITY as u32 / 2;
                out.extend((half..CAPACITY as u32).map(|place| self.read(full.real.wrapping_add(place))));
                debug_assert_eq!(tail, round);
                // Release: the first half is published anew.
                self.tail.store(round.wrapping_add(half), Ordering::Release);
            }
        }
        out.push(task);
        out
    }

    /// Takes the task at the front.
    ///
    /// # Safety
    /// Only by the holder.
    #[inline]
    pub unsafe fn pop(&self) -> Option<T> {
        // Relaxed would do for the holder's own tasks; acquire keeps it from reusing what a thief still reads.
        let mut head = self.head.load(Ordering::Acquire);
        let tail = self.tail.load(Ordering::Relaxed); // the holder's own
        loop {
            let Head { steal, real } = Head::unpack(head);
            if real == tail {
                return None;
            }
            let next = real.wrapping_add(1);
            // While a thief copies, `steal` is its own.
            let moved = Head { steal: if steal == real { next } else { steal }, real: next };
            // Release: what was read is read before a slot counts as free.
            match self.head.compare_exchange(head, moved.pack(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(self.read(real)),
                Err(found) => head = found,
            }
        }
    }

    /// Takes the larger half of the tasks into another queue, and returns the last of them, with how many there were.
    ///
    /// # Safety
    /// Only by the holder of `into`, which is another queue than this.
    pub unsafe fn steal_into(&self, into: &Self) -> Option<(T, u32)> {
        let there = Head::unpack(into.head.load(Ordering::Acquire));
        let end = into.tail.load(Ordering::Relaxed); // the thief's own
        // Half of a queue must find room, also where another thief still copies out of ours.
        if end.wrapping_sub(there.steal) > CAPACITY as u32 / 2 {
            return None;
        }
        let mut head = self.head.load(Ordering::Acquire);
        let (first, count) = loop {
            let Head { steal, real } = Head::unpack(head);
            if steal != real {
                return None; // one thief at a time
            }
            // Acquire pairs with `push`: the tasks before the tail are there.
            let available = self.tail.load(Ordering::Acquire).wrapping_sub(real);
            // The larger half: a single task is stolen too. More than there is room for is only seen where `head` has moved.
            let count = available - available / 2;
            if count == 0 {
                return None;
            }
            let claimed = Head { steal, real: real.wrapping_add(count) };
            match self.head.compare_exchange(head, claimed.pack(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break (real, count),
                Err(found) => head = found,
            }
        };
        debug_assert!(count as usize <= CAPACITY / 2 + 1);
        let last = count - 1;
        for place in 0..last {
            into.write(end.wrapping_add(place), self.read(first.wrapping_add(place)));
        }
        let task = self.read(first.wrapping_add(last));
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let Head { real, .. } = Head::unpack(head);
            let done = Head { steal: real, real };
            // Release: what was read is read before the slots count as free.
            match self.head.compare_exchange(head, done.pack(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(found) => head = found,
            }
        }
        if last > 0 {
            into.tail.store(end.wrapping_add(last), Ordering::Release);
        }
        Some((task, count))
    }

    /// Calls `visit` with each task.
    ///
    /// # Safety
    /// Nobody is in another method of this queue.
    #[cfg(not(loom))]
    pub unsafe fn visit(&self, visit: &mut impl FnMut(&T)) {
        let head = Head::unpack(self.head.load(Ordering::Acquire));
        let tail = self.tail.load(Ordering::Acquire);
        for place in 0..tail.wrapping_sub(head.real) {
            let position = head.real.wrapping_add(place);
            // SAFETY: between head and tail slots are written, and by the contract nobody takes them.
            self.slots[(position & MASK) as usize].with(|slot| unsafe { visit((*slot).assume_init_ref()) });
        }
    }
}

impl<T> Drop for LocalQueue<T> {
    fn drop(&mut self) {
        // SAFETY: nobody else has it.
        while unsafe { self.pop() }.is_some() {}
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn tasks_come_out_as_they_went_in() {
        let queue = LocalQueue::new();
        for round in 0..1000_u32 {
            // SAFETY: this test has one thread.
            unsafe {
                assert!(queue.push(round).is_ok() && queue.push(round + 1).is_ok());
                assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(round), Some(round + 1), None));
            }
        }
    }

    #[test]
    fn when_full_the_newer_half_leaves_and_the_older_stays() {
        let queue = LocalQueue::new();
        let full = CAPACITY as u32;
        // SAFETY: this test has one thread.
        let out = unsafe {
            (0..full).for_each(|task| queue.push(task).unwrap());
            queue.push(full).unwrap_err()
        };
        assert_eq!(out, (full / 2..=full).collect::<Vec<_>>());
        // SAFETY: as above.
        let left: Vec<_> = std::iter::from_fn(|| unsafe { queue.pop() }).collect();
        assert_eq!(left, (0..full / 2).collect::<Vec<_>>());
    }

    #[test]
    fn a_thief_takes_the_larger_half_and_the_last_of_it_at_once() {
        let (victim, thief) = (LocalQueue::new(), LocalQueue::new());
        // SAFETY: this test has one thread.
        unsafe {
            (0..5).for_each(|task| victim.push(task).unwrap());
            assert_eq!(victim.steal_into(&thief), Some((2, 3)));
            assert_eq!((thief.pop(), thief.pop(), thief.pop()), (Some(0), Some(1), None));
            assert_eq!(victim.steal_into(&thief), Some((3, 1)));
            assert_eq!((victim.pop(), victim.pop()), (Some(4), None));
            assert_eq!(victim.steal_into(&thief), None);
        }
    }

    #[test]
    fn what_is_left_is_dropped_once() {
        let task = std::sync::Arc::new(());
        let queue = LocalQueue::new();
        // SAFETY: this test has one thread.
        unsafe { (0..10).for_each(|_| queue.push(task.clone()).unwrap()) };
        drop(queue);
        assert_eq!(std::sync::Arc::strong_count(&task), 1);
    }
}
