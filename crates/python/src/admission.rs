//! Every message goes through here before it goes anywhere: what is mutable is refused, what was wrapped is unwrapped,
//! what is moved is taken out of its handles. If the message is not taken in the end, it all goes back.
//!
//! Sends, asks, replies, the arguments of `spawn` and the results of agents use the same functions.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

use crate::alloc::Allocated;
use crate::handles::{Unchecked, Val, not_sendable};
use crate::iso::Iso;
use crate::sendable::{self, Verdict};
use crate::{alloc, errors, glance};

/// What was taken out of its handles for a message.
#[derive(Debug)]
pub enum Moves {
    /// The message was an iso itself.
    One(Py<Iso>, Py<PyAny>),
    Parts(Box<Parts>),
}

/// A message that holds isos, as its sender has written it, and what they held.
#[derive(Debug)]
pub struct Parts {
    original: Py<PyAny>,
    moved: Vec<(Py<Iso>, Py<PyAny>)>,
}

impl Moves {
    /// The message was not taken: everything goes back into its handle. Returns the message as it was sent.
    pub fn give_back(self) -> Py<PyAny> {
        match self {
            Self::One(handle, object) => {
                handle.get().take_back(object);
                handle.into_any()
            }
            Self::Parts(parts) => parts.give_back(),
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let visit_pair = |(handle, object): &(Py<Iso>, Py<PyAny>)| {
            visit.call(handle)?;
            visit.call(object)
        };
        match self {
            Self::One(handle, object) => {
                visit.call(handle)?;
                visit.call(object)
            }
            Self::Parts(parts) => {
                visit.call(&parts.original)?;
                parts.moved.iter().try_for_each(visit_pair)
            }
        }
    }
}

impl Parts {
    fn give_back(self) -> Py<PyAny> {
        for (handle, object) in self.moved {
            handle.get().take_back(object);
        }
        self.original
    }
}

/// A message that may go on its way.
#[derive(Debug)]
pub struct Admitted {
    /// What the receiver gets.
    pub payload: Py<PyAny>,
    moves: Option<Moves>,
}

impl Admitted {
    #[inline]
    pub fn as_it_is(payload: Py<PyAny>) -> Self {
        Self { payload, moves: None }
    }

    /// The same message inside of something that is delivered in its place.
    pub fn wrapped(self, wrap: impl FnOnce(Py<PyAny>) -> PyResult<Py<PyAny>>) -> PyResult<Self> {
        match wrap(self.payload) {
            Ok(payload) => Ok(Self { payload, moves: self.moves }),
            Err(error) => {
                drop(self.moves.map(Moves::give_back));
                Err(error)
            }
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.payload)?;
        self.moves.as_ref().map_or(Ok(()), |moves| moves.traverse(visit))
    }

    /// The payload, and how to give back what was moved for it.
    pub fn split(self) -> (Py<PyAny>, Option<Moves>) {
        (self.payload, self.moves)
    }
}

/// What a sender gets back: the message as it was sent.
pub fn handed_back(payload: Py<PyAny>, moves: Option<Moves>) -> Py<PyAny> {
    match moves {
        Some(moves) => moves.give_back(),
        None => payload,
    }
}

/// Has a message put where it goes, if it can be let through without running Python; otherwise, or if there is no place,
/// hands it back with nothing moved. Does not panic.
#[inline]
pub fn pass_smoothly(
    py: Python<'_>,
    message: Py<PyAny>,
    is_strict: impl FnOnce() -> bool,
    put: impl FnOnce(Py<PyAny>) -> Result<(), Py<PyAny>>,
) -> Result<(), Py<PyAny>> {
    if glance::is_plain(message.bind(py)) {
        return put(message);
    }
    pass_the_rest_smoothly(py, message, is_strict, put)
}

#[inline(never)]
fn pass_the_rest_smoothly(
    py: Python<'_>,
    message: Py<PyAny>,
    is_strict: impl FnOnce() -> bool,
    put: impl FnOnce(Py<PyAny>) -> Result<(), Py<PyAny>>,
) -> Result<(), Py<PyAny>> {
    // Every reference is dropped bound, because PyO3 may not know that the thread is attached (see `awaitable::attached`).
    let message = message.into_bound(py);
    let class = message.get_type_ptr();
    if class == Val::layout().class() {
        // SAFETY: its type was just looked at.
        let content = unsafe { message.cast_unchecked::<Val>() }.get().content().clone_ref(py);
        return put(content).map_err(|content| {
            drop(content.into_bound(py));
            message.unbind()
        });
    }
    if class == Iso::layout().class() {
        // SAFETY: its type was just looked at.
        let iso = unsafe { message.cast_unchecked::<Iso>() }.get();
        let Some(object) = iso.try_give_away(py, "sent") else { return Err(message.unbind()) };
        return match put(object) {
            Ok(()) => Ok(()),
            Err(object) => {
                iso.take_back(object);
                Err(message.unbind())
            }
        };
    }
    let passes = class != Unchecked::layout().class() && (!is_strict() || glance::is_known(&message));
    if passes { put(message.unbind()) } else { Err(message.unbind()) }
}

/// Lets a message through, or says why not: `what` is its name there.
#[inline]
pub fn admit(py: Python<'_>, message: Py<PyAny>, what: &'static str, strict: bool) -> PyResult<Admitted> {
    if glance::is_plain(message.bind(py)) {
        return Ok(Admitted::as_it_is(message));
    }
    admit_slowly(py, message, what, strict)
}

fn admit_slowly(py: Python<'_>, message: Py<PyAny>, what: &'static str, strict: bool) -> PyResult<Admitted> {
    let class = message.bind(py).get_type_ptr();
    if class == Val::layout().class() {
        // SAFETY: its type was just looked at.
        let payload = unsafe { message.bind(py).cast_unchecked::<Val>() }.get().content().clone_ref(py);
        return Ok(Admitted::as_it_is(payload));
    }
    if class == Iso::layout().class() {
        // SAFETY: its type was just looked at.
        let handle = unsafe { message.bind(py).cast_unchecked::<Iso>() }.clone().unbind();
        let object = handle.get().give_away(py, "sent")?;
        let moves = Some(Moves::One(handle, object.clone_ref(py)));
        return Ok(Admitted { payload: object, moves });
    }
    if class == Unchecked::layout().class() {
        // SAFETY: its type was just looked at.
        let payload = unsafe { message.bind(py).cast_unchecked::<Unchecked>() }.get().content().clone_ref(py);
        return Ok(Admitted::as_it_is(payload));
    }
    if !strict {
        return Ok(Admitted::as_it_is(message));
    }
    match sendable::examine(message.bind(py))? {
        Verdict::Sendable => Ok(Admitted::as_it_is(message)),
        Verdict::Holds(isos) => move_parts(py, message, isos),
        Verdict::NotSendable => Err(not_sendable(message.bind(py), what)),
    }
}

/// A message that holds isos arrives as a copy with fresh ones; the sender's are empty from now on.
fn move_parts(py: Python<'_>, message: Py<PyAny>, isos: Vec<Py<Iso>>) -> PyResult<Admitted> {
    static REBUILD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let mut parts = Parts { original: message, moved: Vec::with_capacity(isos.len()) };
    let built = (|| {
        let mut fresh = Vec::with_capacity(isos.len());
        for handle in &isos {
            if parts.moved.iter().any(|(other, _)| other.is(handle)) {
                let text = "expected each iso once in a message, got the same one twice: only one can own the object";
                return Err(errors::make(errors::moved_error(py), (text,)));
            }
            let object = handle.get().give_away(py, "sent")?;
            let twice = parts.moved.iter().any(|(_, other)| other.is(&object));
            parts.moved.push((handle.clone_ref(py), object.clone_ref(py)));
            if twice {
                let text = "expected each object once in a message, got two isos of the same one";
                return Err(errors::make(errors::not_isolated(py), (text,)));
            }
            fresh.push(alloc::new(py, Iso::holding(object))?);
        }
        let rebuild = errors::imported(py, &REBUILD, "remuda.capabilities.parts", "rebuilt")?;
        rebuild.call1((&parts.original, PyTuple::new(py, &isos)?, PyTuple::new(py, fresh)?))
    })();
    match built {
        Ok(payload) => Ok(Admitted { payload: payload.unbind(), moves: Some(Moves::Parts(Box::new(parts))) }),
        Err(error) => {
            drop(parts.give_back());
            Err(error)
        }
    }
}

/// What several may await: an iso stays one in there, which the first of them empties by [`taken`].
pub fn admit_for_many(
    py: Python<'_>,
    value: Py<PyAny>,
    what: &'static str,
    strict: bool,
) -> PyResult<(Py<PyAny>, Option<Moves>)> {
    let moved = value.bind(py).is_instance_of::<Iso>();
    let (payload, moves) = admit(py, value, what, strict)?.split();
    let value = if moved { alloc::new(py, Iso::holding(payload))?.into_any().unbind() } else { payload };
    Ok((value, moves))
}

/// What one of them gets.
pub fn taken(py: Python<'_>, value: Py<PyAny>) -> PyResult<Py<PyAny>> {
    match value.bind(py).cast::<Iso>() {
        Ok(handle) => handle.get().give_away(py, "taken by whoever awaited it before"),
        Err(_) => Ok(value),
    }
}

/// The arguments of a `spawn`: as they go to the behaviour, and what was moved for them.
pub fn admit_all<'py>(arguments: &Bound<'py, PyTuple>, strict: bool) -> PyResult<(Bound<'py, PyTuple>, Vec<Moves>)> {
    let py = arguments.py();
    if arguments.iter_borrowed().all(|argument| glance::is_plain(&argument)) {
        return Ok((arguments.clone(), Vec::new()));
    }
    let mut moved: Vec<Moves> = Vec::new();
    let mut payloads = Vec::with_capacity(arguments.len());
    for argument in arguments.iter() {
        match admit(py, argument.unbind(), "argument", strict) {
            Ok(admitted) => {
                let (payload, moves) = admitted.split();
                payloads.push(payload);
                moved.extend(moves);
            }
            Err(error) => {
                give_all_back(moved);
                return Err(error);
            }
        }
    }
    Ok((PyTuple::new(py, payloads)?, moved))
}

/// What was moved for a `spawn` that failed goes back.
pub fn give_all_back(moved: Vec<Moves>) {
    for moves in moved {
        drop(moves.give_back());
    }
}
