//! `channel(capacity)`: a queue with many senders and many receivers.
//!
//! A `Channel` holds the queue (`remuda_kernel::channel`); the ends hold the channel, and are counted. What a receiver
//! was woken for stays in the queue until it takes it, so nothing is lost with one that is cancelled. Whoever is woken is
//! woken after the lock has been let go.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyStopAsyncIteration;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};
use remuda_kernel::channel::{Channel as Queue, Crossed, Marks, Pop, Promised, Push, Standing, Ticket};

use crate::admission::{Moves, admit, handed_back, pass_smoothly};
use crate::alloc::allocated;
use crate::awaitable::{Awaitable, Poll, attached, thrown};
use crate::guarded::Guarded;
use crate::waiter::Waiter;
use crate::{alloc, current, errors, interop, numbers};

/// How many ends there are.
#[derive(Debug, Default)]
struct Ends {
    /// Senders and receivers that are open.
    senders: usize,
    receivers: usize,
    /// Receivers that can still take what is left, open or not.
    takers: usize,
}

/// What the ends have in common.
#[pyclass(frozen, module = "remuda._kernel")]
#[derive(Debug)]
pub struct Channel {
    queue: Guarded<Queue<Py<PyAny>, Waiter>>,
    ends: Guarded<Ends>,
    on_watermark: Option<Py<PyAny>>,
    strict: bool,
}

allocated!(Channel);
allocated!(Sender);
allocated!(Receiver);
allocated!(ChannelSend);
allocated!(ChannelReceive);

/// Makes a channel, and an end of each kind.
#[pyfunction]
#[pyo3(signature = (capacity, /, *, high = None, low = None, on_watermark = None))]
pub fn channel<'py>(
    py: Python<'py>,
    #[pyo3(from_py_with = numbers::capacity)] capacity: i64,
    #[pyo3(from_py_with = numbers::high)] high: Option<i64>,
    #[pyo3(from_py_with = numbers::low)] low: Option<i64>,
    on_watermark: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let refused = |text: String| Err(errors::make(errors::limits_error(py), (text,)));
    let Some(bound) = u32::try_from(capacity).ok().map(|bound| bound as usize) else {
        return refused(format!("expected capacity >= 0 (items) and < 2**32, got capacity={capacity}"));
    };
    let upper = high.unwrap_or(capacity);
    if high.is_some_and(|high| !(1..=capacity).contains(&high)) {
        return refused(format!("expected 1 <= high <= capacity, got high={upper} with capacity={capacity}"));
    }
    let lower = low.unwrap_or((capacity / 2).min(upper - 1));
    if low.is_some_and(|low| !(0..upper).contains(&low)) {
        return refused(format!("expected 0 <= low < high, got low={lower} with high={upper}"));
    }
    if let Some(callback) = on_watermark.as_ref().filter(|callback| !callback.is_callable()) {
        let kind = callback.get_type().name()?;
        let text = format!("expected on_watermark to be a callable, got {kind}");
        return Err(pyo3::exceptions::PyTypeError::new_err(text));
    }
    let watched = on_watermark.is_some() && bound > 0;
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "checked above")]
    let marks = watched.then(|| Marks::new(upper as usize, lower as usize));
    let made = Channel {
        queue: Guarded::new(Queue::new(bound, marks)),
        ends: Guarded::new(Ends::default()),
        on_watermark: on_watermark.map(Bound::unbind),
        strict: current::is_strict(py)?,
    };
    let made = alloc::new(py, made)?.unbind();
    (Sender::of(py, &made)?, Receiver::of(py, &made)?).into_pyobject(py)
}

impl Channel {
    /// Wakes a receiver for what it was promised, or, if that waits in an event loop that is closed, the next one.
    #[inline]
    fn fulfil(&self, py: Python<'_>, mut promised: Option<Promised<Waiter>>) {
        while let Some(Promised { ticket, waiter }) = promised {
            if waiter.try_wake(py) {
                return;
            }
            let (own, next) = self.queue.lock().leave(ticket);
            drop(own);
            promised = next;
        }
    }

    /// Tells of a mark.
    #[inline]
    fn tell(&self, py: Python<'_>, crossed: Option<Crossed>) {
        if let (Some(crossed), Some(callback)) = (crossed, &self.on_watermark) {
            let told = match crossed {
                Crossed::High(depth) => callback.call1(py, (intern!(py, "high"), depth)),
                Crossed::Low(depth) => callback.call1(py, (intern!(py, "low"), depth)),
            };
            if let Err(error) = told {
                errors::unraisable(py, error, Some(callback.bind(py)));
            }
        }
    }

    fn close(&self, py: Python<'_>) {
        let woken = self.queue.lock().close();
        for waiter in woken {
            waiter.wake(py);
        }
    }

    /// Takes an item, if one is there for somebody who has not waited.
    #[inline]
    fn take(&self, py: Python<'_>) -> Pop<Py<PyAny>, ()> {
        let popped = self.queue.lock().pop();
        self.popped(py, popped)
    }

    #[inline]
    fn popped(&self, py: Python<'_>, popped: Pop<Py<PyAny>, Waiter>) -> Pop<Py<PyAny>, ()> {
        match popped {
            Pop::Item { item, wake, crossed } => {
                if let Some(sender) = wake {
                    sender.wake(py);
                }
                self.tell(py, crossed);
                Pop::Item { item, wake: None, crossed: None }
            }
            Pop::Empty => Pop::Empty,
            Pop::Closed => Pop::Closed,
        }
    }

    /// One that waited for an item goes away: what it was promised is for the next.
    fn leave(&self, py: Python<'_>, ticket: Ticket) {
        let (own, next) = self.queue.lock().leave(ticket);
        drop(own);
        self.fulfil(py, next);
    }

    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let class = CLASS.import(py, "remuda.statistics", "ChannelStatistics")?;
        let (senders, receivers) = {
            let ends = self.ends.lock();
            (ends.senders, ends.receivers)
        };
        let (depth, capacity, waiting, counts, closed) = {
            let queue = self.queue.lock();
            (queue.len(), queue.capacity(), queue.waiting(), queue.counts(), queue.is_closed())
        };
        class.call1((depth, capacity, senders, receivers, waiting.0, waiting.1, counts.0, counts.1, closed))
    }
}

#[pymethods]
impl Channel {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.on_watermark)?;
        let Some(queue) = self.queue.try_lock() else { return Ok(()) };
        for item in queue.items() {
            visit.call(item)?;
        }
        queue.waiters().try_for_each(|waiter| waiter.traverse(&visit))
    }

    fn __clear__(&self) {
        let emptied = std::mem::replace(&mut *self.queue.lock(), Queue::new(0, None));
        drop(emptied);
    }
}

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

/// The error of a channel that is closed for one who receives. `place` is that among the sources of a select.
#[cold]
pub fn nothing_left(source: &Bound<'_, Receiver>, place: Option<usize>) -> PyErr {
    let py = source.py();
    let what = place.map_or_else(|| "the channel".to_owned(), |place| format!("the channel at place {place}"));
    let text = format!("expected an item, but {what} is closed and nothing is left in it");
    errors::make(errors::channel_closed(py), (text, py.None(), source))
}

#[cold]
fn already_awaited(py: Python<'_>, what: &str) -> PyErr {
    let text = format!("expected a {what} that was not awaited before, got one that was: make a new one each time");
    errors::make(errors::already_awaited(py), (text,))
}

/// The side of a channel that sends.
#[pyclass(frozen, generic, weakref, module = "remuda")]
#[derive(Debug)]
pub struct Sender {
    channel: Py<Channel>,
    open: AtomicBool,
}

impl Sender {
    fn of<'py>(py: Python<'py>, channel: &Py<Channel>) -> PyResult<Bound<'py, Self>> {
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

/// Puts another waiter in the place of one that has gone on, or hands it back: the place is gone.
fn rebind(place: Option<&mut Waiter>, waiter: Waiter) -> Result<Waiter, Waiter> {
    match place {
        Some(place) => Ok(std::mem::replace(place, waiter)),
        None => Err(waiter),
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

/// The side of a channel that receives.
#[pyclass(frozen, generic, weakref, module = "remuda")]
#[derive(Debug)]
pub struct Receiver {
    channel: Py<Channel>,
    open: AtomicBool,
}

/// What a look into a channel found.
pub enum Look {
    Item(Py<PyAny>),
    Closed,
    Nothing,
}

impl Receiver {
    fn of<'py>(py: Python<'py>, channel: &Py<Channel>) -> PyResult<Bound<'py, Self>> {
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
