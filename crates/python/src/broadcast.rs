//! One message to many agents: who they are is looked at once, so is the message, and then it goes to each.
//!
//! Which of them are told, and in which order, is policy, and Python's (`remuda.primitives.broadcast`).

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use remuda_kernel::mailbox::{Overflow, Push};

use crate::agent::AgentRef;
use crate::alloc::Allocated;
use crate::handles::{Unchecked, Val, not_sendable};
use crate::iso::Iso;
use crate::sendable::{self, Address, Verdict};
use crate::{current, errors, glance};

/// The agents of a group, in a tuple that nobody changes while they are told.
#[pyfunction]
#[pyo3(signature = (agents, /))]
pub fn _members<'py>(agents: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    let members = match agents.cast_exact::<PyTuple>() {
        Ok(members) => members.clone(),
        Err(_) => match agents.cast_exact::<PyList>() {
            Ok(members) => members.to_tuple(),
            Err(_) => gathered(agents)?,
        },
    };
    let mut places: HashMap<usize, usize, BuildHasherDefault<Address>> = HashMap::default();
    places.reserve(members.len());
    let mut runtime = None;
    for (place, member) in members.iter_borrowed().enumerate() {
        let Ok(agent) = member.cast::<AgentRef>() else {
            let kind = member.get_type().name()?;
            return Err(PyTypeError::new_err(format!("expected agents, got {kind} at place {place}")));
        };
        if let Some(first) = places.insert(agent.as_ptr() as usize, place) {
            let name = AgentRef::display(&agent);
            let text = format!("expected each agent once, got {name} at places {first} and {place}");
            return Err(PyValueError::new_err(text));
        }
        let own = agent.get().runtime.as_ptr();
        if *runtime.get_or_insert(own) != own {
            let name = AgentRef::display(&agent);
            let text = format!("expected agents of one runtime, got {name} of another one at place {place}");
            return Err(PyValueError::new_err(text));
        }
    }
    if members.is_empty() {
        return Err(PyValueError::new_err("expected at least one agent, got none"));
    }
    Ok(members)
}

/// What any other iterable has in it.
fn gathered<'py>(agents: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    let items = agents.try_iter().map_err(|error| {
        let Ok(kind) = agents.get_type().name() else { return error };
        PyTypeError::new_err(format!("expected an iterable of agents, got {kind}"))
    })?;
    PyTuple::new(agents.py(), items.collect::<PyResult<Vec<_>>>()?)
}

/// A message in a form that may be sent to agents of this one's runtime as often as one likes, without another look.
#[pyfunction]
#[pyo3(signature = (message, agent, /))]
pub fn _shareable<'py>(message: &Bound<'py, PyAny>, agent: &Bound<'py, AgentRef>) -> PyResult<Bound<'py, PyAny>> {
    let py = message.py();
    let class = message.get_type_ptr();
    if glance::is_plain(message) || class == Val::layout().class() || message.cast_exact::<Unchecked>().is_ok() {
        return Ok(message.clone());
    }
    if class == Iso::layout().class() {
        return Err(one_owner(message, "an iso"));
    }
    if agent.get().runtime.get().is_strict() {
        match sendable::examine(message)? {
            Verdict::Sendable => {}
            Verdict::Holds(_) => return Err(one_owner(message, "one that holds an iso")),
            Verdict::NotSendable => return Err(not_sendable(message, "message")),
        }
    }
    Ok(Bound::new(py, Unchecked::of(message.clone().unbind()))?.into_any())
}

#[cold]
fn one_owner(message: &Bound<'_, PyAny>, what: &str) -> PyErr {
    let text = format!(
        "expected a message that many agents may have (a val, a tag, something immutable), got {what}, which only one \
         can own: share() makes a val of it"
    );
    errors::make(errors::not_sendable(message.py()), (text, message, "message", message))
}

/// What has become of a message for one of many.
enum Told {
    Yes,
    /// It was lost on its way, as somebody wanted it: no error says so.
    Lost,
    Refused(PyErr),
}

/// Puts a message that `_shareable` has returned into the mailboxes of agents that `_members` has returned.
///
/// Returns the places of those who have not taken it: each with the error that `send_nowait` would have raised, or with
/// None if the message was lost on its way.
#[pyfunction]
#[pyo3(signature = (agents, message, /))]
pub fn _tell<'py>(
    agents: &Bound<'py, PyTuple>,
    message: &Bound<'py, PyAny>,
) -> PyResult<Vec<(usize, Option<Bound<'py, PyAny>>)>> {
    let py = agents.py();
    let payload = if message.get_type_ptr() == Val::layout().class() {
        // SAFETY: its type was just looked at.
        unsafe { message.cast_unchecked::<Val>() }.get().content().bind(py).clone()
    } else if let Ok(unchecked) = message.cast_exact::<Unchecked>() {
        unchecked.get().content().bind(py).clone()
    } else if glance::is_plain(message) {
        message.clone()
    } else {
        return Err(PyTypeError::new_err("expected what _shareable returns"));
    };
    let mut failed = Vec::new();
    for (place, member) in agents.iter_borrowed().enumerate() {
        match tell(&*member.cast::<AgentRef>()?, payload.clone().unbind()) {
            Told::Yes => {}
            Told::Lost => failed.push((place, None)),
            Told::Refused(error) => failed.push((place, Some(error.into_value(py).into_bound(py).into_any()))),
        }
    }
    Ok(failed)
}

#[inline]
fn tell(agent: &Bound<'_, AgentRef>, payload: Py<PyAny>) -> Told {
    match AgentRef::put_smoothly(agent, payload) {
        Ok(()) => Told::Yes,
        Err(payload) => tell_slowly(agent, payload),
    }
}

#[cold]
fn tell_slowly(agent: &Bound<'_, AgentRef>, payload: Py<PyAny>) -> Told {
    // Who has to wait for room will send once more, and the message is shown to the interceptor then, and not twice.
    if agent.get().runtime.get().intercepts() && current::run_of(agent).is_none() {
        let waits = {
            let shared = agent.get().shared.lock();
            !shared.queue.is_closed() && !shared.queue.has_room() && shared.queue.overflow() == Overflow::Wait
        };
        if waits {
            return Told::Refused(AgentRef::full(agent, payload));
        }
    }
    match AgentRef::deliver_or_lose(agent, payload) {
        None => Told::Lost,
        Some(Push::Full(payload)) => Told::Refused(AgentRef::full(agent, payload)),
        Some(Push::Closed(payload)) => Told::Refused(AgentRef::closed(agent, Some(payload))),
        Some(_) => Told::Yes,
    }
}
