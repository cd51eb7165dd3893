//! `channel(capacity)`: a queue with many senders and many receivers.
//!
//! A `Channel` holds the queue (`remuda_kernel::channel`); the ends hold the channel, and are counted: see `sender` and
//! `receiver`. What a receiver was woken for stays in the queue until it takes it, so nothing is lost with one that is
//! cancelled. Whoever is woken is woken after the lock has been let go.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};
use remuda_kernel::channel::{Channel as Queue, Crossed, Marks, Pop, Promised, Ticket};

use crate::alloc::{self, allocated};
use crate::guarded::Guarded;
use crate::receiver::Receiver;
use crate::sender::Sender;
use crate::waiter::Waiter;
use crate::{current, errors, numbers};

/// How many ends there are.
#[derive(Debug, Default)]
pub struct Ends {
    /// Senders and receivers that are open.
    pub senders: usize,
    pub receivers: usize,
    /// Receivers that can still take what is left, open or not.
    pub takers: usize,
}

/// What the ends have in common.
#[pyclass(frozen, module = "remuda._kernel")]
#[derive(Debug)]
pub struct Channel {
    pub queue: Guarded<Queue<Py<PyAny>, Waiter>>,
    pub ends: Guarded<Ends>,
    on_watermark: Option<Py<PyAny>>,
    pub strict: bool,
}

allocated!(Channel);

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
    pub fn fulfil(&self, py: Python<'_>, mut promised: Option<Promised<Waiter>>) {
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
    pub fn tell(&self, py: Python<'_>, crossed: Option<Crossed>) {
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

    pub fn close(&self, py: Python<'_>) {
        let woken = self.queue.lock().close();
        for waiter in woken {
            waiter.wake(py);
        }
    }

    /// Takes an item, if one is there for somebody who has not waited.
    #[inline]
    pub fn take(&self, py: Python<'_>) -> Pop<Py<PyAny>, ()> {
        let popped = self.queue.lock().pop();
        self.popped(py, popped)
    }

    #[inline]
    pub fn popped(&self, py: Python<'_>, popped: Pop<Py<PyAny>, Waiter>) -> Pop<Py<PyAny>, ()> {
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
    pub fn leave(&self, py: Python<'_>, ticket: Ticket) {
        let (own, next) = self.queue.lock().leave(ticket);
        drop(own);
        self.fulfil(py, next);
    }

    pub fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
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

#[cold]
pub fn already_awaited(py: Python<'_>, what: &str) -> PyErr {
    let text = format!("expected a {what} that was not awaited before, got one that was: make a new one each time");
    errors::make(errors::already_awaited(py), (text,))
}

/// Puts another waiter in the place of one that has gone on, or hands it back: the place is gone.
pub fn rebind(place: Option<&mut Waiter>, waiter: Waiter) -> Result<Waiter, Waiter> {
    match place {
        Some(place) => Ok(std::mem::replace(place, waiter)),
        None => Err(waiter),
    }
}
