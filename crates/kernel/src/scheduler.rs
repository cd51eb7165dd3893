//! Who runs next, and on which processor: a work-stealing scheduler, or a plain queue where there is one processor.
//!
//! It knows no threads. A *machine*, a thread that runs tasks, holds a processor while it does, and goes through this:
//!
//! ```text
//! unpark                             its pump begins
//! loop: next, or else search: run    every processor that is named to be woken: arm the pump of its machine
//! nothing found: park                false: there is work after all
//! disarm the pump; is_parked?        no, somebody has woken the processor: arm the pump anew
//! ```
//!
//! The invariants of the design, and where they are kept: 2 in `local_queue`; 3, the LIFO slot, in `next`; 4, the injector's
//! interval, in `next` and `interval`; 5 in `idle`. With one processor all of `idle` falls away: its pump's `arm` decides
//! whether it has to be woken.
//!
//! Only tasks of normal urgency have queues of their own in each processor. The others are rarer, and go through the
//! injector: that costs each of them a few locked instructions, and the normal ones a single look at a counter.
//!
//! The file is long because what races with what is told where it happens: between a push, a park and a wake-up.

use std::time::Duration;

use crate::chance::Chance;
use crate::idle::Idle;
use crate::injector::Injector;
use crate::level::Level;
use crate::local_queue::CAPACITY;
use crate::processor::{Core, Processor};

pub use crate::processor::Counts;

/// How many tasks in a row may come from the LIFO slot.
const LIFO_STREAK: u32 = 3;

/// The heuristics, each with its switch; with one processor only `interval` matters.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many processors there are, at least one.
    pub workers: usize,
    /// A task that was woken last is run next.
    pub lifo: bool,
    /// A processor that has nothing steals from others.
    pub steal: bool,
    /// At most half of the processors search at once.
    pub throttle: bool,
    /// How many runs there are between two looks at the injector; tuned, if not given.
    pub interval: Option<u32>,
    /// A processor takes its share of the injector, not one task.
    pub batch: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { workers: 1, lifo: true, steal: true, throttle: true, interval: None, batch: true }
    }
}

/// A task to run.
#[derive(Debug)]
pub struct Next<T> {
    pub task: T,
    /// It came from the LIFO slot, and shares the budget of the run before.
    pub lifo: bool,
    /// A processor that is to be woken: this one was the last searcher, and has found work.
    pub wake: Option<usize>,
}

/// All processors, and what they share.
#[derive(Debug)]
pub struct Scheduler<T> {
    processors: Box<[Processor<T>]>,
    injector: Injector<T>,
    idle: Idle,
    settings: Settings,
    /// There is one processor.
    alone: bool,
}

impl<T: Send> Scheduler<T> {
    /// Processors that are awake, and have nothing to do.
    pub fn new(settings: Settings) -> Self {
        let workers = settings.workers.max(1);
        Self {
            processors: (0..workers).map(|number| Processor::new(number, settings.interval)).collect(),
            injector: Injector::default(),
            idle: Idle::new(workers, settings.throttle),
            alone: workers == 1,
            settings,
        }
    }

    /// How many processors there are.
    #[inline]
    pub fn workers(&self) -> usize {
        self.processors.len()
    }

    /// Runs `body` with what the holder of a processor alone touches.
    ///
    /// # Safety
    /// The caller holds the processor, and is in no other such call.
    #[inline]
    unsafe fn with_core<R>(&self, processor: usize, body: impl FnOnce(&mut Core<T>) -> R) -> R {
        // SAFETY: by the contract there is one holder, and one call at a time.
        self.processors[processor].core.with_mut(|core| body(unsafe { &mut *core }))
    }

    /// Puts a task at the back of a processor's queue. Returns a processor that the caller has to wake.
    ///
    /// # Safety
    /// The caller holds the processor: no other thread calls an unsafe method with its number meanwhile.
    #[inline]
    pub unsafe fn push(&self, processor: usize, level: Level, task: T) -> Option<usize> {
        if self.alone && level == Level::Normal {
            // SAFETY: the caller's contract.
            unsafe { self.with_core(processor, |core| core.alone.push_back(task)) };
            return None;
        }
        // SAFETY: as above.
        unsafe { self.push_among_many(processor, level, task) }
    }

    /// # Safety
    /// As for [`Scheduler::push`].
    unsafe fn push_among_many(&self, processor: usize, level: Level, task: T) -> Option<usize> {
        if level != Level::Normal {
            self.injector.push(level, task);
            return self.to_wake();
        }
        // SAFETY: the caller's contract.
        unsafe { self.push_shared(processor, task) };
        self.to_wake()
    }

    /// The same for a task that the running one has woken: it is the next to run, if there are several processors.
    ///
    /// # Safety
    /// As for [`Scheduler::push`].
    #[inline]
    pub unsafe fn push_next(&self, processor: usize, level: Level, task: T) -> Option<usize> {
        if self.alone || level != Level::Normal || !self.settings.lifo {
            // SAFETY: the caller's contract.
            return unsafe { self.push(processor, level, task) };
        }
        // SAFETY: as above.
        let before = unsafe { self.with_core(processor, |core| core.lifo.replace(task)) }?;
        // SAFETY: as above.
        unsafe { self.push_shared(processor, before) };
        self.to_wake()
    }

    /// # Safety
    /// As for [`Scheduler::push`].
    unsafe fn push_shared(&self, processor: usize, task: T) {
        let here = &self.processors[processor];
        // SAFETY: the caller's contract.
        if let Err(out) = unsafe { here.shared.push(task) } {
            here.counters.overflows.add(1);
            out.into_iter().for_each(|task| self.injector.push(Level::Normal, task));
        }
    }

    /// Puts a task where any processor finds it. From any thread. Returns a processor that the caller has to wake.
    pub fn inject(&self, level: Level, task: T) -> Option<usize> {
        self.injector.push(level, task);
        if self.alone { Some(0) } else { self.to_wake() }
    }

    fn to_wake(&self) -> Option<usize> {
        if self.alone {
            return None;
        }
        let sleeper = self.idle.to_wake()?;
        self.processors[sleeper].counters.wakes.add(1);
        Some(sleeper)
    }

    /// The next task, without a search elsewhere: the LIFO slot's, the queue's, and the injector's from time to time or
    /// when there is no other.
    ///
    /// # Safety
    /// As for [`Scheduler::push`].
    #[inline]
    pub unsafe fn next(&self, processor: usize) -> Option<Next<T>> {
        if self.alone && !self.injector.has_unusual() {
            // The common case: the queue of the only processor has a task, and it is not time to look elsewhere.
            // SAFETY: the caller's contract.
            let task = unsafe {
                self.with_core(processor, |core| {
                    let tick = core.tick.wrapping_add(1);
                    let task = if tick == core.next_look { None } else { core.alone.pop_front() };
                    core.tick = if task.is_some() { tick } else { core.tick };
                    task
                })
            };
            if let Some(task) = task {
                return Some(Next { task, lifo: false, wake: None });
            }
        }
        // SAFETY: as above.
        unsafe { self.next_anywhere(processor) }
    }

    /// # Safety
    /// As for [`Scheduler::push`].
    unsafe fn next_anywhere(&self, processor: usize) -> Option<Next<T>> {
        // SAFETY: the caller's contract.
        let (found, searches) = unsafe {
            self.with_core(processor, |core| {
                core.tick = core.tick.wrapping_add(1);
                let found = if self.injector.has_unusual() {
                    self.next_of_levels(processor, core)
                } else {
                    self.next_normal(processor, core)
                };
                (found, core.searches)
            })
        };
        let (task, lifo) = found?;
        // SAFETY: as above.
        let wake = if searches { unsafe { self.end_search(processor) } } else { None };
        Some(Next { task, lifo, wake })
    }

    #[cold]
    fn next_of_levels(&self, processor: usize, core: &mut Core<T>) -> Option<(T, bool)> {
        if let Some(task) = self.injector.pop(Level::Control) {
            return Some((task, false));
        }
        Level::order(core.tick).into_iter().find_map(|level| match level {
            Level::Normal => self.next_normal(processor, core),
            other => self.injector.pop(other).map(|task| (task, false)),
        })
    }

    fn next_normal(&self, processor: usize, core: &mut Core<T>) -> Option<(T, bool)> {
        if core.tick == core.next_look {
            core.next_look = core.tick.wrapping_add(core.interval.runs());
            if !self.injector.has_no_normal()
                && let Some(task) = self.take_from_injector(processor, false)
            {
                return Some((task, false));
            }
        }
        if self.alone {
            if let Some(task) = core.alone.pop_front() {
                return Some((task, false));
            }
            return self.injector.pop(Level::Normal).map(|task| (task, false));
        }
        self.next_shared(processor, core)
    }

    fn next_shared(&self, processor: usize, core: &mut Core<T>) -> Option<(T, bool)> {
        let here = &self.processors[processor];
        if let Some(task) = core.lifo.take() {
            if core.lifo_streak < LIFO_STREAK {
                core.lifo_streak += 1;
                here.counters.lifo_hits.add(1);
                return Some((task, true));
            }
            // SAFETY: `core` shows that the caller is the holder.
            unsafe { self.push_shared(processor, task) };
        }
        core.lifo_streak = 0;
        // SAFETY: as above.
        let task = unsafe { here.shared.pop() };
        task.or_else(|| self.take_from_injector(processor, self.settings.batch)).map(|task| (task, false))
    }

    /// Takes a task from the injector, and with it a fair share of the rest into the processor's queue, which is empty.
    fn take_from_injector(&self, processor: usize, share: bool) -> Option<T> {
        let here = &self.processors[processor];
        let task = self.injector.pop(Level::Normal)?;
        let mut taken = 1;
        if share {
            let share = (self.injector.normal() / self.workers()).min(CAPACITY / 2);
            while taken <= share
                && let Some(more) = self.injector.pop(Level::Normal)
            {
                // SAFETY: whoever takes from the injector holds the processor.
                unsafe { self.push_shared(processor, more) };
                taken += 1;
            }
        }
        here.counters.batches.add(1);
        here.counters.batched.add(taken as u64);
        Some(task)
    }

    /// When [`Scheduler::next`] has found nothing: looks for work elsewhere.
    ///
    /// # Safety
    /// As for [`Scheduler::push`].
    pub unsafe fn search(&self, processor: usize) -> Option<Next<T>> {
        if self.alone {
            return None;
        }
        let here = &self.processors[processor];
        // SAFETY: the caller's contract.
        let start = unsafe {
            self.with_core(processor, |core| {
                if !core.searches {
                    core.searches = self.idle.begin_search();
                }
                core.searches.then(|| core.chance.usize(0..self.workers()))
            })
        }?;
        here.counters.searches.add(1);
        let victims = (0..self.workers()).map(|place| (start + place) % self.workers());
        let task = victims
            .filter(|&victim| victim != processor && self.settings.steal)
            .find_map(|victim| {
                // SAFETY: as above, and the victim is another.
                let (task, count) = unsafe { self.processors[victim].shared.steal_into(&here.shared) }?;
                here.counters.steals.add(1);
                here.counters.stolen.add(u64::from(count));
                Some(task)
            })
            .or_else(|| self.take_from_injector(processor, self.settings.batch))?;
        // SAFETY: as above.
        let wake = unsafe { self.end_search(processor) };
        Some(Next { task, lifo: false, wake })
    }

    /// The processor has found work. Returns another one that is to be woken: if there is work for one, there may be more.
    ///
    /// # Safety
    /// As for [`Scheduler::push`].
    unsafe fn end_search(&self, processor: usize) -> Option<usize> {
        // SAFETY: the caller's contract.
        unsafe { self.with_core(processor, |core| core.searches = false) };
        if self.idle.end_search() { self.to_wake() } else { None }
    }

    /// The processor's holder runs something else than what the scheduler knows: it does not search any more. Returns
    /// another processor that is to be woken, if there may be work for it.
    ///
    /// # Safety
    /// As for [`Scheduler::push`].
    pub unsafe fn stop_searching(&self, processor: usize) -> Option<usize> {
        if self.alone {
            return None;
        }
        // SAFETY: the caller's contract.
        let searched = unsafe { self.with_core(processor, |core| std::mem::take(&mut core.searches)) };
        if searched && self.idle.end_search() && self.has_work() { self.to_wake() } else { None }
    }

    /// Nobody can run a processor, whether it was woken or never slept: it sleeps, to be woken after all others. Returns
    /// another one that is to be woken for the work that is left.
    ///
    /// # Safety
    /// As for [`Scheduler::push`].
    pub unsafe fn abandon(&self, processor: usize) -> Option<usize> {
        if self.alone {
            return None;
        }
        // SAFETY: the caller's contract.
        unsafe {
            let left = self.with_core(processor, |core| core.lifo.take());
            left.into_iter().for_each(|task| self.push_shared(processor, task));
            self.with_core(processor, |core| self.lie_down(processor, core));
            let other = if self.has_work() { self.to_wake()? } else { return None };
            if other != processor {
                return Some(other);
            }
            self.with_core(processor, |core| self.lie_down(processor, core));
        }
        None
    }

    fn lie_down(&self, processor: usize, core: &mut Core<T>) {
        self.get_up(processor, core);
        self.idle.sleep_last(processor, std::mem::take(&mut core.searches));
        core.parked = true;
    }

    /// When nothing was found: the processor goes to sleep. False: there is work after all, and it does not.
    ///
    /// # Safety
    /// As for [`Scheduler::push`].
    #[must_use]
    pub unsafe fn park(&self, processor: usize) -> bool {
        let here = &self.processors[processor];
        if self.alone {
            let sleeps = self.injector.is_empty();
            here.counters.parks.add(u64::from(sleeps));
            return sleeps;
        }
        // SAFETY: the caller's contract.
        unsafe {
            self.with_core(processor, |core| {
                debug_assert!(core.lifo.is_none() && !core.parked);
                let last = self.idle.park(processor, std::mem::take(&mut core.searches));
                core.parked = true;
                here.counters.parks.add(1);
                if last && self.has_work() {
                    self.get_up(processor, core);
                    return false;
                }
                true
            })
        }
    }

    /// Whether nobody has woken a processor since it went to sleep. From any thread.
    pub fn is_parked(&self, processor: usize) -> bool {
        if self.alone { self.injector.is_empty() } else { self.idle.is_parked(processor) }
    }

    /// A processor begins anew, whether it has slept, or was woken, or neither.
    ///
    /// # Safety
    /// As for [`Scheduler::push`].
    #[inline]
    pub unsafe fn unpark(&self, processor: usize) {
        if !self.alone {
            // SAFETY: the caller's contract.
            unsafe { self.with_core(processor, |core| self.get_up(processor, core)) };
        }
    }

    fn get_up(&self, processor: usize, core: &mut Core<T>) {
        if std::mem::take(&mut core.parked) {
            core.searches = !self.idle.unpark(processor) && self.idle.counts_on(processor);
        }
    }

    /// Tells that so many runs took so long, all in all.
    ///
    /// # Safety
    /// As for [`Scheduler::push`].
    #[inline]
    pub unsafe fn measured(&self, processor: usize, runs: u32, elapsed: Duration) {
        let counters = &self.processors[processor].counters;
        // SAFETY: the caller's contract.
        unsafe {
            self.with_core(processor, |core| {
                core.interval.measured(runs, elapsed);
                counters.alone.set(core.alone.len() as u64);
            });
        }
    }

    /// Any of the tasks, as chance has it. Only with one processor.
    ///
    /// # Safety
    /// As for [`Scheduler::push`].
    pub unsafe fn pop_any(&self, processor: usize, chance: &mut Chance) -> Option<T> {
        debug_assert!(self.alone);
        // SAFETY: the caller's contract.
        unsafe {
            self.with_core(processor, |core| {
                for level in [Level::Control, Level::High, Level::Normal, Level::Low] {
                    core.alone.extend(std::iter::from_fn(|| self.injector.pop(level)));
                }
                if core.alone.is_empty() {
                    return None;
                }
                let place = chance.place(core.alone.len());
                core.alone.remove(place)
            })
        }
    }

    /// Whether the processor has something in its own queues.
    ///
    /// # Safety
    /// As for [`Scheduler::push`].
    #[inline]
    pub unsafe fn has_local(&self, processor: usize) -> bool {
        let shared = &self.processors[processor].shared;
        // SAFETY: the caller's contract.
        unsafe { self.with_core(processor, |core| !core.alone.is_empty() || core.lifo.is_some()) || !shared.is_empty() }
    }

    /// About how many tasks are in a processor's queue. From any thread.
    pub fn depth(&self, processor: usize) -> usize {
        let here = &self.processors[processor];
        here.counters.alone.read() as usize + here.shared.len()
    }

    /// About how many tasks wait for any processor. From any thread.
    pub fn injected(&self) -> usize {
        self.injector.len()
    }

    /// What a processor has done. From any thread.
    pub fn counts(&self, processor: usize) -> Counts {
        self.processors[processor].counters.read()
    }

    /// Whether there is something to steal or to take. From any thread.
    pub fn has_work(&self) -> bool {
        !self.injector.is_empty() || self.processors.iter().any(|processor| !processor.shared.is_empty())
    }

    /// Calls `visit` with each task in a processor's queue, for a garbage collector that has stopped the world.
    ///
    /// # Safety
    /// Nobody is in another method.
    #[cfg(not(loom))]
    pub unsafe fn visit(&self, mut visit: impl FnMut(&T)) {
        for processor in &self.processors {
            processor.core.with(|core| {
                // SAFETY: by the contract nobody else is here.
                let core = unsafe { &*core };
                core.alone.iter().chain(&core.lifo).for_each(&mut visit);
            });
            // SAFETY: as above.
            unsafe { processor.shared.visit(&mut visit) };
        }
    }
}
