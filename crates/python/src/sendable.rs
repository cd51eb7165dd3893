//! Whether an object may be sent as it is: because it is immutable, all the way down, or an address of something.
//!
//! What a type is, is Python's to say (`remuda.capabilities.rules`), once for each type; what it said is remembered here,
//! without a GIL by each thread for itself. A type that dies, and `register_immutable`, make all forget.
//!
//! Most messages are accepted at a [`glance`](crate::glance); [`examine`] takes its time for the rest, and finds what is to
//! be moved.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDateTime, PyFrozenSet, PyString, PyTuple, PyType, PyTzInfoAccess};
use pyo3::{ffi, intern};

use crate::alloc::Allocated;
use crate::errors;
use crate::glance::{is_known, is_plain};
#[cfg(not(Py_GIL_DISABLED))]
use crate::guarded::Guarded;
use crate::handles::{Unchecked, Val};
use crate::iso::Iso;

/// What is known of a type.
pub enum Rule {
    /// Its objects are immutable, and so is what they hold.
    Yes,
    No,
    /// A tuple or a frozenset: as its items.
    Items,
    /// As the attributes of these names.
    Fields(Vec<Py<PyString>>),
    /// A `datetime`: as its time zone.
    Moment,
    /// A function tells of each object: True, False, or a tuple of what is to be looked at instead.
    Asks(Py<PyAny>),
    /// One of the others, and the garbage collector is shown all that it looks at, which is quicker.
    InSight(Box<Self>),
}

/// Types are told apart by their addresses, which are hash enough once their low bits, always zero, are gone.
#[derive(Default, Debug)]
pub struct Address(u64);

impl Hasher for Address {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only addresses are hashed")
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (address as u64 >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

pub type RuleOf = HashMap<usize, Arc<Rule>, BuildHasherDefault<Address>>;

struct Rules {
    generation: u64,
    of: RuleOf,
}

impl Rules {
    const fn new() -> Self {
        Self { generation: 0, of: HashMap::with_hasher(BuildHasherDefault::new()) }
    }
}

/// Hands out what is known of types, to code that runs no Python; None at the end of a thread.
#[cfg(not(Py_GIL_DISABLED))]
#[inline]
fn with_rules<R>(body: impl FnOnce(&mut Rules) -> R) -> Option<R> {
    static RULES: Guarded<Rules> = Guarded::new(Rules::new());
    RULES.try_lock().map(|mut rules| body(&mut rules))
}

#[cfg(Py_GIL_DISABLED)]
#[inline]
fn with_rules<R>(body: impl FnOnce(&mut Rules) -> R) -> Option<R> {
    thread_local! {
        static RULES: std::cell::RefCell<Rules> = const { std::cell::RefCell::new(Rules::new()) };
    }
    RULES.try_with(|rules| rules.try_borrow_mut().ok().map(|mut rules| body(&mut rules))).ok().flatten()
}

/// Grows whenever something that was known of types may be true no more.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Hands out what is known of types, if that is up to date; None, if it can't be had.
#[inline]
pub fn with_current_rules<R>(body: impl FnOnce(Option<&RuleOf>) -> R) -> Option<R> {
    let generation = GENERATION.load(Ordering::Acquire);
    with_rules(|rules| body((rules.generation == generation).then_some(&rules.of)))
}

/// Has all threads ask anew what types are.
#[pyfunction]
pub fn _forget_rules() {
    GENERATION.fetch_add(1, Ordering::AcqRel);
}

/// What has been found out about a message.
#[derive(Debug)]
pub enum Verdict {
    Sendable,
    /// It would be, were these moved with it.
    Holds(Vec<Py<Iso>>),
    NotSendable,
}

/// Looks at an object, and at all that is in it. Runs Python for types that it meets for the first time.
pub fn examine(object: &Bound<'_, PyAny>) -> PyResult<Verdict> {
    if is_known(object) {
        return Ok(Verdict::Sendable);
    }
    let mut walk = Walk { left: vec![object.clone()], isos: Vec::new(), seen: 0, met: HashMap::default() };
    while let Some(next) = walk.left.pop() {
        if !walk.was_met(&next) && !walk.look(&next)? {
            return Ok(Verdict::NotSendable);
        }
    }
    Ok(if walk.isos.is_empty() { Verdict::Sendable } else { Verdict::Holds(walk.isos) })
}

/// Signal handlers are given a chance this often, in a message of many parts.
const PARTS_BETWEEN_SIGNALS: u32 = 1 << 16;

/// From so many parts on it is remembered which: there may be ways without end to the same few.
const PARTS_FORGOTTEN: u32 = 1 << 10;

struct Walk<'py> {
    left: Vec<Bound<'py, PyAny>>,
    isos: Vec<Py<Iso>>,
    seen: u32,
    /// What was looked at, by address; held, so that nothing else gets the address.
    met: HashMap<usize, Bound<'py, PyAny>, BuildHasherDefault<Address>>,
}

impl<'py> Walk<'py> {
    /// Whether an object was looked at before, and all that is in it. Not where there are isos: one that is met twice has
    /// to be found twice.
    fn was_met(&mut self, object: &Bound<'py, PyAny>) -> bool {
        self.seen >= PARTS_FORGOTTEN
            && self.isos.is_empty()
            && self.met.insert(object.as_ptr() as usize, object.clone()).is_some()
    }

    /// Whether an object is sendable, but for what is put into `left`.
    fn look(&mut self, object: &Bound<'py, PyAny>) -> PyResult<bool> {
        if is_plain(object) {
            return Ok(true);
        }
        let py = object.py();
        self.seen += 1;
        if self.seen.is_multiple_of(PARTS_BETWEEN_SIGNALS) {
            py.check_signals()?;
        }
        let class = object.get_type_ptr();
        if class == Val::layout().class() {
            return Ok(true);
        }
        if class == Iso::layout().class() {
            // SAFETY: its type was just looked at.
            let iso = unsafe { object.cast_unchecked::<Iso>() };
            self.isos.push(iso.clone().unbind());
            return Ok(true);
        }
        // SAFETY: the address of a static type is compared, nothing is read.
        if class == &raw mut ffi::PyTuple_Type {
            // SAFETY: its type was just looked at.
            self.look_at_items(unsafe { object.cast_unchecked::<PyTuple>() });
            return Ok(true);
        }
        self.apply(&*rule_of(&object.get_type())?, object)
    }

    fn apply(&mut self, rule: &Rule, object: &Bound<'py, PyAny>) -> PyResult<bool> {
        let py = object.py();
        match rule {
            Rule::InSight(rule) => self.apply(rule, object),
            Rule::Yes => Ok(true),
            Rule::No => Ok(false),
            Rule::Moment => {
                if let Some(zone) = object.cast::<PyDateTime>()?.get_tzinfo() {
                    self.note(zone.into_any());
                }
                Ok(true)
            }
            Rule::Items => {
                // As they are, whatever the class's own `__iter__` shows.
                if let Ok(items) = object.cast::<PyTuple>() {
                    self.look_at_items(items);
                    return Ok(true);
                }
                let iterator = py.get_type::<PyFrozenSet>().call_method1(intern!(py, "__iter__"), (object,))?;
                for item in iterator.try_iter()? {
                    self.note(item?);
                }
                Ok(true)
            }
            Rule::Fields(names) => {
                for name in names {
                    // One that was never set holds nothing.
                    if let Some(value) = object.getattr_opt(name)? {
                        self.note(value);
                    }
                }
                Ok(true)
            }
            Rule::Asks(function) => {
                let answer = function.bind(py).call1((object,))?;
                match answer.cast::<PyTuple>() {
                    Ok(parts) => {
                        self.look_at_items(parts);
                        Ok(true)
                    }
                    Err(_) => answer.is_truthy(),
                }
            }
        }
    }

    fn look_at_items(&mut self, items: &Bound<'py, PyTuple>) {
        for item in items.iter_borrowed() {
            if !is_plain(&item) {
                self.left.push(item.to_owned());
            }
        }
    }

    fn note(&mut self, part: Bound<'py, PyAny>) {
        if !is_plain(&part) {
            self.left.push(part);
        }
    }
}

/// What is known of a type; Python is asked the first time.
fn rule_of(class: &Bound<'_, PyType>) -> PyResult<Arc<Rule>> {
    let generation = GENERATION.load(Ordering::Acquire);
    let address = class.as_ptr() as usize;
    let known = with_rules(|rules| {
        if rules.generation == generation {
            return Ok(rules.of.get(&address).cloned());
        }
        rules.generation = generation;
        Err(std::mem::take(&mut rules.of))
    });
    // What is outdated is dropped here, where nothing is borrowed: that may run Python.
    if let Some(Ok(Some(rule))) = known {
        return Ok(rule);
    }
    let rule = Arc::new(ask(class)?);
    let before = with_rules(|rules| {
        let is_current = rules.generation == generation;
        is_current.then(|| rules.of.insert(address, Arc::clone(&rule))).flatten()
    });
    // Somebody may have asked meanwhile. It is dropped here for the same reason.
    drop(before);
    Ok(rule)
}

/// Asks for what isn't known of a type yet.
pub fn learn(class: &Bound<'_, PyType>) -> PyResult<()> {
    rule_of(class).map(drop)
}

#[cold]
fn ask(class: &Bound<'_, PyType>) -> PyResult<Rule> {
    static RULE_OF: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static IS_IN_SIGHT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    const MODULE: &str = "remuda.capabilities.rules";
    let py = class.py();
    let answer = errors::imported(py, &RULE_OF, MODULE, "rule_of")?.call1((class,))?;
    if let Ok(yes) = answer.extract::<bool>() {
        return Ok(if yes { Rule::Yes } else { Rule::No });
    }
    if class.is(py.get_type::<PyDateTime>()) {
        return Ok(Rule::Moment);
    }
    let is_in_sight =
        errors::imported(py, &IS_IN_SIGHT, MODULE, "is_in_sight")?.call1((class, &answer))?.is_truthy()?;
    let rule = if let Ok(names) = answer.cast::<PyTuple>() {
        Rule::Fields(names.extract()?)
    } else if answer.is_callable() {
        Rule::Asks(answer.unbind())
    } else if answer.is_none() {
        Rule::Items
    } else {
        return Err(PyTypeError::new_err("expected a rule to be a bool, a tuple of names, None or a function"));
    };
    Ok(if is_in_sight { Rule::InSight(Box::new(rule)) } else { rule })
}

/// What the objects of a type are, for those who look into them by themselves.
pub enum Shape {
    Immutable,
    /// Immutable, if what they hold is.
    Container,
    Mutable,
}

pub fn shape_of(class: &Bound<'_, PyType>) -> PyResult<Shape> {
    Ok(match &*rule_of(class)? {
        Rule::Yes => Shape::Immutable,
        Rule::No => Shape::Mutable,
        Rule::Items | Rule::Fields(_) | Rule::Moment | Rule::Asks(_) | Rule::InSight(_) => Shape::Container,
    })
}

/// Whether an object can be sent as it is, or holds what would be moved with it.
#[pyfunction]
#[pyo3(signature = (value, /))]
pub fn is_sendable(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(match examine(value)? {
        Verdict::Sendable => true,
        Verdict::Holds(isos) => isos.iter().all(|iso| iso.get().holds()),
        Verdict::NotSendable => false,
    })
}

/// Whether an object is immutable, all the way down: sendable, and without anything that would be moved.
pub fn is_immutable(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(matches!(examine(value)?, Verdict::Sendable))
}

/// The layouts of the handles are learned from an object of each.
pub fn learn_handles(py: Python<'_>) -> PyResult<()> {
    drop(crate::alloc::new(py, Iso::holding(py.None()))?);
    drop(crate::alloc::new(py, Val::of_immutable(py.None()))?);
    drop(crate::alloc::new(py, Unchecked::of(py.None()))?);
    Ok(())
}
