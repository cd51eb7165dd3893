//! What an agent runs: a coroutine, or an object whose `receive` is called for each message.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::mailbox::Mailbox;
use crate::request::Request;

/// The program of an agent. Only the thread that runs the agent touches it.
#[derive(Debug)]
pub enum Body {
    /// The coroutine of an `async def` behaviour, and the agent's own end of its mailbox.
    Coroutine { coroutine: Py<PyAny>, mailbox: Py<Mailbox> },
    /// An object with `receive`, and the message that an async `receive` is handling.
    Instance { object: Py<PyAny>, handling: Option<Box<Handling>> },
    /// It has ended. The mailbox must still be told when the agent goes.
    Ended { mailbox: Option<Py<Mailbox>> },
}

/// A message that an async `receive` is handling.
#[derive(Debug)]
pub struct Handling {
    pub coroutine: Py<PyAny>,
    /// The request that its result answers, if the message came by `ask`.
    pub request: Option<Py<Request>>,
}

/// What an agent has run, to be dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "held only to be dropped at the right moment")]
pub struct Remains(Option<Py<PyAny>>, Option<Box<Handling>>);

impl Body {
    /// The coroutine that runs or waits now.
    pub fn coroutine<'a, 'py>(&'a self, py: Python<'py>) -> Option<&'a Bound<'py, PyAny>> {
        match self {
            Body::Coroutine { coroutine, .. } => Some(coroutine.bind(py)),
            Body::Instance { handling: Some(handling), .. } => Some(handling.coroutine.bind(py)),
            Body::Instance { handling: None, .. } | Body::Ended { .. } => None,
        }
    }

    /// The agent's own end of its mailbox; only one that is a coroutine has one.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Body::Coroutine { mailbox, .. } => Some(mailbox.get()),
            Body::Instance { .. } => None,
            Body::Ended { mailbox } => mailbox.as_ref().map(Py::get),
        }
    }

    /// Ends it, and hands out what was run.
    pub fn end(&mut self) -> Remains {
        match std::mem::replace(self, Body::Ended { mailbox: None }) {
            Body::Coroutine { coroutine, mailbox } => {
                *self = Body::Ended { mailbox: Some(mailbox) };
                Remains(Some(coroutine), None)
            }
            Body::Instance { object, handling } => Remains(Some(object), handling),
            ended @ Body::Ended { .. } => {
                *self = ended;
                Remains(None, None)
            }
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Body::Coroutine { coroutine, mailbox } => {
                visit.call(coroutine)?;
                visit.call(mailbox)
            }
            Body::Instance { object, handling } => {
                visit.call(object)?;
                let Some(handling) = handling else { return Ok(()) };
                visit.call(&handling.coroutine)?;
                visit.call(&handling.request)
            }
            Body::Ended { mailbox } => visit.call(mailbox),
        }
    }
}
