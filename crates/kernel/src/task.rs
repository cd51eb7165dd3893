//! The state of one agent: who may run it, and whether a wake-up is owed to it.
//!
//! ```text
//!           wake                  start
//!  IDLE ------------> SCHEDULED ----------> RUNNING ---- finish ----> DONE
//!   ^                     ^                  |   |
//!   |        park         |                  |   | wake
//!   +---------------------|------------------+   v
//!                         +---- park ------ NOTIFIED
//! ```
//!
//! Invariant: an agent is in a queue exactly while it is SCHEDULED, and only the thread that moved it from SCHEDULED
//! to RUNNING may step it; therefore an agent is never run twice at once. A wake-up that meets a running agent is
//! remembered as NOTIFIED, and the park that follows turns it into SCHEDULED; therefore none is lost.

use crate::sync::{AtomicU8, Word};

const IDLE: u8 = 0;
const SCHEDULED: u8 = 1;
const RUNNING: u8 = 2;
const NOTIFIED: u8 = 3;
const DONE: u8 = 4;

/// The state of one agent, in an atomic word.
#[derive(Debug)]
pub struct TaskState<W = AtomicU8>(W);

impl<W: Word> TaskState<W> {
    /// The state of an agent that was just put into a queue.
    pub fn scheduled() -> Self {
        Self(W::new(SCHEDULED))
    }

    /// Asks for a run. True: the caller must put the agent into a queue. False: somebody else has, or the run that is
    /// under way will see it, or the agent is done.
    #[must_use]
    pub fn wake(&self) -> bool {
        // What the waker wrote before is seen by the run that follows (pairs with `start`, `park`, `reschedule`).
        // Therefore also a state that stays as it is must be written: that run is somebody else's doing.
        let mut state = self.0.load();
        loop {
            let next = match state {
                IDLE => SCHEDULED,
                RUNNING => NOTIFIED,
                DONE => return false,
                unchanged => unchanged,
            };
            match self.0.exchange(state, next) {
                Ok(()) => return state == IDLE,
                Err(current) => state = current,
            }
        }
    }

    /// Takes the agent for a run. False: it ended while it was queued, and must not be run.
    #[must_use]
    pub fn start(&self) -> bool {
        self.0.exchange(SCHEDULED, RUNNING).is_ok()
    }

    /// Ends a run that found nothing more to do. True: the agent is idle. False: a wake-up came during the run, the
    /// agent is scheduled again, and the caller must put it into a queue.
    #[must_use]
    pub fn park(&self) -> bool {
        if self.0.exchange(RUNNING, IDLE).is_ok() {
            return true;
        }
        self.0.swap(SCHEDULED);
        false
    }

    /// Ends a run that has more to do: the caller must put the agent into a queue.
    pub fn reschedule(&self) {
        // A swap, not a store: it takes in what a waker that met the run has released.
        self.0.swap(SCHEDULED);
    }

    /// The agent has ended, and no wake-up will schedule it again.
    pub fn finish(&self) {
        self.0.swap(DONE);
    }

    /// Whether the agent has ended.
    pub fn is_done(&self) -> bool {
        self.0.load() == DONE
    }

    /// Whether the agent waits, in no queue and on no thread.
    pub fn is_idle(&self) -> bool {
        self.0.load() == IDLE
    }

    /// The state's name, for people.
    pub fn name(&self) -> &'static str {
        match self.0.load() {
            IDLE => "idle",
            SCHEDULED => "scheduled",
            RUNNING | NOTIFIED => "running",
            _ => "done",
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_wake_during_a_run_is_kept_for_the_next() {
        let state = <TaskState>::scheduled();
        assert!(state.start());
        assert!(!state.wake(), "a running agent is in no queue, and must not be put into one");
        assert!(!state.park(), "the wake-up must not be lost");
        assert!(state.start());
        assert!(state.park());
        assert!(state.is_idle());
    }

    #[test]
    fn only_the_first_of_two_wakes_queues() {
        let state = <TaskState>::scheduled();
        assert!(state.start() && state.park());
        assert!(state.wake());
        assert!(!state.wake());
    }

    #[test]
    fn a_done_agent_is_never_queued_nor_run() {
        let state = <TaskState>::scheduled();
        assert!(state.start());
        state.finish();
        assert!(!state.wake() && !state.start() && state.is_done());
        assert_eq!(state.name(), "done");
    }
}
