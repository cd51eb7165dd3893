//! Shows that a graph of objects is isolated: every reference into its mutable part comes from inside.
//!
//! The graph is walked as the garbage collector would walk it, by each type's `tp_traverse`, and the references that are
//! met are counted. An object with more references than were met has one from outside. What is shared by nature (numbers,
//! strings, classes, modules and their functions, agents) is not walked into; an immutable container counts if something
//! mutable can be reached through it, because then an outside reference to it is a way in, too.
//!
//! No Python runs while it is walked, so that the counts stay true: a type that was not met before is noted, looked up
//! afterwards, and the walk is done again. On a free-threaded build all other threads are stopped meanwhile. What can't be
//! told is an error as well: a type written in C that the collector can't look into, a generator or a frame that runs, an
//! array that is a part of another.

use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::hash::BuildHasherDefault;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PySet, PyType};
use pyo3::{ffi, intern};

use crate::errors;
use crate::sendable::{self, Address, Shape};

/// What an object is to the walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Others may have it: not looked into, not counted.
    Shared,
    /// Immutable for itself: of interest if something mutable is in it.
    Frozen,
    Part,
    /// The collector can't look into it, and need not: it refers to nothing.
    Leaf,
    /// Its globals and builtins are shared.
    Function,
    /// A bound method of something in C.
    Builtin,
    /// Owns what the collector doesn't see: looked at afterwards.
    Array,
    /// May run, and then it has references that nobody sees: looked at afterwards.
    Generator,
    Frame,
    Opaque,
}

struct Node {
    object: *mut ffi::PyObject,
    /// References from inside.
    inside: usize,
    /// From which it was reached first.
    parent: u32,
    kind: Kind,
}

type Addresses<T> = HashMap<usize, T, BuildHasherDefault<Address>>;

#[derive(Default)]
struct Graph {
    nodes: Vec<Node>,
    places: Addresses<u32>,
    /// Immutable objects by what they hold: (the part, the holder).
    holders: Vec<(u32, u32)>,
    unknown: Vec<*mut ffi::PyTypeObject>,
    /// The root is mutable, or leads to something that is.
    mutable: bool,
}

/// Why a graph is not isolated: the object, and what is wrong with it.
enum Fault {
    /// More references than were met.
    Held(u32),
    /// Fewer: its type shows what it doesn't own.
    Unclear(u32, &'static str),
}

extern "C" fn note(object: *mut ffi::PyObject, children: *mut c_void) -> c_int {
    // SAFETY: `traverse` below passes its vector, and nothing else uses it meanwhile.
    unsafe { &mut *children.cast::<Vec<*mut ffi::PyObject>>() }.push(object);
    0
}

impl Graph {
    /// Walks everything that can be reached from an object. False: there are types to be looked up first.
    ///
    /// # Safety
    /// Attached, and no other thread changes the objects meanwhile. `kinds` is of the types of living objects.
    unsafe fn walk(&mut self, root: *mut ffi::PyObject, kinds: &Addresses<Kind>, locals: *mut ffi::PyObject) -> bool {
        self.nodes.clear();
        self.places.clear();
        self.holders.clear();
        self.unknown.clear();
        // SAFETY: the caller's contract.
        let kind = unsafe { self.kind(root, kinds, locals) };
        self.nodes.push(Node { object: root, inside: 0, parent: 0, kind });
        self.places.insert(root as usize, 0);
        let mut children: Vec<*mut ffi::PyObject> = Vec::new();
        let mut next = 0;
        while let Some(node) = self.nodes.get(next) {
            let (object, kind) = (node.object, node.kind);
            children.clear();
            // SAFETY: a living object, and its own type's function; it calls `note`, which does what it may.
            unsafe {
                let class = ffi::Py_TYPE(object);
                let traverse = (*class)
                    .tp_traverse
                    .filter(|_| kind != Kind::Shared && ffi::PyType_HasFeature(class, ffi::Py_TPFLAGS_HAVE_GC) != 0);
                if let Some(traverse) = traverse {
                    traverse(object, note, (&raw mut children).cast());
                }
            }
            for &child in &children {
                // SAFETY: the caller's contract.
                let child_kind = unsafe { self.kind(child, kinds, locals) };
                // SAFETY: `object` is a function if its kind says so.
                if child_kind == Kind::Shared || kind == Kind::Function && unsafe { belongs_to_module(object, child) } {
                    continue;
                }
                let place = match self.places.get(&(child as usize)) {
                    Some(&place) => {
                        self.nodes[place as usize].inside += 1;
                        place
                    }
                    None => {
                        let place = self.nodes.len() as u32;
                        self.places.insert(child as usize, place);
                        self.nodes.push(Node { object: child, inside: 1, parent: next as u32, kind: child_kind });
                        place
                    }
                };
                if kind == Kind::Frozen {
                    self.holders.push((place, next as u32));
                }
            }
            next += 1;
        }
        self.unknown.is_empty()
    }

    /// # Safety
    /// As for [`Graph::walk`].
    unsafe fn kind(&mut self, object: *mut ffi::PyObject, kinds: &Addresses<Kind>, locals: *mut ffi::PyObject) -> Kind {
        // SAFETY: a living object.
        let class = unsafe { ffi::Py_TYPE(object) };
        let Some(&kind) = kinds.get(&(class as usize)) else {
            if !self.unknown.contains(&class) {
                self.unknown.push(class);
            }
            return Kind::Shared;
        };
        match kind {
            Kind::Function => {
                let function = object.cast::<ffi::PyFunctionObject>();
                // SAFETY: its type says so; the search in a string runs no Python.
                let nested = unsafe {
                    !(*function).func_closure.is_null()
                        || ffi::PyUnicode_Find((*function).func_qualname, locals, 0, isize::MAX, 1) >= 0
                };
                if nested { Kind::Function } else { Kind::Shared }
            }
            Kind::Builtin => {
                // SAFETY: its type says so; returns a borrowed reference, or null.
                let bound_to = unsafe { ffi::PyCFunction_GetSelf(object) };
                // SAFETY: a living object.
                if bound_to.is_null() || unsafe { ffi::PyModule_Check(bound_to) } != 0 {
                    Kind::Shared
                } else {
                    Kind::Part
                }
            }
            kind => kind,
        }
    }

    /// Which of the objects are mutable, or lead to something that is.
    fn matters(&mut self) -> Vec<bool> {
        let mut matters: Vec<bool> =
            self.nodes.iter().map(|node| !matches!(node.kind, Kind::Shared | Kind::Frozen)).collect();
        self.holders.sort_unstable();
        let mut left: Vec<u32> = (0..self.nodes.len() as u32).filter(|&place| matters[place as usize]).collect();
        while let Some(part) = left.pop() {
            let from = self.holders.partition_point(|&(it, _)| it < part);
            for &(_, holder) in self.holders[from..].iter().take_while(|&&(it, _)| it == part) {
                if !std::mem::replace(&mut matters[holder as usize], true) {
                    left.push(holder);
                }
            }
        }
        matters
    }

    /// The first object that outsiders refer to, or of which that can't be told. `outside`: so many know the root.
    ///
    /// # Safety
    /// As for [`Graph::walk`].
    unsafe fn fault(&mut self, outside: usize) -> Option<Fault> {
        let matters = self.matters();
        self.mutable = matters[0];
        for (place, node) in self.nodes.iter().enumerate().filter(|&(place, _)| matters[place]) {
            let expected = node.inside + if place == 0 { outside } else { 0 };
            // SAFETY: a living object.
            let found = unsafe { ffi::Py_REFCNT(node.object) } as usize;
            let place = place as u32;
            match node.kind {
                Kind::Opaque => return Some(Fault::Unclear(place, "the garbage collector can't look into it")),
                Kind::Frame => return Some(Fault::Unclear(place, "a frame may run")),
                Kind::Function | Kind::Generator if cfg!(Py_GIL_DISABLED) => {
                    return Some(Fault::Unclear(place, "without a GIL not all references to it are counted"));
                }
                _ if found > expected => return Some(Fault::Held(place)),
                _ if found < expected => return Some(Fault::Unclear(place, "its type shows what it does not own")),
                _ => {}
            }
        }
        None
    }

    /// The objects from the root to this one.
    fn chain<'py>(&self, py: Python<'py>, place: u32) -> PyResult<Bound<'py, PyList>> {
        let mut places = vec![place];
        while let Some(&last) = places.last().filter(|&&last| last != 0) {
            places.push(self.nodes[last as usize].parent);
        }
        // SAFETY: the root is alive, and what it leads to with it.
        let objects = places
            .iter()
            .rev()
            .map(|&place| unsafe { Bound::from_borrowed_ptr(py, self.nodes[place as usize].object) });
        PyList::new(py, objects.collect::<Vec<_>>())
    }
}

/// Whether what a function refers to is its module's: its globals or builtins.
///
/// # Safety
/// `function` is a function.
unsafe fn belongs_to_module(function: *mut ffi::PyObject, part: *mut ffi::PyObject) -> bool {
    let function = function.cast::<ffi::PyFunctionObject>();
    // SAFETY: the caller's contract.
    unsafe { part == (*function).func_globals || part == (*function).func_builtins }
}

/// Has a closure called while no other thread runs.
#[cfg(Py_GIL_DISABLED)]
fn alone<R>(body: impl FnOnce() -> R) -> R {
    unsafe extern "C" {
        // Calls it for each object, with the world stopped, until it returns 0.
        fn PyUnstable_GC_VisitObjects(
            callback: extern "C" fn(*mut ffi::PyObject, *mut c_void) -> c_int,
            argument: *mut c_void,
        );
    }
    struct Call<F, R>(Option<F>, Option<R>);
    extern "C" fn first<F: FnOnce() -> R, R>(_object: *mut ffi::PyObject, call: *mut c_void) -> c_int {
        // SAFETY: `alone` passes it, and waits.
        let call = unsafe { &mut *call.cast::<Call<F, R>>() };
        call.1 = call.0.take().map(|body| body());
        0
    }
    fn visit<F: FnOnce() -> R, R>(call: &mut Call<F, R>) {
        // SAFETY: attached, and the argument is what `first` takes it for.
        unsafe { PyUnstable_GC_VisitObjects(first::<F, R>, std::ptr::from_mut(call).cast()) };
    }
    let mut call = Call(Some(body), None);
    visit(&mut call);
    match call {
        Call(_, Some(result)) => result,
        Call(Some(body), None) => body(),
        Call(None, None) => unreachable!("it was called, and has returned"),
    }
}

#[cfg(not(Py_GIL_DISABLED))]
fn alone<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// What a type's objects are to the walk.
fn kind_of(class: &Bound<'_, PyType>) -> PyResult<Kind> {
    let py = class.py();
    let address = class.as_type_ptr();
    // Only the addresses of static types are looked at.
    let fixed = [
        (&raw mut ffi::PyFunction_Type, Kind::Function),
        (&raw mut ffi::PyCFunction_Type, Kind::Builtin),
        (&raw mut ffi::PyModule_Type, Kind::Shared),
        (&raw mut ffi::PyByteArray_Type, Kind::Leaf),
        (&raw mut ffi::PyFrame_Type, Kind::Frame),
        (&raw mut ffi::PyGen_Type, Kind::Generator),
        (&raw mut ffi::PyCoro_Type, Kind::Generator),
    ];
    if let Some(&(_, kind)) = fixed.iter().find(|(fixed, _)| *fixed == address) {
        return Ok(kind);
    }
    // SAFETY: the type of a living object.
    let collected = unsafe { ffi::PyType_HasFeature(address, ffi::Py_TPFLAGS_HAVE_GC) } != 0;
    let module: Option<String> = class.getattr(intern!(py, "__module__"))?.extract().ok();
    Ok(match (sendable::shape_of(class)?, module.as_deref()) {
        (Shape::Immutable, _) => Kind::Shared,
        (Shape::Container, _) if collected => Kind::Frozen,
        (_, Some("numpy")) if class.name()? == "ndarray" => Kind::Array,
        (_, Some("datetime")) => Kind::Shared,
        _ if class.name()? == "async_generator" => Kind::Generator,
        _ if collected => Kind::Part,
        _ => Kind::Opaque,
    })
}

/// Shows that nothing but `outside` references to the root leads into its mutable part from outside, or says what does.
/// False: it has no mutable part.
pub fn prove(root: &Bound<'_, PyAny>, outside: usize) -> PyResult<bool> {
    static LOCALS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = root.py();
    let locals = LOCALS.get_or_init(py, || intern!(py, "<locals>").clone().into_any().unbind()).as_ptr();
    let mut graph = Graph::default();
    let mut kinds = Addresses::default();
    let mut classes: Vec<Bound<'_, PyType>> = Vec::new();
    let fault = loop {
        // SAFETY: attached; the caller holds the root, and `alone` keeps others from changing what it leads to. The types
        // in `kinds` are kept alive by `classes`.
        let walked = alone(|| unsafe { graph.walk(root.as_ptr(), &kinds, locals).then(|| graph.fault(outside)) });
        if let Some(fault) = walked {
            break fault;
        }
        // SAFETY: types of objects that lived a moment ago, and that the root still leads to, unless another thread or a
        // finaliser has changed that: then it was not isolated, and its owner has been warned.
        let unknown = graph.unknown.iter().map(|&class| unsafe { PyType::from_borrowed_type_ptr(py, class) });
        for class in unknown.collect::<Vec<_>>() {
            kinds.insert(class.as_ptr() as usize, kind_of(&class)?);
            classes.push(class);
        }
    };
    match fault {
        Some(Fault::Held(place)) => Err(not_isolated(py, &graph, place, None)),
        Some(Fault::Unclear(place, why)) => Err(not_isolated(py, &graph, place, Some(why))),
        None => look_closer(py, &graph).map(|()| graph.mutable),
    }
}

/// What the walk could not look at, because that would have run code: arrays, and generators that run.
fn look_closer(py: Python<'_>, graph: &Graph) -> PyResult<()> {
    for (place, node) in graph.nodes.iter().enumerate() {
        // SAFETY: the root is alive, and what it leads to with it.
        let object = unsafe { Bound::from_borrowed_ptr(py, node.object) };
        let why = match node.kind {
            Kind::Array if !object.getattr(intern!(py, "base"))?.is_none() => "it is a part of another array",
            Kind::Array if object.getattr(intern!(py, "dtype"))?.getattr(intern!(py, "hasobject"))?.is_truthy()? => {
                "it holds Python objects"
            }
            Kind::Generator if runs(&object)? => "it runs",
            _ => {
                if node.kind != Kind::Shared && has_outside_weak_reference(&object, graph)? {
                    let why = Some("a weak reference from outside leads to it");
                    return Err(not_isolated(py, graph, place as u32, why));
                }
                continue;
            }
        };
        return Err(not_isolated(py, graph, place as u32, Some(why)));
    }
    Ok(())
}

fn runs(generator: &Bound<'_, PyAny>) -> PyResult<bool> {
    for name in ["gi_running", "cr_running", "ag_running"] {
        if let Some(running) = generator.getattr_opt(name)? {
            return running.is_truthy();
        }
    }
    Ok(false)
}

fn has_outside_weak_reference(object: &Bound<'_, PyAny>, graph: &Graph) -> PyResult<bool> {
    static GET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    let class = object.get_type_ptr();
    // SAFETY: the type of a living object, and the place in it that the type names.
    unsafe {
        let offset = (*class).tp_weaklistoffset;
        if offset == 0 {
            return Ok(false);
        }
        if offset > 0 && object.as_ptr().byte_offset(offset).cast::<*mut ffi::PyObject>().read().is_null() {
            return Ok(false);
        }
    }
    let found = errors::imported(py, &GET, "_weakref", "getweakrefs")?.call1((object,))?;
    for reference in found.try_iter()? {
        if !graph.places.contains_key(&(reference?.as_ptr() as usize)) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cold]
fn not_isolated(py: Python<'_>, graph: &Graph, place: u32, why: Option<&str>) -> PyErr {
    static FAILURE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let error = (|| {
        let chain = graph.chain(py, place)?;
        let inside = PySet::new(py, graph.places.keys())?;
        errors::imported(py, &FAILURE, "remuda.capabilities.isolation", "failure")?.call1((chain, inside, why))
    })();
    error.map_or_else(|error| error, PyErr::from_value)
}

/// Shows that an object may be given away: nothing but the caller's own temporary leads into its mutable part.
#[pyfunction]
#[pyo3(signature = (value, /))]
pub fn prove_isolated(value: &Bound<'_, PyAny>) -> PyResult<()> {
    prove_temporary(value)
}

/// The same for an argument of the function that calls this.
pub fn prove_temporary(value: &Bound<'_, PyAny>) -> PyResult<()> {
    let mutable = prove(value, 1)?;
    if cfg!(Py_3_14) && mutable {
        // There the interpreter only lends a variable's object to a call: what holds it has to be looked for.
        static HELD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = value.py();
        errors::imported(py, &HELD, "remuda.capabilities.isolation", "refuse_if_held_by_a_frame")?.call1((value,))?;
    }
    Ok(())
}
