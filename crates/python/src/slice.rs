//! The pump: the callback of a machine's event loop that runs agents for at most a slice.
//!
//! After a slice it asks the loop to be called again if work is left, so that the loop's timers and sockets are never
//! starved; `schedule` decides whether. To read the clock costs as much as to run a small agent: while runs are short it
//! is read for each 16th only, and what a slice tells of itself (statistics, the mean run time) costs no reading more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pyo3::exceptions::PySystemError;
use pyo3::intern;
use pyo3::prelude::*;
use remuda_kernel::budget::{self, Budget};
use remuda_kernel::scheduler::Next;

use crate::agent::AgentRef;
use crate::machine::{Machine, Place};
use crate::runtime::Runtime;
use crate::step::{self, After};
use crate::{current, errors, interop};

/// How long the pump runs before it lets the event loop turn.
const SLICE: Duration = Duration::from_millis(1);
/// How many agents it runs before it does, if that comes earlier.
const SLICE_STEPS: u32 = 1024;

/// After less time than this since the clock was last read, it is read again only after `GLANCE_RUNS` more runs.
const GLANCE: Duration = Duration::from_micros(20);
const GLANCE_RUNS: u32 = 16;

fn plain(task: Py<AgentRef>) -> Next<Py<AgentRef>> {
    Next { task, lifo: false, wake: None }
}

impl Runtime {
    /// A machine's callback that runs agents.
    pub fn pump(runtime: &Bound<'_, Self>, machine: &Machine) -> PyResult<()> {
        let py = runtime.py();
        let this = runtime.get();
        let Some(place) = machine.place(py).filter(|_| machine.is_this_thread()) else { return Ok(()) };
        if machine.pumping.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        if machine.pump.arm() {
            // Nobody has armed it: it is called once more than it was asked for, by a stop for instance.
            this.armed.fetch_add(1, Ordering::AcqRel);
        }
        if machine.processor().is_none() && machine.index < this.scheduler().workers() {
            this.claim(machine);
        }
        let processor = machine.processor();
        if let Some(processor) = processor {
            // SAFETY: this is the thread of the machine that holds it.
            unsafe { this.scheduler().unpark(processor) };
        }
        // Agents that want the loop to turn first.
        let mut put_off = Vec::new();
        let outer = current::enter(machine);
        let slice = AssertUnwindSafe(|| this.run_slice(runtime, machine, place, &mut put_off));
        // After a panic, which is a mistake of ours in one agent's step, the others go on.
        let result = catch_unwind(slice).unwrap_or_else(|_| Err(PySystemError::new_err(errors::PANIC)));
        machine.run.end();
        current::leave(outer);
        interop::leave_task(py, place.event_loop.bind(py))?;
        for agent in put_off {
            this.requeue(py, machine, agent);
        }
        machine.pumping.store(false, Ordering::Relaxed);
        if this.end_pump(runtime, machine) {
            Self::tell_quiet(runtime)?;
        }
        result
    }

    /// Queues an agent anew that has run here, behind all others.
    #[inline]
    fn requeue(&self, py: Python<'_>, machine: &Machine, agent: Py<AgentRef>) {
        if self.many.load(Ordering::Relaxed) {
            let level = agent.get().affinity.level();
            return self.enqueue_among_many(py, agent, level, false);
        }
        let (processor, level) = (machine.index, agent.get().affinity.level());
        // SAFETY: there is no other machine: this one holds the only processor.
        unsafe { self.scheduler().push(processor, level, agent) };
    }

    /// Runs agents until the slice is over; an error is one that must leave the loop.
    fn run_slice(
        &self,
        runtime: &Bound<'_, Self>,
        machine: &Machine,
        place: &Place,
        put_off: &mut Vec<Py<AgentRef>>,
    ) -> PyResult<()> {
        let py = runtime.py();
        let began = Instant::now();
        let (mut now, end) = (began, began + SLICE);
        let (mut runs, mut seen, mut glance_at, mut result) = (0, 0, 1, Ok(()));
        let chance = self.chance.get();
        let slow_step = self.slow_step.load(Ordering::Relaxed);
        let steps = chance.map_or(SLICE_STEPS, |chance| chance.lock().up_to(SLICE_STEPS));
        while runs < steps {
            let (next, budget) = match chance {
                None => (self.next(runtime, machine, runs), Budget::starting(now)),
                Some(chance) => {
                    let mut chance = chance.lock();
                    let budget = Budget::of_messages(chance.up_to(budget::MESSAGES));
                    // SAFETY: this is the home thread, whose machine is the only one of such a runtime.
                    let task = unsafe { self.scheduler().pop_any(0, &mut chance) };
                    (task.map(plain), budget)
                }
            };
            let Some(next) = next else {
                break;
            };
            let agent = next.task.into_bound(py);
            runs += 1;
            let started = (slow_step > 0).then(Instant::now);
            let after = step::run(&agent, machine, place, (!next.lifo).then_some(budget));
            if let Some(took) = started.map(|started| started.elapsed())
                && took.as_nanos() >= u128::from(slow_step)
            {
                Self::tell_slow_step(&agent, took);
            }
            match after {
                Ok(After::Nothing) => {}
                Ok(After::Requeue) => self.requeue(py, machine, agent.unbind()),
                Ok(After::NextTurn) => put_off.push(agent.unbind()),
                Err(fatal) => {
                    result = Err(fatal);
                    break;
                }
            }
            if runs == glance_at && chance.is_none() {
                let then = std::mem::replace(&mut now, Instant::now());
                if let Some(processor) = machine.processor() {
                    // SAFETY: this is the thread of the machine that holds the processor.
                    unsafe { self.scheduler().measured(processor, runs - seen, now - then) };
                }
                seen = runs;
                if now >= end {
                    break;
                }
                glance_at += if now - then < GLANCE { GLANCE_RUNS } else { 1 };
            }
        }
        self.load(machine).add(runs, began.elapsed());
        result
    }

    /// The next agent that this machine is to run.
    #[inline]
    fn next(&self, runtime: &Bound<'_, Self>, machine: &Machine, turn: u32) -> Option<Next<Py<AgentRef>>> {
        if self.many.load(Ordering::Relaxed) {
            return self.next_among_many(runtime, machine, turn);
        }
        // SAFETY: there is no other machine: this one, on its own thread, holds the only processor.
        unsafe { self.scheduler().next(0) }
    }

    /// In turns one that is pinned to this machine, and any other.
    #[inline(never)]
    fn next_among_many(&self, runtime: &Bound<'_, Self>, machine: &Machine, turn: u32) -> Option<Next<Py<AgentRef>>> {
        // One that runs what is pinned to it does not search: another may have to, in its place.
        let pinned = || {
            let task = machine.pinned.lock().pop_front()?;
            // SAFETY: this is the thread of the machine that holds the processor.
            let wake = machine.processor().and_then(|held| unsafe { self.scheduler().stop_searching(held) });
            if let Some(processor) = wake {
                self.wake(runtime, processor);
            }
            Some(plain(task))
        };
        if turn.is_multiple_of(2)
            && let Some(next) = pinned()
        {
            return Some(next);
        }
        loop {
            // Looked up anew each time: what ran last may have blocked, and the processor may be gone.
            let found = machine.processor().and_then(|processor| {
                // SAFETY: this is the thread of the machine that holds the processor.
                unsafe { self.scheduler().unpark(processor) };
                // SAFETY: as above.
                if let Some(next) = unsafe { self.scheduler().next(processor) } {
                    return Some(next);
                }
                if let Some(next) = pinned() {
                    return Some(next);
                }
                // SAFETY: as above.
                unsafe { self.scheduler().search(processor) }
            });
            let next = found.or_else(pinned)?;
            if let Some(processor) = next.wake {
                self.wake(runtime, processor);
            }
            match next.task.get().affinity.pinned() {
                Some(elsewhere) if elsewhere != machine.index => {
                    // It was queued before there were others, or before it was pinned.
                    let level = next.task.get().affinity.level();
                    self.enqueue_among_many(runtime.py(), next.task, level, false);
                }
                _ => return Some(next),
            }
        }
    }

    /// Tells of an agent that has kept everybody else from running.
    #[cold]
    fn tell_slow_step(agent: &Bound<'_, AgentRef>, took: Duration) {
        let py = agent.py();
        let runtime = agent.get().runtime.bind(py);
        if let Err(error) = runtime.call_method1(intern!(py, "_on_slow_step"), (agent, took.as_secs_f64())) {
            errors::unraisable(py, error, Some(agent));
        }
    }
}
