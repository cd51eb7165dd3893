//! Every interleaving of wake-ups with a run: an agent is queued exactly once for any number of wake-ups, and never lost.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p remuda-kernel --release --test loom_task`.
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use remuda_kernel::task::TaskState;

/// How often the agent is in a queue, and what it has seen.
struct World {
    state: TaskState,
    queued: AtomicUsize,
    messages: AtomicUsize,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self { state: TaskState::scheduled(), queued: AtomicUsize::new(1), messages: AtomicUsize::new(0) })
    }

    fn send(&self) {
        // Relaxed: that the run sees the message must follow from the state's own orderings.
        self.messages.fetch_add(1, Ordering::Relaxed);
        if self.state.wake() {
            let before = self.queued.fetch_add(1, Ordering::Relaxed);
            assert_eq!(before, 0, "queued twice");
        }
    }

    /// Takes the agent out of its queue and runs it; returns how many messages it saw.
    fn run(&self) -> usize {
        self.queued.fetch_sub(1, Ordering::Relaxed);
        assert!(self.state.start(), "queued, and yet not scheduled");
        let seen = self.messages.load(Ordering::Relaxed);
        if !self.state.park() {
            let before = self.queued.fetch_add(1, Ordering::Relaxed);
            assert_eq!(before, 0, "queued twice");
        }
        seen
    }
}

#[test]
fn a_message_sent_during_a_run_is_seen_by_it_or_by_the_next() {
    loom::model(|| {
        let world = World::new();
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let world = world.clone();
                thread::spawn(move || world.send())
            })
            .collect();
        let mut seen = world.run();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        while world.queued.load(Ordering::Relaxed) > 0 {
            seen = world.run();
        }
        assert_eq!(seen, 2, "a wake-up was lost");
        assert!(world.state.is_idle());
    });
}

#[test]
fn a_wake_up_that_meets_the_end_queues_nothing() {
    loom::model(|| {
        let world = World::new();
        world.queued.store(0, Ordering::Relaxed);
        assert!(world.state.start());
        let sender = {
            let world = world.clone();
            thread::spawn(move || world.send())
        };
        world.state.finish();
        sender.join().unwrap();
        assert_eq!(world.queued.load(Ordering::Relaxed), 0);
        assert!(world.state.is_done());
    });
}
