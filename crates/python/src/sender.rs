//! The side of a channel that sends, and its awaitable.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use remuda_kernel::channel::{Push, Standing, Ticket};

use crate::admission::{Moves, admit, handed_back, pass_smoothly};
use crate::alloc::{self, allocated};
use crate::awaitable::{Awaitable, Poll, attached, thrown};
use crate::channel::{Channel, already_awaited, rebind};
use crate::errors;
use crate::guarded::Guarded;
use crate::waiter::Waiter;

/// The side of a channel that sends.
#[pyclass(frozen, generic, weakref, module = "remuda")]
#[derive(Debug)]
pub struct Sender {
    channel: Py<Channel>,
    open: AtomicBool,
}

allocated!(Sender);
allocated!(ChannelSend);

/// The error of a channel that is closed for one who sends.
#[cold]
fn closed(py: Python<'_>, own: bool, item: Py<PyAny>) -> PyErr {
    let text = if own {
        "expected a sender that is open, got one that was closed"
    } else {
        "expected a channel that is open, but it has no receivers any more, or was closed"
    };
    errors::make(errors::channel_closed(py), (text, item))
}

impl Sender {
    pub fn of<'py>(py: Python<'py>, channel: &Py<Channel>) -> PyResult<Bound<'py, Self>> {
        channel.get().ends.lock().senders += 1;
        alloc::new_unowned(py, Self { channel: channel.clone_ref(py), open: AtomicBool::new(true) })
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Sends where there is room and nobody has to be told; otherwise hands the item back.
    #[inline]
    pub fn send_smoothly(&self, py: Python<'_>, item: Py<PyAny>) -> Result<(), Py<PyAny>> {
        if !self.is_open() {
            return Err(item);
        }
        let channel = self.channel.get();
        pass_smoothly(
            py,
            item,
            || channel.strict,
            |item| match channel.queue.try_lock() {
                Some(mut queue) => queue.push_quietly(item),
                None => Err(item),
            },
        )
    }

    /// Sends at once, or says why not.
    pub fn send_now(&self, py: Python<'_>, item: Py<PyAny>) -> PyResult<()> {
        if !self.is_open() {
            return Err(closed(py, true, item));
        }
        let channel = self.channel.get();
        let (payload, moves) = admit(py, item, "item", channel.strict)?.split();
        let pushed = channel.queue.lock().push(payload);
        match pushed {
            Push::Taken { wake, crossed } => {
                channel.fulfil(py, wake);
                channel.tell(py, crossed);
                Ok(())
            }
            Push::Closed(payload) => Err(closed(py, false, handed_back(payload, moves))),
            Push::Full(payload) => {
                let capacity = channel.queue.lock().capacity();
                let text = match capacity {
                    0 => "expected a receiver that waits, found none".to_owned(),
                    _ => format!("expected room in the channel, found {capacity} items in it"),
                };
                Err(errors::make(errors::channel_full(py), (text, handed_back(payload, moves), capacity)))
            }
        }
    }

    fn shut(&self, py: Python<'_>) {
        if self.open.swap(false, Ordering::AcqRel) {
            let last = {
                let mut ends = self.channel.get().ends.lock();
                ends.senders -= 1;
                ends.senders == 0
            };
            if last {
                self.channel.get().close(py);
            }
        }
    }
}

#[pymethods]
impl Sender {
    /// Returns an awaitable that sends an item, waiting while the channel is full.
    #[pyo3(signature = (item, /))]
    fn send<'py>(slf: &Bound<'py, Self>, item: Py<PyAny>) -> PyResult<Bound<'py, ChannelSend>> {
        let send = ChannelSend { end: slf.clone().unbind(), state: Guarded::new(Sending::Unsent(item)) };
        alloc::new(slf.py(), send)
    }

    /// Sends an item at once, or raises `ChannelFull` or `ChannelClosed`.
    #[pyo3(signature = (item, /))]
    fn send_nowait(&self, py: Python<'_>, item: Py<PyAny>) -> PyResult<()> {
        self.send_now(py, item)
    }

    /// Another end that sends.
    fn clone<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Self>> {
        if self.is_open() { Self::of(py, &self.channel) } else { Err(closed(py, true, py.None())) }
    }

    /// Closes this end; with the last one, the channel.
    fn close(&self, py: Python<'_>) {
        self.shut(py);
    }

    /// Whether nothing can be sent any more by this end.
    #[getter(closed)]
    fn is_closed(&self) -> bool {
        !self.is_open() || self.channel.get().queue.lock().is_closed()
    }

    /// How many items the channel holds.
    #[getter]
    fn capacity(&self) -> usize {
        self.channel.get().queue.lock().capacity()
    }

    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.channel.get().statistics(py)
    }

    fn __len__(&self) -> usize {
        self.channel.get().queue.lock().len()
    }

    fn __bool__(&self) -> bool {
        true
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(&self, py: Python<'_>, _kind: Py<PyAny>, _error: Py<PyAny>, _traceback: Py<PyAny>) {
        self.shut(py);
    }

    fn __repr__(&self) -> String {
        let queue = self.channel.get().queue.lock();
        let state = if self.is_open() && !queue.is_closed() { "" } else { ", closed" };
        format!("<Sender of a channel, {} of {} items{state}>", queue.len(), queue.capacity())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.channel)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if *self.open.get_mut() {
            attached(|py| {
                let _aside = errors::Aside::new(py);
                self.shut(py);
            });
        }
    }
}

#[derive(Debug)]
enum Sending {
    Unsent(Py<PyAny>),
    Waits { ticket: Ticket, item: Py<PyAny>, moves: Option<Moves> },
    Over,
}

/// What `sender.send(item)` returns: await it to send the item.
#[pyclass(frozen, module = "remuda._kernel")]
#[derive(Debug)]
pub struct ChannelSend {
    end: Py<Sender>,
    state: Guarded<Sending>,
}

impl ChannelSend {
    fn begin(&self, py: Python<'_>, item: Py<PyAny>) -> PyResult<Poll> {
        let end = self.end.get();
        if !end.is_open() {
            return Err(closed(py, true, item));
        }
        let channel = end.channel.get();
        let (mut payload, moves) = admit(py, item, "item", channel.strict)?.split();
        loop {
            // With capacity 0 it waits until a receiver has taken the item, and not only until one is there to do so.
            let pushed = {
                let mut queue = channel.queue.lock();
                if queue.capacity() == 0 && !queue.is_closed() { Push::Full(payload) } else { queue.push(payload) }
            };
            payload = match pushed {
                Push::Taken { wake, crossed } => {
                    channel.fulfil(py, wake);
                    channel.tell(py, crossed);
                    return Ok(Poll::Done);
                }
                Push::Closed(payload) => return Err(closed(py, false, handed_back(payload, moves))),
                Push::Full(payload) => payload,
            };
            let (waiter, poll) = match Waiter::of_current(py) {
                Ok(begun) => begun,
                Err(error) => {
                    drop(handed_back(payload, moves));
                    return Err(error);
                }
            };
            let parked = channel.queue.lock().park_sender(payload.clone_ref(py), waiter);
            match parked {
                Ok((ticket, wake)) => {
                    *self.state.lock() = Sending::Waits { ticket, item: payload, moves };
                    channel.fulfil(py, wake);
                    return Ok(poll);
                }
                Err(refused) => drop(refused), // there is room by now, or it has closed
            }
        }
    }

    fn resume(&self, py: Python<'_>, ticket: Ticket, item: Py<PyAny>, moves: Option<Moves>) -> PyResult<Poll> {
        let channel = self.end.get().channel.get();
        let standing = channel.queue.lock().standing(ticket);
        match standing {
            Standing::Sent => Ok(Poll::Done),
            Standing::Refused(payload) => {
                drop(item);
                Err(closed(py, false, handed_back(payload, moves)))
            }
            Standing::Waits => {
                *self.state.lock() = Sending::Waits { ticket, item, moves };
                let registered = channel.queue.lock().sender(ticket).map(|waiter| waiter.clone_ref(py));
                if let Some(registered) = registered
                    && registered.is_waiting(py)?
                {
                    return Err(already_awaited(py, "send"));
                }
                let (waiter, poll) = Waiter::of_current(py)?;
                let bound = rebind(channel.queue.lock().sender(ticket), waiter);
                if let Err(waiter) = bound {
                    waiter.wake(py); // it was taken since: the next look finds it so
                }
                Ok(poll)
            }
        }
    }

    /// Who waited has gone: the item is not sent, if it was not already.
    fn withdraw(&self) {
        let state = std::mem::replace(&mut *self.state.lock(), Sending::Over);
        if let Sending::Waits { ticket, item, moves } = state {
            let withdrawn = self.end.get().channel.get().queue.lock().withdraw(ticket);
            if withdrawn.is_some() {
                drop(handed_back(item, moves));
            }
            drop(withdrawn);
        }
    }
}

impl Awaitable for ChannelSend {
    #[inline]
    fn glance(slf: &Bound<'_, Self>) -> Option<Poll> {
        let this = slf.get();
        let mut state = this.state.try_lock()?;
        if !matches!(*state, Sending::Unsent(_)) {
            return None;
        }
        let Sending::Unsent(item) = std::mem::replace(&mut *state, Sending::Over) else { return None };
        match this.end.get().send_smoothly(slf.py(), item) {
            Ok(()) => Some(Poll::Done),
            Err(item) => {
                *state = Sending::Unsent(item);
                None
            }
        }
    }

    fn poll(slf: &Bound<'_, Self>) -> PyResult<Poll> {
        let py = slf.py();
        let this = slf.get();
        let state = std::mem::replace(&mut *this.state.lock(), Sending::Over);
        match state {
            Sending::Unsent(item) => this.begin(py, item),
            Sending::Waits { ticket, item, moves } => this.resume(py, ticket, item, moves),
            Sending::Over => Err(already_awaited(py, "send")),
        }
    }
}

#[pymethods]
impl ChannelSend {
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
        self.withdraw();
        Err(thrown(py, kind, value, traceback))
    }

    fn close(&self) {
        self.withdraw();
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.end)?;
        match self.state.try_lock().as_deref() {
            Some(Sending::Unsent(item)) => visit.call(item),
            Some(Sending::Waits { item, moves, .. }) => {
                visit.call(item)?;
                moves.as_ref().map_or(Ok(()), |moves| moves.traverse(&visit))
            }
            Some(Sending::Over) | None => Ok(()),
        }
    }

    fn __clear__(&self) {
        self.withdraw();
    }
}

impl Drop for ChannelSend {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut *self.state.lock(), Sending::Over);
        match state {
            Sending::Unsent(item) => attached(|py| {
                errors::warn(py, c"a send was never awaited: its item was not sent");
                drop(item);
            }),
            Sending::Waits { .. } => {
                *self.state.lock() = state;
                attached(|_| self.withdraw());
            }
            Sending::Over => {}
        }
    }
}
