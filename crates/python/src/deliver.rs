//! Putting a message into an agent's mailbox, and refusing it.

use pyo3::prelude::*;
use remuda_kernel::mailbox::Push;

use crate::admission::{admit, handed_back, pass_smoothly};
use crate::agent::{AgentRef, Outcome, Receiver};
use crate::runtime::Fate;
use crate::waiter::Waiter;
use crate::{current, errors, finish};

impl AgentRef {
    /// Delivers a message if there is room, and nothing out of the ordinary is to be done; otherwise hands it back.
    /// Calls no Python but to wake the receiver, and does not panic.
    #[inline]
    pub fn deliver_smoothly(agent: &Bound<'_, Self>, message: Py<PyAny>) -> Result<(), Py<PyAny>> {
        let is_strict = || agent.get().runtime.get().is_strict();
        pass_smoothly(agent.py(), message, is_strict, |payload| Self::put_smoothly(agent, payload))
    }

    /// The same for what was admitted.
    #[inline]
    pub fn put_smoothly(agent: &Bound<'_, Self>, message: Py<PyAny>) -> Result<(), Py<PyAny>> {
        let this = agent.get();
        if this.runtime.get().intercepts() {
            return Err(message);
        }
        let Some(mut shared) = this.shared.try_lock() else { return Err(message) };
        if !shared.queue.has_room() || shared.queue.len() + 1 >= shared.queue.limits().high() {
            return Err(message);
        }
        shared.queue.push_into_room(message);
        match shared.receiver {
            Receiver::Nobody => return Ok(()),
            Receiver::Owner => shared.receiver = Receiver::Nobody,
            Receiver::Future(_) => {
                let receiver = std::mem::replace(&mut shared.receiver, Receiver::Nobody);
                drop(shared);
                Self::wake_receiver(agent, receiver);
                return Ok(());
            }
        }
        drop(shared);
        Self::schedule(agent);
        Ok(())
    }

    /// Wakes whoever waited for a message.
    pub fn wake_receiver(agent: &Bound<'_, Self>, receiver: Receiver) {
        match receiver {
            Receiver::Nobody => {}
            Receiver::Owner => Self::schedule(agent),
            Receiver::Future(future) => Waiter::Future(future).wake(agent.py()),
        }
    }

    /// Puts a message into the mailbox and wakes whoever waits for it, unless somebody takes it on its way.
    pub fn deliver(agent: &Bound<'_, Self>, message: Py<PyAny>) -> Push<Py<PyAny>> {
        // Who sends to one agent is not told that the message was lost, as in a network.
        Self::deliver_or_lose(agent, message).unwrap_or(Push::Accepted)
    }

    /// The same for those who are to know of a message that was lost on its way: None.
    pub fn deliver_or_lose(agent: &Bound<'_, Self>, message: Py<PyAny>) -> Option<Push<Py<PyAny>>> {
        let runtime = agent.get().runtime.get();
        if runtime.intercepts() {
            if runtime.has_forked() {
                return Some(Push::Closed(message));
            }
            match runtime.intercept(agent, &message) {
                Fate::Untouched => {}
                Fate::Late => return Some(Push::Accepted),
                Fate::Lost => return None,
            }
        }
        Some(Self::push(agent, message, current::run_of(agent).is_some()))
    }

    /// Puts a message into the mailbox; an exempt one also into a full one.
    fn push(agent: &Bound<'_, Self>, message: Py<PyAny>, exempt: bool) -> Push<Py<PyAny>> {
        let this = agent.get();
        let mut shared = this.shared.lock();
        let mut pushed = shared.queue.push(message);
        if let Push::Full(message) = pushed {
            pushed = if exempt {
                shared.queue.push_exempt(message)
            } else {
                return Push::Full(message);
            };
        }
        let receiver = if shared.queue.is_empty() {
            Receiver::Nobody
        } else {
            std::mem::replace(&mut shared.receiver, Receiver::Nobody)
        };
        let depth = shared.queue.len();
        drop(shared);
        Self::wake_receiver(agent, receiver);
        match pushed {
            Push::AcceptedHigh => {
                this.runtime.get().tell_watermark(agent, true, depth);
                Push::Accepted
            }
            Push::Displaced(oldest) => {
                finish::bury(agent, oldest, "dropped as the oldest of a full mailbox");
                Push::Accepted
            }
            Push::Discarded(newest) => {
                finish::bury(agent, newest, "dropped on arrival at a full mailbox");
                Push::Accepted
            }
            other => other,
        }
    }

    /// Delivers without waiting, or says why not.
    #[inline]
    pub fn deliver_now(agent: &Bound<'_, Self>, message: Py<PyAny>) -> PyResult<()> {
        let admitted = admit(agent.py(), message, "message", agent.get().runtime.get().is_strict())?;
        let (payload, moves) = admitted.split();
        let Err(payload) = Self::put_smoothly(agent, payload) else { return Ok(()) };
        match Self::deliver(agent, payload) {
            Push::Full(payload) => Err(Self::full(agent, handed_back(payload, moves))),
            Push::Closed(payload) => Err(Self::closed(agent, Some(handed_back(payload, moves)))),
            _ => Ok(()),
        }
    }

    /// Delivers what somebody has taken on its way, or a copy of it, whatever the mailbox's bound.
    pub fn deliver_late(agent: &Bound<'_, Self>, message: Py<PyAny>) {
        if let Push::Closed(message) | Push::Full(message) = Self::push(agent, message, true) {
            finish::bury(agent, message, "delivered late, after the agent's end");
        }
    }

    #[cold]
    pub fn full(agent: &Bound<'_, Self>, message: Py<PyAny>) -> PyErr {
        let (capacity, waiting) = {
            let shared = agent.get().shared.lock();
            (shared.queue.limits().capacity(), shared.queue.waiting())
        };
        let text = format!(
            "expected room in the mailbox of {}, found it full ({capacity} messages, {waiting} senders waiting)",
            Self::display(agent)
        );
        errors::make(errors::mailbox_full(agent.py()), (text, message, agent, capacity))
    }

    #[cold]
    pub fn closed(agent: &Bound<'_, Self>, message: Option<Py<PyAny>>) -> PyErr {
        let why = match agent.get().shared.lock().outcome {
            Outcome::Pending if agent.get().runtime.get().has_forked() => {
                "lives in the process that this one was forked from"
            }
            Outcome::Pending => "is stopping",
            Outcome::Result(_) => "has ended",
            Outcome::Error(_) | Outcome::Killed => "has failed",
            Outcome::Cancelled(_) => "was cancelled",
        };
        let text = format!("expected an agent that takes messages, but {} {why}", Self::display(agent));
        errors::make(errors::mailbox_closed(agent.py()), (text, message, agent))
    }

    /// Closes the intake: what is in the mailbox is still received.
    pub fn close_intake(agent: &Bound<'_, Self>) {
        let py = agent.py();
        let (parked, receiver) = {
            let mut shared = agent.get().shared.lock();
            (shared.queue.close(), std::mem::replace(&mut shared.receiver, Receiver::Nobody))
        };
        for turned_away in parked {
            turned_away.sender.wake(py);
        }
        Self::wake_receiver(agent, receiver);
    }
}

/// Sends without ever waiting: `agent.send_nowait(message)` as a function.
///
/// Raises `MailboxFull` or `MailboxClosed`, which hand the message back.
#[pyfunction]
#[pyo3(signature = (agent, message, /))]
pub fn signal(agent: &Bound<'_, AgentRef>, message: Py<PyAny>) -> PyResult<()> {
    AgentRef::deliver_now(agent, message)
}
