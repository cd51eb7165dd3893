//! `agent.send(message)`: nothing happens before it is awaited; then the message is delivered, or waits for room.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::guarded::Guarded;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use remuda_kernel::mailbox::{Overflow, Push};

use crate::admission::{Admitted, Moves, admit, handed_back};
use crate::agent::{AgentRef, Receiver};
use crate::alloc::{Released, allocated};
use crate::awaitable::{Awaitable, Poll, attached, thrown};
use crate::waiter::Waiter;
use crate::{current, errors};

/// The journey of one message into a mailbox that may be full; `Send` and `Ask` share it.
#[derive(Debug)]
pub enum Delivery {
    /// Nothing has happened yet.
    Unsent(Py<PyAny>),
    /// The message may go on its way.
    Admitted(Admitted),
    /// The message waits in the mailbox's lobby; it is kept here too, to be handed back.
    Parked { ticket: u64, message: Py<PyAny>, moves: Option<Moves> },
    /// It was delivered, or the attempt is over.
    Over,
}

/// What a look at a delivery finds.
pub enum Delivered {
    Yes,
    Waits(Poll),
}

impl Delivery {
    /// Delivers, or waits for room. Call it again when the waiter was woken.
    pub fn poll(delivery: &Guarded<Self>, agent: &Bound<'_, AgentRef>) -> PyResult<Delivered> {
        let py = agent.py();
        let taken = std::mem::replace(&mut *delivery.lock(), Self::Over);
        match taken {
            Self::Unsent(message) => {
                let strict = agent.get().runtime.get().is_strict();
                Self::begin(delivery, agent, admit(py, message, "message", strict)?)
            }
            Self::Admitted(admitted) => Self::begin(delivery, agent, admitted),
            Self::Parked { ticket, message, moves } => Self::resume(delivery, agent, ticket, message, moves),
            Self::Over => Err(already_awaited(py)),
        }
    }

    fn begin(delivery: &Guarded<Self>, agent: &Bound<'_, AgentRef>, admitted: Admitted) -> PyResult<Delivered> {
        let (payload, moves) = admitted.split();
        match AgentRef::deliver(agent, payload) {
            Push::Full(payload) if agent.get().shared.lock().queue.overflow() == Overflow::Wait => {
                Self::wait(delivery, agent, payload, moves)
            }
            Push::Full(payload) => Err(AgentRef::full(agent, handed_back(payload, moves))),
            Push::Closed(payload) => Err(AgentRef::closed(agent, Some(handed_back(payload, moves)))),
            _ => Ok(Delivered::Yes),
        }
    }

    /// Leaves the message in the lobby.
    fn wait(
        delivery: &Guarded<Self>,
        agent: &Bound<'_, AgentRef>,
        message: Py<PyAny>,
        moves: Option<Moves>,
    ) -> PyResult<Delivered> {
        let py = agent.py();
        let begun = Waiter::of_current(py).and_then(|(waiter, poll)| {
            if let Waiter::Agent(sender) = &waiter {
                note_wait(sender.bind(py), agent)?;
            }
            Ok((waiter, poll))
        });
        let (waiter, poll) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                hand_back_in(&error, handed_back(message, moves), py)?;
                return Err(error);
            }
        };
        let mut shared = agent.get().shared.lock();
        if shared.queue.is_closed() {
            drop(shared);
            forget_wait(py);
            return Err(AgentRef::closed(agent, Some(handed_back(message, moves))));
        }
        let ticket = shared.queue.park(message.clone_ref(py), waiter);
        // There may be room since the look before: a lone sender must not wait for a receiver that has caught up.
        let mut admitted = Vec::new();
        shared.queue.admit(&mut admitted);
        let receiver = if admitted.is_empty() {
            Receiver::Nobody
        } else {
            std::mem::replace(&mut shared.receiver, Receiver::Nobody)
        };
        drop(shared);
        *delivery.lock() = Self::Parked { ticket, message, moves };
        for sender in admitted {
            sender.wake(py);
        }
        AgentRef::wake_receiver(agent, receiver);
        Ok(Delivered::Waits(poll))
    }

    /// Looks after a wake-up whether the message was admitted, or turned away, or still waits.
    fn resume(
        delivery: &Guarded<Self>,
        agent: &Bound<'_, AgentRef>,
        ticket: u64,
        message: Py<PyAny>,
        moves: Option<Moves>,
    ) -> PyResult<Delivered> {
        let py = agent.py();
        let registered = agent.get().shared.lock().queue.waiter(ticket).map(|waiter| waiter.clone_ref(py));
        if let Some(registered) = registered {
            let poll = Waiter::of_current(py).and_then(|(waiter, poll)| {
                if registered.is_waiting(py)? {
                    return Err(already_awaited(py));
                }
                let replaced = agent.get().shared.lock().queue.rebind(ticket, waiter);
                drop(replaced);
                Ok(poll)
            });
            *delivery.lock() = Self::Parked { ticket, message, moves };
            return poll.map(Delivered::Waits);
        }
        let turned_away = agent.get().shared.lock().queue.was_turned_away(ticket);
        forget_wait(py);
        if turned_away {
            return Err(AgentRef::closed(agent, Some(handed_back(message, moves))));
        }
        Ok(Delivered::Yes)
    }

    /// The task that waited was cancelled: the message is not sent, if it was not already. Returns whether it was.
    pub fn abandon(delivery: &Guarded<Self>, agent: &Bound<'_, AgentRef>) -> bool {
        let ticket = match &*delivery.lock() {
            Self::Parked { ticket, .. } => Some(*ticket),
            _ => None,
        };
        let withdrawn = Self::withdraw(delivery, agent);
        let sent = ticket
            .is_some_and(|ticket| withdrawn.is_none() && !agent.get().shared.lock().queue.was_turned_away(ticket));
        drop(withdrawn);
        forget_wait(agent.py());
        sent
    }

    /// Takes the message back out of the lobby, and what was moved for it into its handles; whoever waits there is to be
    /// woken.
    pub fn withdraw(delivery: &Guarded<Self>, agent: &Bound<'_, AgentRef>) -> Option<Waiter> {
        let taken = std::mem::replace(&mut *delivery.lock(), Self::Over);
        match taken {
            Self::Parked { ticket, message, moves } => {
                let withdrawn = agent.get().shared.lock().queue.withdraw(ticket)?;
                drop(handed_back(message, moves));
                Some(withdrawn.sender)
            }
            Self::Admitted(admitted) => {
                let (payload, moves) = admitted.split();
                drop(handed_back(payload, moves));
                None
            }
            Self::Unsent(_) | Self::Over => None,
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Unsent(message) => visit.call(message),
            Self::Admitted(admitted) => admitted.traverse(visit),
            Self::Parked { message, moves, .. } => {
                visit.call(message)?;
                moves.as_ref().map_or(Ok(()), |moves| moves.traverse(visit))
            }
            Self::Over => Ok(()),
        }
    }
}

/// The error of a wait that would be a deadlock hands the message back.
fn hand_back_in(error: &PyErr, message: Py<PyAny>, py: Python<'_>) -> PyResult<()> {
    if errors::deadlock_detected(py).is_ok_and(|class| error.is_instance(py, class)) {
        error.value(py).setattr(pyo3::intern!(py, "message"), message)?;
    }
    Ok(())
}

fn already_awaited(py: Python<'_>) -> PyErr {
    let text = "expected a send that was not awaited before, got one that was: make a new one for each message";
    errors::make(errors::already_awaited(py), (text,))
}

/// Notes that `sender` waits for `target`; if that closes a circle of waiting agents, says so instead.
///
/// Noted first and looked at then, so that of two that close a circle at once at least one sees it.
pub fn note_wait(sender: &Bound<'_, AgentRef>, target: &Bound<'_, AgentRef>) -> PyResult<()> {
    let py = sender.py();
    let old = sender.get().shared.lock().extra().waits_for.replace(target.clone().unbind());
    drop(old);
    let mut circle = vec![sender.clone()];
    let mut next = Some(target.clone());
    while let Some(agent) = next {
        if agent.is(sender) {
            forget_wait_of(sender);
            let names: Vec<String> = circle.iter().chain([sender]).map(AgentRef::display).collect();
            let text = format!(
                "expected to wait for {} without a circle, but each of these waits for the next: {}",
                AgentRef::display(target),
                names.join(" -> ")
            );
            let agents = pyo3::types::PyTuple::new(py, &circle)?;
            return Err(errors::make(errors::deadlock_detected(py), (text, agents)));
        }
        if circle.iter().any(|seen| seen.is(&agent)) {
            break;
        }
        next = {
            let shared = agent.get().shared.lock();
            // An agent whose mailbox is read by a task of its own may wait for whom it wants: it is served all the same.
            let extra = shared.extra.as_ref().filter(|extra| !extra.read_by_task);
            extra.and_then(|extra| Some(extra.waits_for.as_ref()?.bind(py).clone()))
        };
        circle.push(agent);
    }
    Ok(())
}

/// The agent that runs here waits for nobody any more.
pub fn forget_wait(py: Python<'_>) {
    if let Some(sender) = current::sender(py) {
        forget_wait_of(&sender);
    }
}

fn forget_wait_of(sender: &Bound<'_, AgentRef>) {
    let old = sender.get().shared.lock().extra.as_mut().and_then(|extra| extra.waits_for.take());
    drop(old);
}

/// What `agent.send(message)` returns: await it to send the message.
///
/// The garbage collector does not look into it, which would double its price: it lives as long as one await, and all
/// that a waiting send holds is also held, and shown to the collector, by the mailbox that it waits for.
#[pyclass(frozen, module = "remuda._kernel")]
#[derive(Debug)]
pub struct Send {
    agent: Py<AgentRef>,
    delivery: Guarded<Delivery>,
    awaited: AtomicBool,
    /// It was cancelled too late.
    sent: AtomicBool,
}

impl Send {
    pub fn new(agent: Py<AgentRef>, message: Py<PyAny>) -> Self {
        let delivery = Guarded::new(Delivery::Unsent(message));
        Self { agent, delivery, awaited: AtomicBool::new(false), sent: AtomicBool::new(false) }
    }
}

allocated!(Send);

impl Awaitable for Send {
    #[inline]
    fn glance(slf: &Bound<'_, Self>) -> Option<Poll> {
        let this = slf.get();
        let mut delivery = this.delivery.try_lock()?;
        if !matches!(*delivery, Delivery::Unsent(_)) {
            return None;
        }
        let Delivery::Unsent(message) = std::mem::replace(&mut *delivery, Delivery::Over) else { return None };
        drop(delivery);
        this.awaited.store(true, Ordering::Relaxed);
        match AgentRef::deliver_smoothly(this.agent.bind(slf.py()), message) {
            Ok(()) => Some(Poll::Done),
            Err(message) => {
                *this.delivery.lock() = Delivery::Unsent(message);
                None
            }
        }
    }

    fn poll(slf: &Bound<'_, Self>) -> PyResult<Poll> {
        let this = slf.get();
        this.awaited.store(true, Ordering::Relaxed);
        match Delivery::poll(&this.delivery, this.agent.bind(slf.py()))? {
            Delivered::Yes => Ok(Poll::Done),
            Delivered::Waits(poll) => Ok(poll),
        }
    }
}

#[pymethods]
impl Send {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (kind, value = None, traceback = None, /))]
    fn throw<'py>(
        &self,
        py: Python<'py>,
        kind: Bound<'py, PyAny>,
        value: Option<Bound<'py, PyAny>>,
        traceback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        self.close(py);
        Err(thrown(py, kind, value, traceback))
    }

    fn close(&self, py: Python<'_>) {
        self.awaited.store(true, Ordering::Relaxed);
        if Delivery::abandon(&self.delivery, self.agent.bind(py)) {
            self.sent.store(true, Ordering::Relaxed); // read by the task that was cancelled, in whose thread this is
        }
    }

    /// Whether the message had been taken before the wait for that was cancelled.
    #[getter]
    fn _sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Released for Send {
    #[inline]
    fn release(self, py: Python<'_>) {
        if !self.awaited.into_inner() {
            attached(|py| errors::warn(py, c"a send was never awaited: its message was not sent"));
        }
        drop(self.agent.into_bound(py));
        match self.delivery.into_inner() {
            Delivery::Unsent(message) => drop(message.into_bound(py)),
            Delivery::Over => {}
            rare => drop(rare),
        }
    }
}
