//! The side of a channel that receives, and its awaitable.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyStopAsyncIteration;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use remuda_kernel::channel::{Pop, Ticket};

use crate::alloc::{self, allocated};
use crate::awaitable::{Awaitable, Poll, attached, thrown};
use crate::channel::{Channel, already_awaited, rebind};
use crate::guarded::Guarded;
use crate::waiter::Waiter;
use crate::{current, errors, interop};

/// The side of a channel that receives.
#[pyclass(frozen, generic, weakref, module = "remuda")]
#[derive(Debug)]
pub struct Receiver {
    channel: Py<Channel>,
    open: AtomicBool,
}

allocated!(Receiver);
allocated!(ChannelReceive);

/// What a look into a channel found.
pub enum Look {
    Item(Py<PyAny>),
    Closed,
    Nothing,
}

/// The error of a channel that is closed for one who receives. `place` is that among the sources of a select.
#[cold]
pub fn nothing_left(source: &Bound<'_, Receiver>, place: Option<usize>) -> PyErr {
    let py = source.py();
    let what = place.map_or_else(|| "the channel".to_owned(), |place| format!("the channel at place {place}"));
    let text = format!("expected an item, but {what} is closed and nothing is left in it");
    errors::make(errors::channel_closed(py), (text, py.None(), source))
}

impl Receiver {
    pub fn of<'py>(py: Python<'py>, channel: &Py<Channel>) -> PyResult<Bound<'py, Self>> {
        {
            let mut ends = channel.get().ends.lock();
            ends.receivers += 1;
            ends.takers += 1;
        }
        alloc::new_unowned(py, Self { channel: channel.clone_ref(py), open: AtomicBool::new(true) })
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Takes an item, if one is there and nobody has to be told.
    #[inline]
    pub fn take_smoothly(&self) -> Option<Py<PyAny>> {
        self.channel.get().queue.try_lock()?.pop_quietly()
    }

    /// Takes an item, or says why not.
    pub fn take_now(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        match slf.get().look(py) {
            Look::Item(item) => Ok(item),
            Look::Closed => Err(nothing_left(slf, None)),
            Look::Nothing => {
                let text = "expected an item in the channel, found none";
                Err(errors::make(errors::channel_empty(py), (text,)))
            }
        }
    }

    /// Takes an item without waiting.
    #[inline]
    pub fn look(&self, py: Python<'_>) -> Look {
        match self.channel.get().take(py) {
            Pop::Item { item, .. } => Look::Item(item),
            Pop::Closed => Look::Closed,
            // A receiver that is closed itself takes what is left, and waits for nothing.
            Pop::Empty if !self.is_open() => Look::Closed,
            Pop::Empty => Look::Nothing,
        }
    }

    /// Takes an item for one that waits, or finds that it goes on doing so; in either case `ticket` is up to date.
    pub fn look_again(&self, py: Python<'_>, ticket: &mut Option<Ticket>) -> Look {
        let Some(waiting) = *ticket else { return self.look(py) };
        let popped = self.channel.get().queue.lock().pop_waiting(waiting);
        let Some(popped) = popped else { return Look::Nothing };
        *ticket = None;
        match self.channel.get().popped(py, popped) {
            Pop::Item { item, .. } => Look::Item(item),
            Pop::Closed => Look::Closed,
            Pop::Empty => {
                // It was woken for an item that its sender has taken back: it waits again, before all others.
                *ticket = Some(waiting);
                Look::Nothing
            }
        }
    }

    /// Has somebody wait for an item; one who waited already is bound anew. `Err`: there is something to look at.
    pub fn wait(&self, ticket: &mut Option<Ticket>, waiter: Waiter) -> Result<(), Waiter> {
        let channel = self.channel.get();
        let Some(waiting) = *ticket else {
            *ticket = Some(channel.queue.lock().park_receiver(waiter)?);
            return Ok(());
        };
        let bound = rebind(channel.queue.lock().receiver(waiting), waiter);
        let waiter = match bound {
            Ok(old) => {
                drop(old);
                return Ok(());
            }
            Err(waiter) => waiter,
        };
        if channel.queue.lock().is_promised(waiting) {
            return Err(waiter);
        }
        let parked = channel.queue.lock().park_receiver_again(waiting, waiter);
        if parked.is_err() {
            *ticket = None;
        }
        parked
    }

    /// Whether another than the code that runs now waits with this ticket.
    fn is_awaited(&self, py: Python<'_>, ticket: Ticket) -> PyResult<bool> {
        let waiter = self.channel.get().queue.lock().receiver(ticket).map(|waiter| waiter.clone_ref(py));
        waiter.map_or(Ok(false), |waiter| waiter.is_waiting(py))
    }

    /// Waits no more.
    pub fn leave(&self, py: Python<'_>, ticket: Ticket) {
        self.channel.get().leave(py, ticket);
    }

    fn shut(&self, py: Python<'_>) {
        if self.open.swap(false, Ordering::AcqRel) {
            let last = {
                let mut ends = self.channel.get().ends.lock();
                ends.receivers -= 1;
                ends.receivers == 0
            };
            if last {
                self.channel.get().close(py);
            }
        }
    }
}

#[pymethods]
impl Receiver {
    /// Returns an awaitable for the next item; it raises `ChannelClosed` when there will be none.
    fn recv<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, ChannelReceive>> {
        alloc::new(slf.py(), ChannelReceive::new(slf.clone().unbind(), false))
    }

    /// Takes an item at once, or raises `ChannelEmpty` or `ChannelClosed`.
    fn recv_nowait(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::take_now(slf)
    }

    /// Another end that receives.
    fn clone<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Self>> {
        if self.is_open() {
            return Self::of(py, &self.channel);
        }
        let text = "expected a receiver that is open, got one that was closed";
        Err(errors::make(errors::channel_closed(py), (text,)))
    }

    /// Closes this end; with the last one, the channel. What is left can still be taken.
    fn close(&self, py: Python<'_>) {
        self.shut(py);
    }

    /// Whether nothing will come any more, besides what is left.
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

    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __anext__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, ChannelReceive>> {
        alloc::new(slf.py(), ChannelReceive::new(slf.clone().unbind(), true))
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
        format!("<Receiver of a channel, {} of {} items{state}>", queue.len(), queue.capacity())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.channel)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        attached(|py| {
            let _aside = errors::Aside::new(py);
            self.shut(py);
            let channel = self.channel.get();
            let last = {
                let mut ends = channel.ends.lock();
                ends.takers -= 1;
                ends.takers == 0
            };
            if last {
                let left = channel.queue.lock().drain();
                drop(left);
            }
        });
    }
}

/// What `receiver.recv()` returns: await it for the next item.
#[pyclass(frozen, module = "remuda._kernel")]
#[derive(Debug)]
pub struct ChannelReceive {
    end: Py<Receiver>,
    ticket: Guarded<Option<Ticket>>,
    /// In an `async for`, a closed channel is its end and no error.
    iterates: bool,
}

impl ChannelReceive {
    fn new(end: Py<Receiver>, iterates: bool) -> Self {
        Self { end, ticket: Guarded::new(None), iterates }
    }

    fn leave(&self, py: Python<'_>) {
        let ticket = self.ticket.lock().take();
        if let Some(ticket) = ticket {
            self.end.get().leave(py, ticket);
        }
    }
}

impl Awaitable for ChannelReceive {
    #[inline]
    fn glance(slf: &Bound<'_, Self>) -> Option<Poll> {
        let this = slf.get();
        if this.ticket.try_lock()?.is_some() || !current::pay_unseen() {
            return None;
        }
        this.end.get().take_smoothly().map(Poll::Ready)
    }

    fn poll(slf: &Bound<'_, Self>) -> PyResult<Poll> {
        let py = slf.py();
        let this = slf.get();
        let end = this.end.get();
        let mut ticket = *this.ticket.lock();
        if let Some(waiting) = ticket {
            if end.is_awaited(py, waiting)? {
                return Err(already_awaited(py, "recv"));
            }
        } else if !current::pay() && current::agent_task(py)?.is_some() {
            return Ok(Poll::Pending(interop::requeue(py).clone_ref(py)));
        }
        loop {
            let look = end.look_again(py, &mut ticket);
            *this.ticket.lock() = ticket;
            match look {
                Look::Item(item) => return Ok(Poll::Ready(item)),
                Look::Closed if this.iterates => return Err(PyStopAsyncIteration::new_err(())),
                Look::Closed => return Err(nothing_left(this.end.bind(py), None)),
                Look::Nothing => {}
            }
            let (waiter, poll) = Waiter::of_current(py)?;
            let waits = end.wait(&mut ticket, waiter);
            *this.ticket.lock() = ticket;
            match waits {
                Ok(()) => return Ok(poll),
                Err(unused) => drop(unused), // something came since the look
            }
        }
    }
}

#[pymethods]
impl ChannelReceive {
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
        self.leave(py);
        Err(thrown(py, kind, value, traceback))
    }

    fn close(&self, py: Python<'_>) {
        self.leave(py);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.end)
    }
}

impl Drop for ChannelReceive {
    fn drop(&mut self) {
        if self.ticket.lock().is_some() {
            attached(|py| self.leave(py));
        }
    }
}
