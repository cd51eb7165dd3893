//! Who runs next on the home worker, and whether its pump has to be started.
//!
//! Two queues: a local one that only the worker's own thread touches, and an injector for all other threads. The pump
//! is a callback on the event loop; `armed` says that one is scheduled or running. The protocol:
//!
//! 1. Whoever makes work pushes it, and then arms; the one that armed must schedule the pump.
//! 2. A pump that finds both queues empty disarms, and *then* looks at the injector again: a thread that pushed between
//!    the first look and the disarming saw the pump armed and left. If there is something, the pump arms itself anew
//!    (or finds that the other thread has).
//!
//! The local queue needs no such second look: only the pump's own thread pushes to it.

use std::cell::UnsafeCell;
use std::collections::VecDeque;

use crossbeam_deque::{Injector, Steal};

use crate::chance::Chance;
use crate::sync::{AtomicBool, Ordering};

/// How many local tasks are run between two looks at the injector, so that local work can't starve it.
const INJECTOR_INTERVAL: u32 = 61;

/// The run queue of one worker.
#[derive(Debug)]
pub struct RunQueue<T> {
    injector: Injector<T>,
    armed: AtomicBool,
    local: UnsafeCell<Local<T>>,
}

#[derive(Debug)]
struct Local<T> {
    queue: VecDeque<T>,
    tick: u32,
}

// SAFETY: `injector` and `armed` are for all threads; `local` is touched only through the unsafe methods, whose contract
// is that the caller is on the worker's own thread.
unsafe impl<T: Send> Sync for RunQueue<T> {}

impl<T> Default for RunQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> RunQueue<T> {
    /// An empty queue whose pump sleeps.
    pub fn new() -> Self {
        Self {
            injector: Injector::new(),
            armed: AtomicBool::new(false),
            local: UnsafeCell::new(Local { queue: VecDeque::new(), tick: 0 }),
        }
    }

    /// Puts a task at the back of the local queue.
    ///
    /// # Safety
    /// Only on the worker's own thread.
    #[inline]
    pub unsafe fn push_local(&self, task: T) {
        // SAFETY: by the contract no other thread is here, and no reference into `local` outlives a method.
        unsafe { (*self.local.get()).queue.push_back(task) }
    }

    /// Puts a task into the injector, from any thread.
    pub fn push_remote(&self, task: T) {
        self.injector.push(task);
    }

    /// Says that there is work. True: the caller must schedule the pump.
    #[inline]
    #[must_use]
    pub fn arm(&self) -> bool {
        // SeqCst pairs with `disarm`: either this sees the disarming and starts a pump, or the pump's second look sees
        // what was pushed before. The plain load first keeps the common case (armed) free of a locked instruction.
        !self.armed.load(Ordering::SeqCst) && !self.armed.swap(true, Ordering::SeqCst)
    }

    /// The next task: mostly the local queue's, every 61st time the injector's first.
    ///
    /// # Safety
    /// Only on the worker's own thread.
    #[inline]
    pub unsafe fn pop(&self) -> Option<T> {
        // SAFETY: as in `push_local`.
        let local = unsafe { &mut *self.local.get() };
        local.tick = local.tick.wrapping_add(1);
        if local.tick.is_multiple_of(INJECTOR_INTERVAL)
            && let Some(task) = self.pop_remote()
        {
            return Some(task);
        }
        local.queue.pop_front().or_else(|| self.pop_remote())
    }

    /// Any of the tasks, whichever queue they are in, as chance has it.
    ///
    /// # Safety
    /// Only on the worker's own thread.
    pub unsafe fn pop_any(&self, chance: &mut Chance) -> Option<T> {
        // SAFETY: as in `push_local`.
        let local = unsafe { &mut *self.local.get() };
        local.queue.extend(std::iter::from_fn(|| self.pop_remote()));
        if local.queue.is_empty() {
            return None;
        }
        let place = chance.place(local.queue.len());
        local.queue.remove(place)
    }

    fn pop_remote(&self) -> Option<T> {
        loop {
            match self.injector.steal() {
                Steal::Success(task) => return Some(task),
                Steal::Empty => return None,
                Steal::Retry => {}
            }
        }
    }

    /// Ends a pump. True: there is work after all, and the caller must schedule the pump again.
    ///
    /// # Safety
    /// Only on the worker's own thread.
    #[must_use]
    pub unsafe fn disarm(&self) -> bool {
        // SAFETY: as in `push_local`.
        if unsafe { !(*self.local.get()).queue.is_empty() } {
            return true;
        }
        self.armed.store(false, Ordering::SeqCst);
        !self.injector.is_empty() && self.arm()
    }

    /// Calls `visit` with each local task, for a garbage collector that has stopped the world.
    ///
    /// # Safety
    /// Nobody is in another method of this queue.
    pub unsafe fn visit_local(&self, mut visit: impl FnMut(&T)) {
        // SAFETY: by the contract nobody else is here.
        unsafe { (*self.local.get()).queue.iter().for_each(&mut visit) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn only_the_first_to_arm_starts_the_pump() {
        let queue = RunQueue::<u32>::new();
        assert!(queue.arm());
        assert!(!queue.arm());
        // SAFETY: this test has one thread.
        assert!(!unsafe { queue.disarm() });
        assert!(queue.arm());
    }

    #[test]
    fn local_work_can_not_starve_the_injector() {
        let queue = RunQueue::new();
        queue.push_remote(u32::MAX);
        for task in 0..1000 {
            // SAFETY: this test has one thread.
            unsafe { queue.push_local(task) };
        }
        // SAFETY: this test has one thread.
        let place = (0..1000).position(|_| unsafe { queue.pop() } == Some(u32::MAX)).unwrap();
        assert!(place < INJECTOR_INTERVAL as usize, "the injected task came at place {place}");
    }

    #[test]
    fn chance_finds_every_task_once_and_its_seed_decides_the_order() {
        let order = |seed| {
            let queue = RunQueue::new();
            for task in 0..50 {
                // SAFETY: this test has one thread.
                unsafe { queue.push_local(task) };
                queue.push_remote(50 + task);
            }
            let mut chance = Chance::of_seed(seed);
            // SAFETY: this test has one thread.
            std::iter::from_fn(|| unsafe { queue.pop_any(&mut chance) }).collect::<Vec<_>>()
        };
        let mut found = order(1);
        assert_eq!(found, order(1));
        assert_ne!(found, order(2));
        found.sort_unstable();
        assert_eq!(found, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_that_other_threads_push_is_lost_while_the_pump_goes_to_sleep() {
        const EACH: usize = 20_000;
        let queue = Arc::new(RunQueue::new());
        let (wake, woken) = std::sync::mpsc::channel();
        let pushers: Vec<_> = (0..2)
            .map(|_| {
                let (queue, wake) = (queue.clone(), wake.clone());
                std::thread::spawn(move || {
                    for task in 0..EACH {
                        queue.push_remote(task);
                        if queue.arm() {
                            wake.send(()).unwrap();
                        }
                    }
                })
            })
            .collect();
        let mut seen = 0;
        while seen < 2 * EACH {
            woken.recv_timeout(std::time::Duration::from_secs(20)).expect("a wake-up was lost");
            loop {
                // SAFETY: this thread alone is the worker.
                while unsafe { queue.pop() }.is_some() {
                    seen += 1;
                }
                // SAFETY: as above.
                if !unsafe { queue.disarm() } {
                    break;
                }
            }
        }
        pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
        assert_eq!(seen, 2 * EACH);
    }
}
