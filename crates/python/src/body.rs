//! What an agent runs: a coroutine, or an object whose `receive` is called for each message.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::ask::Request;
use crate::mailbox::Mailbox;

/// The program of an agent.
#[derive(Debug)]
pub enum Program {
    /// The coroutine of an `async def` behaviour.
    Coroutine(Py<PyAny>),
    /// An object with `receive`, and the message that an async `receive` is handling.
    Instance { object: Py<PyAny>, handling: Option<Box<Handling>> },
    /// It has ended.
    Ended,
}

/// A message that an async `receive` is handling.
#[derive(Debug)]
pub struct Handling {
    pub coroutine: Py<PyAny>,
    /// The request that its result answers, if the message came by `ask`.
    pub request: Option<Py<Request>>,
}

/// What only the thread that runs the agent touches.
#[derive(Debug)]
pub struct Body {
    pub program: Program,
    /// The agent's own end of its mailbox; only a coroutine has one.
    pub mailbox: Option<Py<Mailbox>>,
}

impl Body {
    /// The coroutine that runs or waits now.
    pub fn coroutine<'a, 'py>(&'a self, py: Python<'py>) -> Option<&'a Bound<'py, PyAny>> {
        match &self.program {
            Program::Coroutine(coroutine) => Some(coroutine.bind(py)),
            Program::Instance { handling: Some(handling), .. } => Some(handling.coroutine.bind(py)),
            Program::Instance { handling: None, .. } | Program::Ended => None,
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.program {
            Program::Coroutine(coroutine) => visit.call(coroutine)?,
            Program::Instance { object, handling } => {
                visit.call(object)?;
                if let Some(handling) = handling {
                    visit.call(&handling.coroutine)?;
                    visit.call(&handling.request)?;
                }
            }
            Program::Ended => {}
        }
        visit.call(&self.mailbox)
    }
}
