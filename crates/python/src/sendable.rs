//! Whether an object may be sent as it is: because it is immutable, all the way down, or an address of something.
//!
//! What a type is, is Python's to say (`remuda.capabilities.rules`), once for each type; what it said is remembered here,
//! without a GIL by each thread for itself. A type that dies, and `register_immutable`, make all forget.
//!
//! A message is looked at twice at most. [`is_known`] runs no Python, and accepts nearly all: a few parts, of types that
//! were met before. [`examine`] takes its time for the rest, and finds what is to be moved.

use std::collections::HashMap;
#[cfg(not(Py_GIL_DISABLED))]
use std::ffi::{c_int, c_void};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDateTime, PyString, PyTuple, PyType, PyTzInfoAccess};
use pyo3::{ffi, intern};

use crate::agent::AgentRef;
use crate::alloc::Allocated;
use crate::errors;
#[cfg(not(Py_GIL_DISABLED))]
use crate::guarded::Guarded;
use crate::handles::{Iso, Unchecked, Val};

/// What is known of a type.
enum Rule {
    /// Its objects are immutable, and so is what they hold.
    Yes,
    No,
    /// A tuple or a frozenset: as its items.
    Items,
    /// As the attributes of these names.
    Fields(Vec<Py<PyString>>),
    /// The same, and the garbage collector is shown them all, which is quicker than to ask for each.
    FieldsInSight(Vec<Py<PyString>>),
    /// A `datetime`: as its time zone.
    Moment,
    /// A function tells of each object: True, False, or a tuple of what is to be looked at instead.
    Asks(Py<PyAny>),
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

type RuleOf = HashMap<usize, Arc<Rule>, BuildHasherDefault<Address>>;

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

/// Has all threads ask anew what types are.
#[pyfunction]
pub fn _forget_rules() {
    GENERATION.fetch_add(1, Ordering::AcqRel);
}

/// What most messages are: told by the type alone, in a few comparisons.
#[inline]
pub fn is_plain(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: a living object.
    unsafe { is_plain_object(object.as_ptr()) }
}

/// # Safety
/// A living object.
#[inline]
pub unsafe fn is_plain_object(object: *mut ffi::PyObject) -> bool {
    // SAFETY: the contract; of static types the addresses are compared, nothing is read.
    unsafe {
        let class = ffi::Py_TYPE(object);
        class == &raw mut ffi::PyLong_Type
            || class == &raw mut ffi::PyUnicode_Type
            || class == &raw mut ffi::PyBytes_Type
            || class == &raw mut ffi::PyFloat_Type
            || class == &raw mut ffi::PyBool_Type
            || object == ffi::Py_None()
            || class == AgentRef::layout().class()
    }
}

/// Whether a function was made within another one, as its name tells.
///
/// # Safety
/// A living function.
pub unsafe fn is_local(py: Python<'_>, function: *mut ffi::PyObject) -> bool {
    let locals = intern!(py, "<locals>").as_ptr();
    // SAFETY: the contract; to search in a string runs no Python.
    unsafe {
        ffi::PyUnicode_Find((*function.cast::<ffi::PyFunctionObject>()).func_qualname, locals, 0, isize::MAX, 1) >= 0
    }
}

/// Whether an object is immutable, all the way down, as far as that can be told without running Python, from what this
/// thread knows of types. False says nothing. Does not panic.
pub fn is_known(object: &Bound<'_, PyAny>) -> bool {
    let generation = GENERATION.load(Ordering::Acquire);
    with_rules(|rules| {
        let of = (rules.generation == generation).then_some(&rules.of);
        let mut glance = Glance { py: object.py(), of, parts: PARTS_IN_A_GLANCE, depth: DEPTH_OF_A_GLANCE };
        // SAFETY: the caller holds the object, which holds its parts: whatever is looked into can't be changed.
        unsafe { glance.knows(object.as_ptr()) }
    })
    .unwrap_or(false)
}

/// What has more parts is looked at with an eye on signals.
const PARTS_IN_A_GLANCE: u32 = 64;
const DEPTH_OF_A_GLANCE: u32 = 4;

struct Glance<'a, 'py> {
    py: Python<'py>,
    of: Option<&'a RuleOf>,
    parts: u32,
    depth: u32,
}

impl Glance<'_, '_> {
    /// # Safety
    /// A living object.
    #[inline]
    unsafe fn knows(&mut self, object: *mut ffi::PyObject) -> bool {
        // SAFETY: the contract.
        unsafe { is_plain_object(object) || self.knows_inside(object) }
    }

    /// # Safety
    /// As for [`Glance::knows`].
    unsafe fn knows_inside(&mut self, object: *mut ffi::PyObject) -> bool {
        // SAFETY: the contract, for this and for the parts of it.
        unsafe {
            let class = ffi::Py_TYPE(object);
            if class == &raw mut ffi::PyTuple_Type {
                return self.goes_deeper(|deeper| {
                    let items = Borrowed::from_ptr(deeper.py, object).cast_unchecked::<PyTuple>();
                    deeper.counts(items.len()) && items.iter_borrowed().all(|item| deeper.knows(item.as_ptr()))
                });
            }
            if class == &raw mut ffi::PyFrozenSet_Type {
                return self.knows_what_it_refers_to(object, class);
            }
            if class == &raw mut ffi::PyFunction_Type {
                return !is_local(self.py, object);
            }
            match self.of.and_then(|rules| rules.get(&(class as usize))).map(|rule| &**rule) {
                Some(Rule::Yes) => true,
                Some(Rule::FieldsInSight(_)) => self.knows_what_it_refers_to(object, class),
                Some(Rule::Moment) => {
                    let zone = Borrowed::from_ptr(self.py, object).cast_unchecked::<PyDateTime>().get_tzinfo();
                    zone.is_none_or(|zone| self.goes_deeper(|deeper| deeper.knows(zone.as_ptr())))
                }
                _ => false,
            }
        }
    }

    #[inline]
    fn counts(&mut self, parts: usize) -> bool {
        let left = (self.parts as usize).checked_sub(parts);
        self.parts = left.unwrap_or_default() as u32;
        left.is_some()
    }

    #[inline]
    fn goes_deeper(&mut self, look: impl FnOnce(&mut Self) -> bool) -> bool {
        if self.depth == 0 {
            return false;
        }
        self.depth -= 1;
        let known = look(self);
        self.depth += 1;
        known
    }

    /// Whether it knows all that the garbage collector is shown by an object.
    ///
    /// # Safety
    /// As for [`Glance::knows`]; the object has the type.
    #[cfg(not(Py_GIL_DISABLED))]
    unsafe fn knows_what_it_refers_to(&mut self, object: *mut ffi::PyObject, class: *mut ffi::PyTypeObject) -> bool {
        extern "C" fn visit(part: *mut ffi::PyObject, look: *mut c_void) -> c_int {
            // SAFETY: what is passed below, where nothing else uses it meanwhile.
            let (glance, class) = unsafe { &mut *look.cast::<(&mut Glance<'_, '_>, *mut ffi::PyTypeObject)>() };
            // SAFETY: a living object has living parts, and the interpreter has called its function on this thread.
            let known = part == class.cast() || glance.counts(1) && unsafe { glance.knows(part) };
            c_int::from(!known)
        }
        // SAFETY: the type of a living object.
        let Some(traverse) = (unsafe { (*class).tp_traverse }) else { return false };
        self.goes_deeper(|deeper| {
            let mut look = (deeper, class);
            // SAFETY: the object's own function, which runs no Python; the argument is what `visit` takes it for.
            unsafe { traverse(object, visit, (&raw mut look).cast()) == 0 }
        })
    }

    /// Another thread might be at the attributes, by `object.__setattr__`: they are asked for one by one.
    #[cfg(Py_GIL_DISABLED)]
    unsafe fn knows_what_it_refers_to(&mut self, _object: *mut ffi::PyObject, _class: *mut ffi::PyTypeObject) -> bool {
        false
    }
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
    let mut walk = Walk { left: Vec::new(), isos: Vec::new(), seen: 0 };
    if !walk.look(object)? {
        return Ok(Verdict::NotSendable);
    }
    while let Some(next) = walk.left.pop() {
        if !walk.look(&next)? {
            return Ok(Verdict::NotSendable);
        }
    }
    Ok(if walk.isos.is_empty() { Verdict::Sendable } else { Verdict::Holds(walk.isos) })
}

/// Signal handlers are given a chance this often, in a message of many parts.
const PARTS_BETWEEN_SIGNALS: u32 = 1 << 16;

struct Walk<'py> {
    left: Vec<Bound<'py, PyAny>>,
    isos: Vec<Py<Iso>>,
    seen: u32,
}

impl<'py> Walk<'py> {
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
        match &*rule_of(&object.get_type())? {
            Rule::Yes => Ok(true),
            Rule::No => Ok(false),
            Rule::Moment => {
                if let Some(zone) = object.cast::<PyDateTime>()?.get_tzinfo() {
                    self.note(zone.into_any());
                }
                Ok(true)
            }
            Rule::Items => {
                for item in object.try_iter()? {
                    self.note(item?);
                }
                Ok(true)
            }
            Rule::Fields(names) | Rule::FieldsInSight(names) => {
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
    match known {
        Some(Ok(Some(rule))) => return Ok(rule),
        // What is outdated is dropped here, where nothing is borrowed: that may run Python.
        Some(Ok(None) | Err(_)) | None => {}
    }
    let rule = Arc::new(ask(class)?);
    with_rules(|rules| {
        if rules.generation == generation {
            rules.of.insert(address, Arc::clone(&rule));
        }
    });
    Ok(rule)
}

#[cold]
fn ask(class: &Bound<'_, PyType>) -> PyResult<Rule> {
    static RULE_OF: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static ARE_IN_SIGHT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    const RULES: &str = "remuda.capabilities.rules";
    let py = class.py();
    let answer = errors::imported(py, &RULE_OF, RULES, "rule_of")?.call1((class,))?;
    if let Ok(yes) = answer.extract::<bool>() {
        return Ok(if yes { Rule::Yes } else { Rule::No });
    }
    if class.is(py.get_type::<PyDateTime>()) {
        return Ok(Rule::Moment);
    }
    if answer.is_callable() {
        return Ok(Rule::Asks(answer.unbind()));
    }
    if let Ok(names) = answer.cast::<PyTuple>() {
        let in_sight =
            errors::imported(py, &ARE_IN_SIGHT, RULES, "are_in_sight")?.call1((class, names))?.is_truthy()?;
        return Ok(if in_sight { Rule::FieldsInSight } else { Rule::Fields }(names.extract()?));
    }
    if answer.is_none() {
        return Ok(Rule::Items);
    }
    Err(PyTypeError::new_err("expected a rule to be a bool, a tuple of names, None or a function"))
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
        Rule::Items | Rule::Fields(_) | Rule::FieldsInSight(_) | Rule::Moment | Rule::Asks(_) => Shape::Container,
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
