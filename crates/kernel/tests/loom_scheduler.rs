//! Every interleaving of workers that search and park with threads that make work: when all sleep, nothing is left.
//!
//! Run with `make loom`.
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use remuda_kernel::level::Level;
use remuda_kernel::pump::Pump;
use remuda_kernel::scheduler::{Scheduler, Settings};

/// Workers whose event loops are threads that are joined: a pump that is called while its thread is gone is called by
/// whoever finds it so.
struct World {
    scheduler: Scheduler<u32>,
    pumps: Vec<Pump>,
    ran: AtomicUsize,
    /// How often a worker's pump was called and has not begun.
    calls: Vec<AtomicUsize>,
}

impl World {
    fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            scheduler: Scheduler::new(Settings { workers, interval: Some(2), ..Settings::default() }),
            pumps: (0..workers).map(|_| Pump::new()).collect(),
            ran: AtomicUsize::new(0),
            calls: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
        })
    }

    fn wake(&self, worker: Option<usize>) {
        if let Some(worker) = worker
            && self.pumps[worker].arm()
        {
            let called = self.calls[worker].fetch_add(1, Ordering::AcqRel);
            assert_eq!(called, 0, "a pump was called twice");
        }
    }

    /// One call of a worker's pump: runs what it finds, and goes to sleep.
    fn pump(&self, worker: usize) {
        // SAFETY: a worker's pump runs on one thread at a time: `arm` hands it over.
        unsafe {
            self.scheduler.unpark(worker);
            loop {
                let next = self.scheduler.next(worker).or_else(|| self.scheduler.search(worker));
                let Some(next) = next else { break };
                self.wake(next.wake);
                self.ran.fetch_add(1, Ordering::Relaxed);
            }
            if !self.scheduler.has_local(worker) && self.scheduler.park(worker) {
                self.pumps[worker].disarm();
                if self.scheduler.is_parked(worker) || !self.pumps[worker].arm() {
                    return;
                }
            }
            self.calls[worker].fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Runs a worker as long as its pump is called.
    fn serve(&self, worker: usize) {
        while self.calls[worker].load(Ordering::Acquire) > 0 {
            self.calls[worker].fetch_sub(1, Ordering::AcqRel);
            self.pump(worker);
        }
    }

    /// All threads are gone: what is still called runs to its end, and then nothing may be left.
    fn check(&self, tasks: usize) {
        while self.calls.iter().any(|calls| calls.load(Ordering::Acquire) > 0) {
            (0..self.calls.len()).for_each(|worker| self.serve(worker));
        }
        assert_eq!(self.ran.load(Ordering::Relaxed), tasks, "all sleep, and a task is left");
    }
}

/// Both workers are called once, and have nothing to do.
fn two_idle_workers() -> Arc<World> {
    let world = World::new(2);
    (0..2).for_each(|worker| world.wake(Some(worker)));
    world
}

#[test]
fn what_comes_from_outside_while_all_go_to_sleep_is_run() {
    loom::model(|| {
        let world = two_idle_workers();
        let worker = {
            let world = world.clone();
            thread::spawn(move || world.serve(1))
        };
        let outside = {
            let world = world.clone();
            thread::spawn(move || {
                let wake = world.scheduler.inject(Level::Normal, 1);
                world.wake(wake);
            })
        };
        world.serve(0);
        worker.join().unwrap();
        outside.join().unwrap();
        world.check(1);
        // And the next one wakes somebody again.
        let wake = world.scheduler.inject(Level::Normal, 2);
        world.wake(wake);
        world.check(2);
    });
}

#[test]
fn one_worker_goes_to_sleep_while_something_comes_from_outside() {
    loom::model(|| {
        let world = World::new(1);
        world.wake(Some(0));
        let outside = {
            let world = world.clone();
            thread::spawn(move || {
                for (task, level) in [Level::Normal, Level::High].into_iter().enumerate() {
                    let wake = world.scheduler.inject(level, task as u32);
                    world.wake(wake);
                }
            })
        };
        world.serve(0);
        outside.join().unwrap();
        world.check(2);
    });
}

#[test]
fn what_a_busy_worker_has_queued_is_stolen_or_run_by_itself() {
    loom::model(|| {
        let world = two_idle_workers();
        let worker = {
            let world = world.clone();
            thread::spawn(move || world.serve(1))
        };
        // SAFETY: worker 0 is this thread's.
        unsafe {
            world.scheduler.unpark(0);
            for task in 0..2 {
                let wake = world.scheduler.push(0, Level::Normal, task);
                world.wake(wake);
            }
        }
        world.serve(0);
        worker.join().unwrap();
        world.check(2);
    });
}

#[test]
fn what_is_left_when_the_scheduler_goes_is_dropped_once() {
    loom::model(|| {
        let task = std::sync::Arc::new(());
        let scheduler = Arc::new(Scheduler::new(Settings { workers: 2, ..Settings::default() }));
        // SAFETY: processor 0 is this thread's.
        unsafe {
            (0..3).for_each(|_| assert_eq!(scheduler.push(0, Level::Normal, task.clone()), None));
            assert_eq!(scheduler.push_next(0, Level::Normal, task.clone()), None);
        }
        let thief = {
            let scheduler = scheduler.clone();
            // SAFETY: processor 1 is the other thread's.
            thread::spawn(move || drop(unsafe { scheduler.search(1) }))
        };
        assert_eq!(scheduler.inject(Level::Low, task.clone()), None, "nobody sleeps");
        thief.join().unwrap();
        drop(scheduler);
        assert_eq!(std::sync::Arc::strong_count(&task), 1);
    });
}
