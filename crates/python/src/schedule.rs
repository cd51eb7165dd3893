//! Putting agents that are to run where they will be run, and waking whoever runs them.
//!
//! The common case is a runtime of one machine, and an agent that is woken on the runtime's own thread: it goes into the
//! only processor's queue, and the pump is called if it sleeps. Everything else is `enqueue_among_many`. Both hold to the
//! order that `remuda_kernel::pump` asks for: first push, then arm; and who has armed calls the pump.

use std::sync::atomic::Ordering;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use remuda_kernel::level::Level;

use crate::agent::AgentRef;
use crate::awaitable::attached;
use crate::errors;
use crate::machine::Machine;
use crate::processors::Found;
use crate::runtime::Runtime;

impl Runtime {
    /// Queues an agent that was just scheduled, at its level or at a higher one, and sees to it that a pump runs.
    #[inline]
    pub fn enqueue(&self, py: Python<'_>, agent: Py<AgentRef>, level: Level) {
        if self.home.is_this_thread() && !self.many.load(Ordering::Relaxed) {
            // Only taken if the pump has to be called: while it runs, the agent may be gone after the push.
            let pumping = self.home.pumping.load(Ordering::Relaxed);
            let runtime = (!pumping).then(|| agent.get().runtime.bind(py).clone());
            // SAFETY: this is the home thread, whose machine holds the only processor while there is no other machine.
            unsafe { self.scheduler().push(0, level, agent) };
            if let Some(runtime) = runtime {
                self.arm(&runtime, &self.home);
            }
        } else {
            self.enqueue_among_many(py, agent, level, true);
        }
    }

    /// Queues an agent in a runtime of several machines, or from another thread. `next`: it was woken by what runs here,
    /// and may go before what has waited longer.
    #[cold]
    pub fn enqueue_among_many(&self, py: Python<'_>, agent: Py<AgentRef>, level: Level, next: bool) {
        // While others run, the agent may be gone after the push.
        let runtime = agent.get().runtime.bind(py).clone();
        if self.many.load(Ordering::Acquire)
            && let Some(machine) = agent.get().affinity.pinned()
        {
            let machine = self.machine(machine);
            let mut pinned = machine.pinned.lock();
            if level == Level::Control {
                pinned.push_front(agent)
            } else {
                pinned.push_back(agent)
            }
            drop(pinned);
            return self.arm(&runtime, machine);
        }
        let here = self.machine_of_this_thread();
        let Some((machine, processor)) = here.and_then(|machine| Some((machine, machine.processor()?))) else {
            if let Some(processor) = self.scheduler().inject(level, agent) {
                self.wake(&runtime, processor);
            }
            return;
        };
        let pumping = machine.pumping.load(Ordering::Relaxed);
        // SAFETY: this is the thread of the machine that holds the processor.
        let wake = unsafe {
            if next && pumping {
                self.scheduler().push_next(processor, level, agent)
            } else {
                self.scheduler().push(processor, level, agent)
            }
        };
        if !pumping {
            self.arm(&runtime, machine);
        }
        if let Some(processor) = wake {
            self.wake(&runtime, processor);
        }
    }

    /// The machine that the calling thread is.
    #[inline]
    pub fn machine_of_this_thread(&self) -> Option<&Machine> {
        if self.home.is_this_thread() { Some(&self.home) } else { Machine::of_this_thread(self) }
    }

    /// Calls a machine's pump, unless it is called already.
    #[inline]
    pub fn arm(&self, runtime: &Bound<'_, Self>, machine: &Machine) {
        if machine.pump.arm() {
            self.armed.fetch_add(1, Ordering::AcqRel);
            Self::call_pump(runtime, machine);
        }
    }

    /// Sees to it that somebody runs what is in a processor's reach; the scheduler has said that it has to be woken.
    #[cold]
    pub fn wake(&self, runtime: &Bound<'_, Self>, processor: usize) {
        let found = {
            let mut processors = self.processors.lock();
            let found = processors.find_machine(processor);
            match found {
                Found::StandIn(machine) => self.machine(machine).take(processor),
                // Counts as armed from now on: its pump is called when it arrives.
                Found::NewThread(machine) => self.prepare_machine(machine),
                Found::Holder(_) | Found::Coming => {}
            }
            found
        };
        match found {
            Found::Holder(machine) | Found::StandIn(machine) => self.arm(runtime, self.machine(machine)),
            Found::NewThread(machine) => Self::start_thread(runtime, machine),
            Found::Coming => {}
        }
    }

    /// Has a machine's pump called by its loop, from whatever thread.
    #[cold]
    pub fn call_pump(runtime: &Bound<'_, Self>, machine: &Machine) {
        attached(|py| {
            let Some(place) = machine.place(py) else { return };
            let called = runtime.getattr(intern!(py, "_pump")).and_then(|pump| {
                let keywords = PyDict::new(py);
                keywords.set_item(intern!(py, "context"), &place.context)?;
                let how = if machine.is_this_thread() { "call_soon" } else { "call_soon_threadsafe" };
                place.event_loop.bind(py).call_method(how, (pump, machine.index), Some(&keywords)).map(drop)
            });
            let Err(error) = called else { return };
            // A loop that was closed under its runtime runs nothing any more. Who has closed it knows; the others go on.
            let closed = place.event_loop.bind(py).call_method0(intern!(py, "is_closed"));
            if machine.is_this_thread() || !closed.is_ok_and(|closed| closed.is_truthy().unwrap_or(false)) {
                errors::unraisable(py, error, Some(runtime));
            }
        });
    }

    /// Starts a thread that stands in for a worker that blocks.
    #[cold]
    fn start_thread(runtime: &Bound<'_, Self>, machine: usize) {
        let py = runtime.py();
        if let Err(error) = runtime.call_method1(intern!(py, "_stand_in"), (machine,)) {
            // There is no thread to be had: the work waits until a worker comes back.
            errors::unraisable(py, error, Some(runtime));
        }
    }

    /// What a machine's pump does when its slice is over: asks to be called again if work is left, or goes to sleep.
    /// True: nothing is left to do anywhere.
    pub fn end_pump(&self, runtime: &Bound<'_, Self>, machine: &Machine) -> bool {
        let mut again = !machine.pinned.lock().is_empty();
        // The processor that sleeps, and that this machine keeps; any other that it has later was given to it to be run.
        let mut asleep = None;
        if let Some(held) = machine.processor() {
            if machine.index >= self.scheduler().workers() {
                again |= self.stand_down(runtime, machine, held);
            } else if self.sleeps(held) {
                asleep = Some(held);
            } else {
                again = true;
            }
        }
        if again {
            Self::call_pump(runtime, machine);
            return false;
        }
        if machine.index >= self.scheduler().workers() && machine.processor().is_none() {
            self.processors.lock().is_spare(machine.index);
        }
        machine.pump.disarm();
        // Whoever has pushed something before that, and found the pump armed, relies on this second look.
        let woken = !machine.pinned.lock().is_empty()
            || machine.processor().is_some_and(|held| asleep != Some(held) || !self.scheduler().is_parked(held));
        if woken && machine.pump.arm() {
            Self::call_pump(runtime, machine);
            return false;
        }
        self.armed.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Puts a processor to sleep, unless it has work. The caller's machine holds it.
    fn sleeps(&self, processor: usize) -> bool {
        // SAFETY: by the contract of the private methods that call this: on the thread of the machine that holds it.
        unsafe {
            // It may have come a moment ago, and not have been begun with.
            self.scheduler().unpark(processor);
            !self.scheduler().has_local(processor) && self.scheduler().park(processor)
        }
    }

    /// A machine that stands in has ended its slice: gives the processor up if it finds no work, or the worker wants it
    /// back. True: it keeps the processor, and has work.
    #[cold]
    fn stand_down(&self, runtime: &Bound<'_, Self>, machine: &Machine, processor: usize) -> bool {
        let wanted = self.processors.lock().is_wanted(processor);
        let idle = self.sleeps(processor);
        if !idle && !wanted {
            return true;
        }
        machine.yield_processor();
        let worker = self.processors.lock().give_up(processor, machine.index);
        self.pass_on(runtime, processor, worker, idle);
        false
    }

    /// A machine has given a processor up: to the worker that wanted it, or to whoever the work in its reach needs.
    fn pass_on(&self, runtime: &Bound<'_, Self>, processor: usize, worker: Option<usize>, idle: bool) {
        if let Some(worker) = worker {
            self.machine(worker).take(processor);
            self.arm(runtime, self.machine(worker));
        } else if !idle || !self.scheduler().is_parked(processor) {
            // There is work, or it was woken while it still had its machine, which did not look any more.
            self.wake(runtime, processor);
        }
    }

    /// The agent that runs here is about to block: hands the processor to another machine, if one can be had.
    pub fn give_processor_up(&self, runtime: &Bound<'_, Self>, machine: &Machine) {
        machine.blocked.store(true, Ordering::Relaxed);
        if self.chance.get().is_some() {
            return; // a run that is to be repeatable has one thread
        }
        self.many.store(true, Ordering::Release);
        let Some(processor) = machine.processor().filter(|_| self.processors.lock().may_give_up()) else { return };
        machine.gave_up.store(true, Ordering::Relaxed);
        let idle = self.sleeps(processor);
        machine.yield_processor();
        let worker = self.processors.lock().give_up(processor, machine.index);
        self.pass_on(runtime, processor, worker, idle);
    }

    /// The agent that runs here blocks no more: takes the processor back, or says that it is wanted.
    pub fn take_processor_back(&self, machine: &Machine) {
        machine.blocked.store(false, Ordering::Relaxed);
        if !machine.gave_up.swap(false, Ordering::Relaxed) {
            return;
        }
        // One that stands in is spare when its slice is over.
        if machine.index < self.scheduler().workers() {
            self.claim(machine);
        }
    }

    /// A machine whose loop is gone gives up what it holds, for good; called when its thread has left it.
    pub fn retire(&self, runtime: &Bound<'_, Self>, machine: &Machine) {
        if machine.pump.is_armed() {
            self.armed.fetch_sub(1, Ordering::AcqRel);
        }
        let held = machine.processor();
        machine.yield_processor();
        let worker = {
            let mut processors = self.processors.lock();
            processors.is_gone(machine.index);
            held.and_then(|processor| processors.give_up(processor, machine.index))
        };
        if let Some(processor) = held {
            if let Some(worker) = worker {
                self.machine(worker).take(processor);
            }
            self.wake(runtime, processor);
        }
    }

    /// The thread of a machine that was to stand in could not be started: the processor that it was to have sleeps on.
    pub fn will_not_come(&self, runtime: &Bound<'_, Self>, machine: usize) {
        self.machine(machine).pump.disarm();
        self.armed.fetch_sub(1, Ordering::AcqRel);
        let other = {
            let mut processors = self.processors.lock();
            let processor = processors.will_not_come(machine);
            // SAFETY: nobody holds it, and while the books are locked nobody is given it.
            processor.and_then(|processor| unsafe { self.scheduler().abandon(processor) })
        };
        if let Some(other) = other {
            self.wake(runtime, other);
        }
    }

    /// A worker without its processor asks for it.
    #[cold]
    pub fn claim(&self, machine: &Machine) {
        if self.processors.lock().claim(machine.index) {
            machine.take(machine.index);
        }
    }
}
