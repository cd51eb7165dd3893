//! A walk through all that can be reached from an object, which counts the references that it meets.
//!
//! Objects are walked as the garbage collector would walk them, by each type's `tp_traverse`. One with more references than
//! were met has one from outside. Most objects have one reference only; when that is met, and from a type that owns what
//! it shows, the object is settled: it need not be found again, and its references need not be compared.
//!
//! Nothing here runs Python. The caller sees to it that nobody changes the objects meanwhile.

use std::collections::{HashMap, HashSet};
use std::ffi::{c_int, c_void};
use std::hash::BuildHasherDefault;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::glance::{is_nested, is_plain_object};
use crate::sendable::Address;

/// What an object is to the walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
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
    /// Owns what the collector doesn't see, such as an array's memory: looked at afterwards.
    Hiding,
    /// A weak reference leads to what the collector doesn't see: looked at afterwards.
    Weak,
    /// May run, and then it has references that nobody sees: looked at afterwards.
    Generator,
    Frame,
    Opaque,
}

/// What is known of a type.
#[derive(Clone, Copy)]
pub struct Traits {
    pub kind: Kind,
    /// Its objects own all that they show to the collector, a reference for each time.
    pub owns: bool,
    /// What its objects own beside: the collector isn't shown the time zone of a moment.
    pub zone: Option<ZoneOf>,
}

const NOTHING: Traits = Traits { kind: Kind::Shared, owns: false, zone: None };

/// Gets a moment's time zone, borrowed. Runs no Python.
pub type ZoneOf = unsafe fn(*mut ffi::PyObject) -> *mut ffi::PyObject;

pub struct Node {
    pub object: *mut ffi::PyObject,
    pub kind: Kind,
    /// References from inside.
    inside: u32,
    /// From which it was reached first.
    parent: u32,
}

pub type Addresses<T> = HashMap<usize, T, BuildHasherDefault<Address>>;

#[derive(Default)]
pub struct Graph {
    /// In the order in which they were met, the root first.
    pub nodes: Vec<Node>,
    /// Where those are that may be met again: all but those whose only reference was met.
    places: Addresses<u32>,
    /// Those whose references have to be compared, or that can't be told of.
    in_doubt: Vec<u32>,
    /// Those at which a look has to be taken that runs Python.
    later: Vec<u32>,
    /// Immutable objects by what they hold, where that was met before: (the part, the holder).
    holders: Vec<(u32, u32)>,
    /// Which are mutable, or lead to something that is.
    matters: Vec<bool>,
    /// Those that a generator has shown again: from 3.14 on its stack may only borrow what its variables own.
    shown_again: Vec<u32>,
    pub unknown: Vec<*mut ffi::PyTypeObject>,
}

/// Why a graph is not isolated: the place of the object, and what is wrong with it.
pub enum Fault {
    /// More references than were met.
    Held(u32),
    /// Fewer: its type shows what it doesn't own.
    Unclear(u32, &'static str),
}

/// A walk through a graph, and where it stands.
struct Walk<'a, 'py> {
    py: Python<'py>,
    graph: &'a mut Graph,
    traits: &'a Addresses<Traits>,
    /// What hides something that can't be changed.
    fixed: Option<&'a Addresses<Bound<'py, PyAny>>>,
    /// The type that was met last, and its traits: most objects are like their neighbours.
    last: (*mut ffi::PyTypeObject, Traits),
    /// Whose parts are being met.
    place: u32,
    object: *mut ffi::PyObject,
    class: *mut ffi::PyTypeObject,
    by: Traits,
    /// What was met, if these are the parts of a generator.
    shown: Vec<u32>,
    /// Whether something was met from a type that may show what it does not own: what has one reference may have been
    /// met that way, too, and without a look into the table a circle of such would have no end.
    strays: bool,
}

extern "C" fn meet(part: *mut ffi::PyObject, walk: *mut c_void) -> c_int {
    // SAFETY: `Walk::go_on` passes itself, and nothing else uses it meanwhile; the part lives.
    unsafe { (*walk.cast::<Walk<'_, '_>>()).meet(part) };
    0
}

impl Walk<'_, '_> {
    /// Meets the parts of the next object.
    ///
    /// # Safety
    /// As for [`Graph::walk`].
    unsafe fn go_on(&mut self) {
        let Node { object, kind, .. } = self.graph.nodes[self.place as usize];
        // SAFETY: a living object, and its own type's function; it calls `meet`, which does what it may.
        unsafe {
            let class = ffi::Py_TYPE(object);
            if class != self.class {
                self.class = class;
                self.by = self.traits.get(&(class as usize)).copied().unwrap_or(NOTHING);
            }
            self.by.kind = kind;
            self.object = object;
            self.shown.clear();
            if let Some(zone_of) = self.by.zone {
                self.meet(zone_of(object));
            }
            let traverse = (*class).tp_traverse.filter(|_| ffi::PyType_HasFeature(class, ffi::Py_TPFLAGS_HAVE_GC) != 0);
            let Some(traverse) = traverse else { return };
            traverse(object, meet, std::ptr::from_mut(self).cast());
        }
    }

    /// # Safety
    /// As for [`Graph::walk`]; the part lives.
    #[inline]
    unsafe fn meet(&mut self, part: *mut ffi::PyObject) {
        // SAFETY: the caller's contract.
        unsafe {
            if is_plain_object(part) || part == self.class.cast() {
                return;
            }
            let Some(kind) = self.kind_of(part) else { return };
            // `object` is a function if its kind says so.
            if kind == Kind::Shared || self.by.kind == Kind::Function && belongs_to_module(self.object, part) {
                return;
            }
            // If there is one reference to it, this is the one, and nobody will meet it again.
            let only = self.by.owns && ffi::Py_REFCNT(part) == 1;
            self.strays |= !self.by.owns;
            let known = if only && !self.strays { None } else { self.graph.places.get(&(part as usize)).copied() };
            let by_generator = cfg!(Py_3_14) && self.by.kind == Kind::Generator;
            if by_generator {
                let place = known.unwrap_or(self.graph.nodes.len() as u32);
                if self.shown.contains(&place) {
                    self.graph.shown_again.push(place);
                    return;
                }
                self.shown.push(place);
            }
            match known {
                None => self.add(part, kind, only),
                Some(place) => {
                    self.graph.nodes[place as usize].inside += 1;
                    if self.by.kind == Kind::Frozen {
                        self.graph.holders.push((place, self.place));
                    }
                }
            }
        }
    }

    /// # Safety
    /// As for [`Graph::walk`]; the object lives.
    #[inline]
    unsafe fn add(&mut self, object: *mut ffi::PyObject, kind: Kind, only: bool) {
        let graph = &mut *self.graph;
        let place = graph.nodes.len() as u32;
        graph.nodes.push(Node { object, inside: 1, parent: self.place, kind });
        if !only {
            graph.places.insert(object as usize, place);
        }
        let unclear = matches!(kind, Kind::Opaque | Kind::Frame | Kind::Function | Kind::Generator);
        if !only || unclear {
            graph.in_doubt.push(place);
        }
        // SAFETY: the caller's contract.
        if matches!(kind, Kind::Hiding | Kind::Weak | Kind::Generator) || unsafe { has_weak_references(object) } {
            graph.later.push(place);
        }
    }

    /// What an object is to the walk; None, if its type has to be looked up.
    ///
    /// # Safety
    /// As for [`Graph::walk`]; the object lives.
    #[inline]
    unsafe fn kind_of(&mut self, object: *mut ffi::PyObject) -> Option<Kind> {
        // SAFETY: a living object.
        let class = unsafe { ffi::Py_TYPE(object) };
        if class != self.last.0 {
            let Some(&traits) = self.traits.get(&(class as usize)) else {
                if !self.graph.unknown.contains(&class) {
                    self.graph.unknown.push(class);
                }
                return None;
            };
            self.last = (class, traits);
        }
        let kind = self.last.1.kind;
        // SAFETY: a living object, of the type that its kind says.
        let is_shared = unsafe {
            match kind {
                Kind::Function => !is_nested(self.py, object),
                Kind::Builtin => {
                    // A borrowed reference, or null.
                    let bound_to = ffi::PyCFunction_GetSelf(object);
                    bound_to.is_null() || ffi::PyModule_Check(bound_to) != 0
                }
                Kind::Hiding => self.fixed.is_some_and(|fixed| fixed.contains_key(&(object as usize))),
                _ => false,
            }
        };
        Some(if is_shared { Kind::Shared } else { kind })
    }
}

impl Graph {
    /// Walks everything that can be reached from an object, but for what is `fixed`, which nobody can change. False: there
    /// are types to be looked up first.
    ///
    /// # Safety
    /// Attached, and no other thread changes the objects meanwhile. The traits are of the types of living objects.
    pub unsafe fn walk<'py>(
        &mut self,
        py: Python<'py>,
        root: *mut ffi::PyObject,
        traits: &Addresses<Traits>,
        fixed: Option<&Addresses<Bound<'py, PyAny>>>,
    ) -> bool {
        self.nodes.clear();
        self.places.clear();
        self.in_doubt.clear();
        self.later.clear();
        self.holders.clear();
        self.shown_again.clear();
        self.unknown.clear();
        let (object, class, shown) = (root, std::ptr::null_mut(), Vec::new());
        let last = (class, NOTHING);
        let mut walk =
            Walk { py, graph: self, traits, fixed, last, place: 0, object, class, by: NOTHING, shown, strays: false };
        // SAFETY: the caller's contract.
        unsafe {
            if let Some(kind) = walk.kind_of(root).filter(|&kind| kind != Kind::Shared) {
                walk.add(root, kind, false);
                walk.graph.nodes[0].inside = 0;
            }
            while walk.graph.unknown.is_empty() && (walk.place as usize) < walk.graph.nodes.len() {
                walk.go_on();
                walk.place += 1;
            }
        }
        self.unknown.is_empty()
    }

    /// Finds out which of the objects are mutable, or lead to something that is.
    fn find_what_matters(&mut self) {
        let matters = &mut self.matters;
        *matters = self.nodes.iter().map(|node| node.kind != Kind::Frozen).collect();
        if !matters.contains(&false) {
            return;
        }
        self.holders.sort_unstable();
        let mut left: Vec<u32> = (0..self.nodes.len() as u32).filter(|&place| matters[place as usize]).collect();
        while let Some(part) = left.pop() {
            let from = self.holders.partition_point(|&(it, _)| it < part);
            let met_again = self.holders[from..].iter().take_while(|&&(it, _)| it == part).map(|&(_, holder)| holder);
            for holder in met_again.chain([self.nodes[part as usize].parent]) {
                if !std::mem::replace(&mut matters[holder as usize], true) {
                    left.push(holder);
                }
            }
        }
    }

    /// The first object that outsiders refer to, or of which that can't be told. `outside`: so many know the root.
    ///
    /// # Safety
    /// As for [`Graph::walk`].
    pub unsafe fn fault(&mut self, outside: usize) -> Option<Fault> {
        if self.nodes.is_empty() {
            self.matters.clear();
            return None;
        }
        self.find_what_matters();
        for &place in self.in_doubt.iter().filter(|&&place| self.matters[place as usize]) {
            let node = &self.nodes[place as usize];
            let expected = node.inside as usize + if place == 0 { outside } else { 0 };
            // SAFETY: a living object.
            let found = unsafe { ffi::Py_REFCNT(node.object) } as usize;
            match node.kind {
                Kind::Opaque => return Some(Fault::Unclear(place, "the garbage collector can't look into it")),
                Kind::Frame => return Some(Fault::Unclear(place, "a frame may run")),
                Kind::Function | Kind::Generator if cfg!(Py_GIL_DISABLED) => {
                    return Some(Fault::Unclear(place, "without a GIL not all references to it are counted"));
                }
                _ if found > expected && self.shown_again.contains(&place) => {
                    return Some(Fault::Unclear(place, "a generator may only have borrowed it"));
                }
                _ if found > expected => return Some(Fault::Held(place)),
                _ if found < expected => return Some(Fault::Unclear(place, "its type shows what it does not own")),
                _ => {}
            }
        }
        None
    }

    /// Those that have to be looked at when Python may run again, as far as they matter.
    pub fn to_look_at_later(&self) -> impl Iterator<Item = u32> {
        self.later.iter().copied().filter(|&place| self.matters[place as usize])
    }

    /// Where the objects are.
    pub fn addresses(&self) -> HashSet<usize> {
        self.nodes.iter().map(|node| node.object as usize).collect()
    }

    /// Whether the root is mutable, or leads to something that is.
    pub fn is_mutable(&self) -> bool {
        self.matters.first().is_some_and(|&matters| matters)
    }

    /// The objects from the root to this one.
    pub fn chain<'py>(&self, py: Python<'py>, place: u32) -> PyResult<Bound<'py, PyList>> {
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

/// # Safety
/// A living object, which no other thread gives weak references meanwhile.
pub unsafe fn has_weak_references(object: *mut ffi::PyObject) -> bool {
    // SAFETY: the type of a living object, and the place in (or before) the object that the type names.
    unsafe {
        let offset = (*ffi::Py_TYPE(object)).tp_weaklistoffset;
        offset != 0 && !object.byte_offset(offset).cast::<*mut ffi::PyObject>().read().is_null()
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
