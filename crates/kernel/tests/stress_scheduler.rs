//! Shaped stress of the whole scheduler on real threads: whatever the load looks like, each task is run exactly once, and
//! no worker sleeps while there is something to do.
//!
//! A few seconds in an ordinary run; REMUDA_STRESS_SECONDS makes each shape and number of workers go on for so long.
#![cfg(not(loom))]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

// Not the standard ones: those come compiled, and ThreadSanitizer does not see what they order.
use parking_lot::{Condvar, Mutex};
use remuda_kernel::level::Level;
use remuda_kernel::pump::Pump;
use remuda_kernel::scheduler::{Scheduler, Settings};

const TASKS: usize = 20_000;
/// A load that is not through after this has lost a task or a wake-up.
const TOO_LONG: Duration = Duration::from_secs(60);

/// A thread that sleeps until its pump is called, as an event loop does.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

struct World {
    scheduler: Scheduler<usize>,
    pumps: Vec<Pump>,
    bells: Vec<Bell>,
    times: Vec<AtomicU32>,
    ran: AtomicUsize,
    over: AtomicBool,
}

impl World {
    fn ring(&self, worker: usize) {
        *self.bells[worker].rung.lock() = true;
        self.bells[worker].heard.notify_one();
    }

    fn wake(&self, worker: Option<usize>) {
        if let Some(worker) = worker
            && self.pumps[worker].arm()
        {
            self.ring(worker);
        }
    }

    fn inject(&self, task: usize) {
        let level = if task.is_multiple_of(50) { Level::Low } else { Level::Normal };
        self.wake(self.scheduler.inject(level, task));
    }

    /// Runs a task; every third one wakes others, as agents do.
    fn run(&self, worker: usize, task: usize, fresh: &AtomicUsize) {
        let before = self.times[task].fetch_add(1, Ordering::Relaxed);
        assert_eq!(before, 0, "task {task} was run twice");
        self.ran.fetch_add(1, Ordering::Release);
        if task.is_multiple_of(3) {
            for place in 0..2 {
                let next = fresh.fetch_add(1, Ordering::Relaxed);
                if next < TASKS {
                    // SAFETY: this is the worker's thread.
                    let wake = unsafe {
                        if place == 0 {
                            self.scheduler.push(worker, Level::Normal, next)
                        } else {
                            self.scheduler.push_next(worker, Level::Normal, next)
                        }
                    };
                    self.wake(wake);
                }
            }
        }
    }

    fn work(&self, worker: usize, fresh: &AtomicUsize) {
        loop {
            {
                let mut rung = self.bells[worker].rung.lock();
                while !*rung {
                    self.bells[worker].heard.wait(&mut rung);
                }
                *rung = false;
            }
            if self.over.load(Ordering::Acquire) {
                return;
            }
            // SAFETY: this is the worker's thread, throughout.
            unsafe {
                self.scheduler.unpark(worker);
                for _ in 0..100 {
                    let Some(next) = self.scheduler.next(worker).or_else(|| self.scheduler.search(worker)) else {
                        break;
                    };
                    self.wake(next.wake);
                    self.run(worker, next.task, fresh);
                }
                self.scheduler.measured(worker, 16, Duration::from_micros(10));
                if !self.scheduler.has_local(worker) && self.scheduler.park(worker) {
                    self.pumps[worker].disarm();
                    if self.scheduler.is_parked(worker) || !self.pumps[worker].arm() {
                        continue;
                    }
                }
            }
            self.ring(worker);
        }
    }
}

/// Puts a load on so many workers and checks that each task is run once. `feed` makes tasks of numbers that it takes from
/// the counter, and is called by so many threads.
fn stress(workers: usize, feeders: usize, feed: fn(&World, &AtomicUsize)) {
    let world = Arc::new(World {
        scheduler: Scheduler::new(Settings { workers, ..Settings::default() }),
        pumps: (0..workers).map(|_| Pump::new()).collect(),
        bells: (0..workers).map(|_| Bell::default()).collect(),
        times: (0..TASKS).map(|_| AtomicU32::new(0)).collect(),
        ran: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    });
    let fresh = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..workers)
        .map(|worker| {
            let (world, fresh) = (world.clone(), fresh.clone());
            thread::spawn(move || world.work(worker, &fresh))
        })
        .collect();
    (0..workers).for_each(|worker| world.wake(Some(worker)));
    let feeders: Vec<_> = (0..feeders)
        .map(|_| {
            let (world, fresh) = (world.clone(), fresh.clone());
            thread::spawn(move || feed(&world, &fresh))
        })
        .collect();
    feeders.into_iter().for_each(|feeder| feeder.join().unwrap());
    let began = Instant::now();
    while world.ran.load(Ordering::Acquire) < TASKS {
        let ran = world.ran.load(Ordering::Acquire);
        assert!(began.elapsed() < TOO_LONG, "{ran} of {TASKS} tasks were run, and then all slept");
        thread::yield_now();
    }
    world.over.store(true, Ordering::Release);
    (0..workers).for_each(|worker| world.ring(worker));
    threads.into_iter().for_each(|worker| worker.join().unwrap());
    assert!(world.times.iter().all(|times| times.load(Ordering::Relaxed) == 1));
    assert!(!world.scheduler.has_work());
}

/// Calls with every number of workers, once or for as long as the environment says.
fn for_each_number_of_workers(feeders: usize, feed: fn(&World, &AtomicUsize)) {
    let seconds = std::env::var("REMUDA_STRESS_SECONDS").map_or(0, |text| text.parse().expect("a number of seconds"));
    for workers in [1, 2, 4, 8] {
        let began = Instant::now();
        loop {
            stress(workers, feeders, feed);
            if began.elapsed() >= Duration::from_secs(seconds) {
                break;
            }
        }
    }
}

/// Feeds bursts of so many tasks, and waits until each burst has been run.
fn bursts(world: &World, fresh: &AtomicUsize, size: usize) {
    loop {
        for _ in 0..size {
            let task = fresh.fetch_add(1, Ordering::Relaxed);
            if task >= TASKS {
                return;
            }
            world.inject(task);
        }
        let began = Instant::now();
        let made = fresh.load(Ordering::Relaxed).min(TASKS);
        while world.ran.load(Ordering::Acquire) < made {
            assert!(began.elapsed() < TOO_LONG, "a task was left while all slept");
            thread::yield_now();
        }
    }
}

/// Feeds all at once.
fn all_at_once(world: &World, fresh: &AtomicUsize) {
    loop {
        let task = fresh.fetch_add(1, Ordering::Relaxed);
        if task >= TASKS {
            return;
        }
        world.inject(task);
    }
}

#[test]
fn nearly_empty() {
    for_each_number_of_workers(1, |world, fresh| bursts(world, fresh, 1));
}

#[test]
fn small_bursts() {
    for_each_number_of_workers(1, |world, fresh| bursts(world, fresh, 2 + fresh.load(Ordering::Relaxed) % 3));
}

#[test]
fn full_queues() {
    for_each_number_of_workers(1, all_at_once);
}

#[test]
fn a_stampede() {
    for_each_number_of_workers(8, all_at_once);
}
