//! `ShardMap`: which of several shards a key belongs to, by the kernel's ring, and how loaded each is.

use std::collections::{HashMap, HashSet};

use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyMapping, PyString, PyTuple};
use remuda_kernel::ring::{POINTS, Ring, hash, points_of};

use crate::guarded::Guarded;
use crate::numbers;
use crate::shard::{Shard, with_bytes};

/// More points than this, 800 MB of them, are a mistake.
const MOST_POINTS: u64 = 1 << 26;

#[derive(Debug)]
struct State {
    shards: Vec<Shard>,
    ring: Ring,
    loads: u64,
    /// Of how many changes of the shards it has come.
    version: u64,
}

impl State {
    fn new(py: Python<'_>, shards: Vec<Shard>) -> PyResult<Self> {
        if shards.is_empty() {
            return Err(PyValueError::new_err("expected at least one shard, got none"));
        }
        let points: u64 = shards.iter().map(|shard| u64::from(points_of(shard.weight))).sum();
        if points > MOST_POINTS {
            return Err(PyValueError::new_err(format!(
                "expected weights that add up to at most {}, got {}",
                MOST_POINTS / u64::from(POINTS),
                points / u64::from(POINTS)
            )));
        }
        let owners: Vec<_> = shards.iter().map(|shard| (shard.identity.clone(), shard.weight)).collect();
        // A thousand shards take tens of milliseconds: nobody else has to wait for them.
        let ring = py.detach(|| Ring::new(&owners));
        Ok(Self { ring, shards, loads: 0, version: 0 })
    }

    fn place(&self, identity: &[u8]) -> Option<usize> {
        self.shards.iter().position(|shard| shard.identity == identity)
    }

    /// How many assignments a shard takes, of `count` in all.
    fn bound(&self, shard: usize, count: u64, factor: f64) -> u64 {
        let weights: f64 = self.shards.iter().map(|shard| shard.weight).sum();
        #[expect(clippy::cast_precision_loss, reason = "a bound is no exact science beyond 2**52")]
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is positive")]
        let bound = (factor * count as f64 * self.shards[shard].weight / weights).ceil() as u64;
        bound
    }
}

/// Which shard a key belongs to.
#[pyclass(frozen, generic, weakref, mapping, module = "remuda")]
#[derive(Debug)]
pub struct ShardMap {
    state: Guarded<State>,
    replicas: usize,
    load_factor: f64,
}

fn not_there(shard: &Bound<'_, PyAny>) -> PyErr {
    PyKeyError::new_err(format!("expected a shard of this map, got {shard:?}"))
}

fn already_there(shard: &Bound<'_, PyAny>) -> PyErr {
    PyValueError::new_err(format!("expected each shard once, got {shard:?} twice"))
}

impl ShardMap {
    fn hash_of(key: &Bound<'_, PyAny>) -> PyResult<u64> {
        with_bytes(key, "a key", hash)
    }

    /// The shards as they are now, and the version that they are.
    fn copies(&self, py: Python<'_>) -> (Vec<Shard>, u64) {
        let state = self.state.lock();
        let copy = |shard: &Shard| Shard {
            object: shard.object.clone_ref(py),
            identity: shard.identity.clone(),
            weight: shard.weight,
            load: shard.load,
        };
        (state.shards.iter().map(copy).collect(), state.version)
    }

    /// Puts other shards in the place of those that are there; returns what is to be dropped.
    ///
    /// The ring is built outside of the lock. `change` is asked again if somebody else has changed the shards meanwhile.
    fn replace(&self, py: Python<'_>, change: impl Fn(&mut Vec<Shard>) -> PyResult<()>) -> PyResult<State> {
        loop {
            let (mut shards, version) = self.copies(py);
            change(&mut shards)?;
            let mut fresh = State::new(py, shards)?;
            let mut state = self.state.lock();
            if state.version == version {
                // What was assigned and released while the ring was built counts.
                let loads: HashMap<&[u8], u64> =
                    state.shards.iter().map(|shard| (shard.identity.as_slice(), shard.load)).collect();
                for shard in &mut fresh.shards {
                    shard.load = loads.get(shard.identity.as_slice()).copied().unwrap_or(0);
                }
                fresh.loads = fresh.shards.iter().map(|shard| shard.load).sum();
                fresh.version = version + 1;
                return Ok(std::mem::replace(&mut *state, fresh));
            }
        }
    }

    /// Tells a number of each shard; all of them at the same moment.
    fn told<'py, N: IntoPyObject<'py>>(
        &self,
        py: Python<'py>,
        of: impl FnOnce(&State) -> Vec<N>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (objects, numbers): (Vec<_>, _) = {
            let state = self.state.lock();
            (state.shards.iter().map(|shard| shard.object.clone_ref(py)).collect(), of(&state))
        };
        let dict = PyDict::new(py);
        for (object, number) in objects.into_iter().zip(numbers) {
            dict.set_item(object, number)?;
        }
        Ok(dict)
    }
}

#[pymethods]
impl ShardMap {
    #[new]
    #[pyo3(signature = (shards, /, *, weights = None, replicas = 1, load_factor = 1.25))]
    fn new(
        shards: &Bound<'_, PyAny>,
        weights: Option<&Bound<'_, PyAny>>,
        #[pyo3(from_py_with = numbers::replicas)] replicas: i64,
        #[pyo3(from_py_with = numbers::load_factor)] load_factor: f64,
    ) -> PyResult<Self> {
        let py = shards.py();
        let iterated = shards.try_iter().map_err(|error| {
            let Ok(kind) = shards.get_type().name() else { return error };
            PyTypeError::new_err(format!("expected an iterable of shards, got {kind}"))
        })?;
        let objects: Vec<Bound<'_, PyAny>> = iterated.collect::<PyResult<_>>()?;
        if shards.is_instance_of::<PyString>() || shards.is_instance_of::<PyBytes>() {
            return Err(PyTypeError::new_err("expected several shards, got one text: put it into a list"));
        }
        let weights: Vec<f64> = match weights {
            None => vec![1.0; objects.len()],
            Some(given) => match given.cast::<PyMapping>() {
                Ok(mapping) if mapping.len()? == objects.len() => {
                    objects.iter().map(|shard| numbers::weight(&mapping.get_item(shard)?)).collect::<PyResult<_>>()?
                }
                Ok(mapping) => vec![1.0; mapping.len()?], // refused below
                Err(_) => given.try_iter()?.map(|weight| numbers::weight(&weight?)).collect::<PyResult<_>>()?,
            },
        };
        if weights.len() != objects.len() {
            let text = format!("expected a weight for each of {} shards, got {}", objects.len(), weights.len());
            return Err(PyValueError::new_err(text));
        }
        let copies = usize::try_from(replicas).unwrap_or(0);
        if copies == 0 || (!objects.is_empty() && copies > objects.len()) {
            let text = format!("expected 1 <= replicas <= {} (shards), got {replicas}", objects.len());
            return Err(PyValueError::new_err(text));
        }
        if !(load_factor > 1.0 && load_factor.is_finite()) {
            return Err(PyValueError::new_err(format!("expected load_factor > 1, got {load_factor}")));
        }
        let mut made: Vec<Shard> = Vec::with_capacity(objects.len());
        let mut seen = HashSet::with_capacity(objects.len());
        for (shard, weight) in objects.iter().zip(weights) {
            let fresh = Shard::new(shard, weight)?;
            if !seen.insert(fresh.identity.clone()) {
                return Err(already_there(shard));
            }
            made.push(fresh);
        }
        Ok(Self { state: Guarded::new(State::new(py, made)?), replicas: copies, load_factor })
    }

    /// The shard that a key belongs to.
    #[pyo3(signature = (key, /))]
    fn owner(&self, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let hash = Self::hash_of(key)?;
        let state = self.state.lock();
        let owner = state.ring.owner(hash) as usize;
        Ok(state.shards[owner].object.clone_ref(key.py()))
    }

    fn __getitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.owner(key)
    }

    /// The shards that keep copies of what belongs to a key.
    #[pyo3(signature = (key, /, count = None))]
    fn owners<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = numbers::count)] count: Option<i64>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let hash = Self::hash_of(key)?;
        let wanted = count.map_or(self.replicas, |count| usize::try_from(count).unwrap_or(0));
        let owners: Vec<_> = {
            let state = self.state.lock();
            if wanted == 0 || wanted > state.shards.len() {
                let most = state.shards.len();
                let got = count.unwrap_or(wanted as i64);
                return Err(PyValueError::new_err(format!("expected 1 <= count <= {most} (shards), got {got}")));
            }
            let found = state.ring.successors(hash).take(wanted);
            found.map(|owner| state.shards[owner as usize].object.clone_ref(key.py())).collect()
        };
        PyTuple::new(key.py(), owners)
    }

    /// Adds a shard; returns the part of all keys that are its own from now on.
    #[pyo3(signature = (shard, /, weight = 1.0))]
    fn add(&self, shard: &Bound<'_, PyAny>, #[pyo3(from_py_with = numbers::weight)] weight: f64) -> PyResult<f64> {
        let py = shard.py();
        let Shard { identity, .. } = Shard::new(shard, weight)?;
        let old = self.replace(py, |shards| {
            if shards.iter().any(|other| other.identity == identity) {
                return Err(already_there(shard));
            }
            let object = shard.clone().unbind();
            shards.push(Shard { object, identity: identity.clone(), weight, load: 0 });
            Ok(())
        })?;
        drop(old);
        let state = self.state.lock();
        Ok(state.place(&identity).map_or(0.0, |place| state.ring.shares()[place]))
    }

    /// Removes a shard; returns the part of all keys that were its own, and are others' from now on.
    #[pyo3(signature = (shard, /))]
    fn remove(&self, shard: &Bound<'_, PyAny>) -> PyResult<f64> {
        let identity = Shard::identify(shard)?;
        let old = self.replace(shard.py(), |shards| {
            let place = shards.iter().position(|other| other.identity == identity);
            shards.remove(place.ok_or_else(|| not_there(shard))?);
            if shards.len() < self.replicas {
                let text = format!("expected at least {} shards to stay, for as many replicas", self.replicas);
                return Err(PyValueError::new_err(text));
            }
            Ok(())
        })?;
        Ok(old.place(&identity).map_or(0.0, |place| old.ring.shares()[place]))
    }

    /// The first of a key's shards that is not loaded already, which is loaded by one more.
    #[pyo3(signature = (key, /))]
    fn assign(&self, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let hash = Self::hash_of(key)?;
        let mut state = self.state.lock();
        let count = state.loads + 1;
        // Bounds add up to more than the count, so somebody has room.
        let owner = state
            .ring
            .successors(hash)
            .map(|owner| owner as usize)
            .find(|&owner| state.shards[owner].load < state.bound(owner, count, self.load_factor));
        let owner = owner.unwrap_or_else(|| state.ring.owner(hash) as usize);
        state.shards[owner].load += 1;
        state.loads = count;
        Ok(state.shards[owner].object.clone_ref(key.py()))
    }

    /// Takes one assignment back.
    #[pyo3(signature = (shard, /))]
    fn release(&self, shard: &Bound<'_, PyAny>) -> PyResult<()> {
        let identity = Shard::identify(shard)?;
        let found = {
            let mut state = self.state.lock();
            let found = state.place(&identity);
            if let Some(place) = found.filter(|&place| state.shards[place].load > 0) {
                state.shards[place].load -= 1;
                state.loads -= 1;
                return Ok(());
            }
            found
        };
        // Not under the lock: an error shows the shard, and to do so may run Python.
        if found.is_none() {
            return Err(not_there(shard));
        }
        Err(PyValueError::new_err(format!("expected a shard that something is assigned to, got {shard:?}")))
    }

    /// How many assignments each shard has.
    fn loads<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.told(py, |state| state.shards.iter().map(|shard| shard.load).collect())
    }

    /// The part of all keys that belongs to each shard.
    fn shares<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.told(py, |state| state.ring.shares())
    }

    fn __len__(&self) -> usize {
        self.state.lock().shards.len()
    }

    fn __contains__(&self, shard: &Bound<'_, PyAny>) -> bool {
        Shard::identify(shard).is_ok_and(|identity| self.state.lock().place(&identity).is_some())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let shards: Vec<_> = self.copies(py).0.into_iter().map(|shard| shard.object).collect();
        Ok(PyTuple::new(py, shards)?.try_iter()?.into_any())
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        let Ok(other) = other.cast::<Self>() else { return false };
        let sorted = |map: &Self| {
            let mut all: Vec<_> = {
                let state = map.state.lock();
                state.shards.iter().map(|shard| (shard.identity.clone(), shard.weight.to_bits())).collect()
            };
            all.sort();
            all
        };
        let other_factor = other.get().load_factor;
        self.replicas == other.get().replicas
            && self.load_factor.to_bits() == other_factor.to_bits()
            && sorted(self) == sorted(other.get())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let this = slf.get();
        let copies = this.copies(py).0;
        let weights: Vec<_> = copies.iter().map(|shard| shard.weight).collect();
        let shards: Vec<_> = copies.into_iter().map(|shard| shard.object).collect();
        let keywords = PyDict::new(py);
        keywords.set_item("weights", weights)?;
        keywords.set_item("replicas", this.replicas)?;
        keywords.set_item("load_factor", this.load_factor)?;
        let partial = py.import("functools")?.getattr("partial")?;
        let make = partial.call((slf.get_type(),), Some(&keywords))?;
        (make, (PyTuple::new(py, shards)?,)).into_pyobject(py)
    }

    fn __repr__(&self) -> String {
        let state = self.state.lock();
        format!("<ShardMap of {} shards, {} replicas>", state.shards.len(), self.replicas)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(state) = self.state.try_lock() else { return Ok(()) };
        state.shards.iter().try_for_each(|shard| visit.call(&shard.object))
    }
}
