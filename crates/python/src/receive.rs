//! Taking messages out of a mailbox: `await mailbox.recv()`, and what a plain `receive` is called with.

use pyo3::intern;
use pyo3::prelude::*;
use remuda_kernel::mailbox::Pop;

use crate::agent::{AgentRef, Receiver};
use crate::alloc::{Released, allocated};
use crate::awaitable::{Awaitable, Poll, thrown};
use crate::mailbox::{Look, Mailbox};
use crate::{current, request};

/// What `mailbox.recv()` returns: await it for the next message.
#[pyclass(frozen, module = "remuda._kernel")]
#[derive(Debug)]
pub struct Receive {
    mailbox: Py<Mailbox>,
}

allocated!(Receive);

impl Receive {
    pub fn new(mailbox: Py<Mailbox>) -> Self {
        Self { mailbox }
    }
}

impl Released for Receive {
    #[inline]
    fn release(self, py: Python<'_>) {
        drop(self.mailbox.into_bound(py));
    }
}

#[pymethods]
impl Receive {
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
        stop_waiting(self.mailbox.get(), py)?;
        Err(thrown(py, kind, value, traceback))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        stop_waiting(self.mailbox.get(), py)
    }
}

/// `recv` differs from `async for` in its end: it raises `MailboxClosed`.
impl Awaitable for Receive {
    #[inline]
    fn glance(slf: &Bound<'_, Self>) -> Option<Poll> {
        slf.get().mailbox.get().glance(slf.py())
    }

    #[inline]
    fn poll(slf: &Bound<'_, Self>) -> PyResult<Poll> {
        let py = slf.py();
        let mailbox = slf.get().mailbox.get();
        match mailbox.look(py)? {
            Look::Message(message) => Ok(Poll::Ready(handed(mailbox, py, message)?)),
            Look::Closed => Err(AgentRef::closed(&mailbox.owner(py)?, None)),
            Look::Wait(poll) => Ok(poll),
        }
    }
}

/// Used by a plain `receive`, which has no mailbox object: takes the next message of a running agent.
pub enum Taken {
    Message(Py<PyAny>),
    Empty,
    Closed,
}

/// Takes the next message for an agent with `receive`, or registers the agent as waiting.
#[inline]
pub fn take_for_receive(agent: &Bound<'_, AgentRef>) -> Taken {
    let mut shared = agent.get().shared.lock();
    match shared.queue.pop() {
        Pop::Message(message) => Taken::Message(message),
        Pop::MessageLow(message) => {
            drop(shared);
            relieve(agent);
            Taken::Message(message)
        }
        Pop::Closed => Taken::Closed,
        Pop::Empty => {
            shared.park();
            Taken::Empty
        }
    }
}

/// After the depth has fallen: lets waiting senders in, wakes them, and tells of the low mark.
pub fn relieve(agent: &Bound<'_, AgentRef>) {
    let py = agent.py();
    let mut admitted = Vec::new();
    let (low, came_down, high) = {
        let mut shared = agent.get().shared.lock();
        let low = shared.queue.len();
        (low, shared.queue.admit(&mut admitted), shared.queue.rises().then(|| shared.queue.len()))
    };
    for sender in admitted {
        sender.wake(py);
    }
    let runtime = agent.get().runtime.get();
    if came_down {
        runtime.tell_watermark(agent, false, low);
    }
    if let Some(high) = high {
        runtime.tell_watermark(agent, true, high);
    }
}

/// What waited was cancelled, and is resumed to be told so: it is not registered any more.
///
/// A task that is resumed has been woken, or its future was cancelled. A future that is not done is therefore another's.
pub fn stop_waiting(mailbox: &Mailbox, py: Python<'_>) -> PyResult<()> {
    let Ok(agent) = mailbox.owner(py) else { return Ok(()) };
    let registered = match &agent.get().shared.lock().receiver {
        Receiver::Future(future) => Some(future.clone_ref(py)),
        Receiver::Owner | Receiver::Nobody => None,
    };
    let ours = match &registered {
        Some(future) => future.bind(py).call_method0(intern!(py, "done"))?.is_truthy()?,
        None => current::run_of(&agent).is_some(),
    };
    if ours {
        let old = std::mem::replace(&mut agent.get().shared.lock().receiver, Receiver::Nobody);
        drop(old);
    }
    Ok(())
}

/// A message as it is handed to a coroutine: one that was asked for is watched until it is answered.
#[inline]
pub fn handed(mailbox: &Mailbox, py: Python<'_>, message: Py<PyAny>) -> PyResult<Py<PyAny>> {
    if request::is_request(message.bind(py)) {
        request::watch(&mailbox.owner(py)?, message.bind(py));
    }
    Ok(message)
}
