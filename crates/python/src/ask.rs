//! `agent.ask(message)`: a request that waits for its answer.
//!
//! An `Ask` is the asker's side and holds the answer; a `Request` is what is delivered, and holds the `Ask`. Exactly one
//! of these ends it: `reply` or `fail`; the timeout; the failure of the agent that has the request; the drop of the last
//! reference to the request; or the asker goes away, and then whatever else comes is ignored.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::guarded::Guarded;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

use crate::admission::admit;
use crate::agent::AgentRef;
use crate::awaitable::{Awaitable, Poll, attached, thrown};
use crate::request::Request;
use crate::send::{Delivered, Delivery, forget_wait, note_wait};
use crate::timer::Timer;
use crate::waiter::Waiter;
use crate::{alloc, errors};

#[derive(Debug)]
pub enum Answer {
    Pending,
    Value(Py<PyAny>),
    Error(Py<PyAny>),
    /// It was given to the asker, or the asker has gone.
    Over,
}

#[derive(Debug)]
pub struct State {
    /// The message, until the ask is awaited.
    message: Option<Py<PyAny>>,
    pub answer: Answer,
    pub waiter: Option<Waiter>,
    timer: Option<Timer>,
    /// The agent that has the request in hand.
    pub holder: Option<Py<AgentRef>>,
}

/// What `agent.ask(message)` returns: await it to send the message and get the answer.
#[pyclass(frozen, module = "remuda._kernel")]
#[derive(Debug)]
pub struct Ask {
    pub agent: Py<AgentRef>,
    timeout: Option<f64>,
    delivery: Guarded<Delivery>,
    pub state: Guarded<State>,
    awaited: AtomicBool,
    /// Whether the end of its time is its answer.
    expired: AtomicBool,
}

impl Ask {
    pub fn create(agent: &Bound<'_, AgentRef>, message: Py<PyAny>, timeout: Option<f64>) -> PyResult<Py<Self>> {
        let state = State { message: Some(message), answer: Answer::Pending, waiter: None, timer: None, holder: None };
        let ask = Self {
            agent: agent.clone().unbind(),
            timeout,
            delivery: Guarded::new(Delivery::Over),
            state: Guarded::new(state),
            awaited: AtomicBool::new(false),
            expired: AtomicBool::new(false),
        };
        Py::new(agent.py(), ask)
    }

    /// Gives the answer, and wakes the asker. False: it has one, or the asker has gone.
    pub fn answer(&self, py: Python<'_>, answer: Answer) -> bool {
        let mut state = self.state.lock();
        if !matches!(state.answer, Answer::Pending) {
            drop(state);
            drop(answer);
            return false;
        }
        state.answer = answer;
        // The timer stays: only the asker's own thread may cancel it.
        let (waiter, holder) = (state.waiter.take(), state.holder.take());
        drop(state);
        if let Some(holder) = holder {
            let unwatched = holder.get().shared.lock().extra.as_mut().and_then(|extra| {
                let here = std::ptr::from_ref(self);
                let place = extra.unanswered.iter().rposition(|ask| std::ptr::eq(ask.get(), here))?;
                Some(extra.unanswered.swap_remove(place))
            });
            drop(unwatched);
        }
        if let Some(waiter) = waiter {
            waiter.wake(py);
        }
        true
    }

    /// Ends the ask with an error.
    pub fn fail(&self, error: PyErr, py: Python<'_>) -> bool {
        self.answer(py, Answer::Error(error.into_value(py).into_any()))
    }

    fn cancel_timer(&self, py: Python<'_>) {
        let timer = self.state.lock().timer.take();
        if let Some(timer) = timer {
            timer.cancel(py);
        }
    }

    /// Makes the request and starts the clock.
    fn begin(slf: &Bound<'_, Self>, message: Py<PyAny>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let admitted =
            admit(py, message, "message", this.agent.get().runtime.get().is_strict())?.wrapped(|message| {
                Ok(alloc::new_unowned(py, Request::new(message, slf.clone().unbind()))?.into_any().unbind())
            })?;
        *this.delivery.lock() = Delivery::Admitted(admitted);
        if let Some(seconds) = this.timeout {
            let timer = Timer::start(seconds, &slf.getattr(intern!(py, "_expire"))?)?;
            this.state.lock().timer = Some(timer);
        }
        Ok(())
    }

    /// Takes the answer, if it is there.
    fn take_answer(&self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        let mut state = self.state.lock();
        if matches!(state.answer, Answer::Pending) {
            return None;
        }
        let answer = std::mem::replace(&mut state.answer, Answer::Over);
        drop(state);
        forget_wait(py);
        self.cancel_timer(py);
        Some(match answer {
            Answer::Value(value) => Ok(value),
            Answer::Error(error) => Err(PyErr::from_value(error.into_bound(py))),
            Answer::Over | Answer::Pending => Err(already_awaited(py)),
        })
    }

    fn deliver(slf: &Bound<'_, Self>) -> PyResult<Delivered> {
        let py = slf.py();
        let this = slf.get();
        Delivery::poll(&this.delivery, this.agent.bind(py)).map_err(|error| {
            if errors::already_awaited(py).is_ok_and(|class| error.is_instance(py, class)) {
                return already_awaited(py); // by another task, which waits on
            }
            this.close(py);
            // What is handed back is the asker's message, not the request around it.
            let value = error.value(py);
            if let Ok(message) = value.getattr(intern!(py, "message"))
                && let Ok(request) = message.cast::<Request>()
            {
                request.get().answered.store(true, Ordering::Relaxed);
                if let Err(error) = value.setattr(intern!(py, "message"), request.get().message()) {
                    return error;
                }
            }
            error
        })
    }
}

fn already_awaited(py: Python<'_>) -> PyErr {
    let text = "expected an ask that was not awaited before, got one that was: make a new one for each message";
    errors::make(errors::already_awaited(py), (text,))
}

impl Awaitable for Ask {
    fn poll(slf: &Bound<'_, Self>) -> PyResult<Poll> {
        let py = slf.py();
        let this = slf.get();
        let message = this.state.lock().message.take();
        if let Some(message) = message {
            this.awaited.store(true, Ordering::Relaxed);
            Self::begin(slf, message)?;
        }
        if let Some(answer) = this.take_answer(py) {
            return answer.map(Poll::Ready);
        }
        let delivering = !matches!(*this.delivery.lock(), Delivery::Over);
        if delivering && let Delivered::Waits(poll) = Self::deliver(slf)? {
            return Ok(poll);
        }
        // The answer may be there already, if the delivery ran Python.
        if let Some(answer) = this.take_answer(py) {
            return answer.map(Poll::Ready);
        }
        let registered = this.state.lock().waiter.as_ref().map(|waiter| waiter.clone_ref(py));
        if let Some(registered) = registered
            && registered.is_waiting(py)?
        {
            return Err(already_awaited(py));
        }
        let (waiter, poll) = Waiter::of_current(py)?;
        if let Waiter::Agent(sender) = &waiter {
            let holder = this.state.lock().holder.as_ref().map(|holder| holder.clone_ref(py));
            let target = holder.as_ref().unwrap_or(&this.agent);
            if let Err(error) = note_wait(sender.bind(py), target.bind(py)) {
                this.close(py);
                return Err(error);
            }
        }
        let mut state = this.state.lock();
        if matches!(state.answer, Answer::Pending) {
            let old = state.waiter.replace(waiter);
            drop(state);
            drop(old);
        } else {
            drop(state);
            waiter.wake(py);
        }
        Ok(poll)
    }
}

#[pymethods]
impl Ask {
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

    /// The asker has gone.
    fn close(&self, py: Python<'_>) {
        self.awaited.store(true, Ordering::Relaxed);
        let message = self.state.lock().message.take();
        // First, so that the end of the request, which is not sent then, is no answer any more.
        self.answer(py, Answer::Over);
        Delivery::abandon(&self.delivery, self.agent.bind(py));
        forget_wait(py);
        self.cancel_timer(py);
        drop(message);
    }

    /// Whether its time ran out; an answer may be a time-out, too, of whoever was asked.
    #[getter(_expired)]
    fn is_expired(&self) -> bool {
        self.expired.load(Ordering::Acquire)
    }

    /// The timer's callback.
    fn _expire(&self, py: Python<'_>) {
        let name = AgentRef::display(self.agent.bind(py));
        let text = format!("expected an answer from {name} within {} s, got none", self.timeout.unwrap_or_default());
        // Before the asker is woken, who may be on another thread.
        self.expired.store(true, Ordering::Release);
        if !self.fail(errors::make(errors::ask_timeout(py), (text,)), py) {
            self.expired.store(false, Ordering::Release);
        }
        // A request that still waits for room is withdrawn, and its waiter woken.
        if let Some(parked) = Delivery::withdraw(&self.delivery, self.agent.bind(py)) {
            parked.wake(py);
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.agent)?;
        if let Some(delivery) = self.delivery.try_lock() {
            delivery.traverse(&visit)?;
        }
        let Some(state) = self.state.try_lock() else {
            return Ok(());
        };
        visit.call(&state.message)?;
        if let Some(timer) = &state.timer {
            timer.traverse(&visit)?;
        }
        visit.call(&state.holder)?;
        if let Some(waiter) = &state.waiter {
            waiter.traverse(&visit)?;
        }
        match &state.answer {
            Answer::Value(value) | Answer::Error(value) => visit.call(value),
            Answer::Pending | Answer::Over => Ok(()),
        }
    }

    fn __clear__(&self) {
        self.awaited.store(true, Ordering::Relaxed);
        let delivery = std::mem::replace(&mut *self.delivery.lock(), Delivery::Over);
        let state = {
            let mut state = self.state.lock();
            let answer = std::mem::replace(&mut state.answer, Answer::Over);
            (answer, state.message.take(), state.waiter.take(), state.timer.take(), state.holder.take())
        };
        drop((delivery, state));
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        if !*self.awaited.get_mut() {
            attached(|py| errors::warn(py, c"an ask was never awaited: its message was not sent"));
        }
    }
}
