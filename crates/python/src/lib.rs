//! The Python face of the kernel, one file a concept:
//!
//! - [`errors`]: raising the exceptions of `remuda.errors`;
//! - [`interop`]: what is asked of asyncio: the current task, futures, waking a loop from a thread;
//! - [`current`]: which agent runs on this thread, and its budget;
//! - [`alloc`], [`hot`]: making objects, and calling methods, at the price that a message may cost;
//! - [`guarded`]: the lock around what several threads may touch;
//! - [`awaitable`]: objects that can be awaited without the cost of an exception;
//! - [`waiter`]: who waits for something, and how to wake it;
//! - [`agent`]: one agent, which is also its address and its task; [`body`] is what it runs; [`deliver`] puts messages
//!   into its mailbox, and [`lifetime`] ends it with its last reference;
//! - [`handles`]: val and tag, [`iso`]: iso; [`glance`] and [`sendable`] tell what may be sent, [`admission`] lets it through, or not;
//!   [`isolation`] shows that nobody else has it, by a walk through the [`graph`] of its parts;
//!   [`place`] tells where something was moved;
//! - [`mailbox`], [`receive`], [`send`], [`ask`], [`completion`]: what agents and others wait for; [`request`]: what
//!   an ask delivers;
//! - [`channel`]: a queue with many senders and many receivers; [`sender`], [`receiver`]: its ends;
//! - [`select`]: the first of several that has something; [`timer`]: for what waits with a time-out;
//! - [`broadcast`]: one message for many;
//! - [`oneshot`]: a value that is set once, by a [`resolver`], and awaited by many; [`callback`]: what is called when
//!   something is done;
//! - [`affinity`]: where an agent may run, and how urgent it is;
//! - [`step`], [`finish`]: running an agent, and ending it;
//! - [`machine`], [`processors`], [`load`]: threads with event loops, which of them holds which processor, what it ran;
//! - [`runtime`]: where agents live; [`spawn`] makes them, [`schedule`] queues them, [`slice`] runs them;
//! - [`blocking`]: a processor is handed over while an agent blocks;
//! - [`numbers`]: those among the arguments;
//! - [`shards`]: which of several shards a key belongs to; [`shard`]: one of them;
//! - [`frozen_dict`], [`frozen_views`]: a mapping that can be shared, because nobody can change it; [`freezing`]: the
//!   part of `freeze` that needs no Python; [`frozen_memory`]: that of an array, for reading only.

mod admission;
mod affinity;
mod agent;
mod alloc;
mod ask;
mod awaitable;
mod blocking;
mod body;
mod broadcast;
mod callback;
mod channel;
mod completion;
mod current;
mod deliver;
mod errors;
mod finish;
mod freezing;
mod frozen_dict;
mod frozen_memory;
mod frozen_views;
mod glance;
mod graph;
mod guarded;
mod handles;
mod hot;
mod interop;
mod iso;
mod isolation;
mod leases;
mod lifetime;
mod load;
mod machine;
mod mailbox;
mod numbers;
mod oneshot;
mod place;
mod processors;
mod receive;
mod receiver;
mod request;
mod resolver;
mod runtime;
mod schedule;
mod select;
mod send;
mod sendable;
mod sender;
mod shard;
mod shards;
mod slice;
mod spawn;
mod step;
mod timer;
mod waiter;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _kernel {
    #[pymodule_export]
    use crate::agent::AgentRef;
    #[pymodule_export]
    use crate::ask::Ask;
    #[pymodule_export]
    use crate::blocking::{Blocking, blocking};
    #[pymodule_export]
    use crate::channel::{Channel, channel};
    #[pymodule_export]
    use crate::completion::Completion;
    #[pymodule_export]
    use crate::current::{current_agent, current_runtime};
    #[pymodule_export]
    use crate::deliver::signal;
    #[pymodule_export]
    use crate::frozen_dict::FrozenDict;
    #[pymodule_export]
    use crate::handles::{Tag, Unchecked, Val, consume, unchecked, val};
    #[pymodule_export]
    use crate::iso::{Iso, iso};
    #[pymodule_export]
    use crate::isolation::prove_isolated;
    #[pymodule_export]
    use crate::leases::{Holding, LeaseTable};
    #[pymodule_export]
    use crate::mailbox::Mailbox;
    #[pymodule_export]
    use crate::oneshot::{Future, Waiting, await_future};
    #[pymodule_export]
    use crate::receive::Receive;
    #[pymodule_export]
    use crate::receiver::{ChannelReceive, Receiver};
    #[pymodule_export]
    use crate::request::Request;
    #[pymodule_export]
    use crate::resolver::Resolver;
    #[pymodule_export]
    use crate::runtime::Runtime;
    #[pymodule_export]
    use crate::select::{Select, select};
    #[pymodule_export]
    use crate::send::Send;
    #[pymodule_export]
    use crate::sendable::is_sendable;
    #[pymodule_export]
    use crate::sender::{ChannelSend, Sender};
    #[pymodule_export]
    use crate::shards::ShardMap;
    #[pymodule_export]
    use crate::spawn::spawn;

    use pyo3::prelude::*;

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        crate::interop::initialise(py)?;
        crate::awaitable::install::<crate::mailbox::Mailbox>(py);
        crate::awaitable::install::<crate::receive::Receive>(py);
        crate::awaitable::install::<crate::send::Send>(py);
        crate::awaitable::install::<crate::ask::Ask>(py);
        crate::awaitable::install::<crate::completion::Completion>(py);
        crate::alloc::install_destructor::<crate::send::Send>(py);
        crate::alloc::install_destructor::<crate::receive::Receive>(py);
        crate::awaitable::install::<crate::oneshot::Waiting>(py);
        crate::alloc::install_destructor::<crate::oneshot::Waiting>(py);
        crate::alloc::install_destructor::<crate::resolver::Resolver>(py);
        crate::alloc::install_destructor::<crate::oneshot::Future>(py);
        crate::awaitable::install::<crate::select::Select>(py);
        crate::awaitable::install::<crate::sender::ChannelSend>(py);
        crate::awaitable::install::<crate::receiver::ChannelReceive>(py);
        crate::frozen_dict::install(py)?;
        // For `remuda.capabilities` alone.
        module.setattr("_forget_rules", wrap_pyfunction!(crate::sendable::_forget_rules, module)?)?;
        module.setattr("_freeze_plain", wrap_pyfunction!(crate::freezing::_freeze_plain, module)?)?;
        module.setattr("_set_attributes", wrap_pyfunction!(crate::freezing::_set_attributes, module)?)?;
        module.setattr("_Memo", py.get_type::<crate::freezing::Memo>())?;
        module.setattr("_prove_isos", wrap_pyfunction!(crate::iso::_prove_isos, module)?)?; // and for `remuda.testing`
        module.setattr("_await_birth", wrap_pyfunction!(crate::spawn::_await_birth, module)?)?;
        module.setattr("_FrozenMemory", py.get_type::<crate::frozen_memory::FrozenMemory>())?;
        // For `remuda.primitives.broadcast` alone.
        module.setattr("_members", wrap_pyfunction!(crate::broadcast::_members, module)?)?;
        module.setattr("_shareable", wrap_pyfunction!(crate::broadcast::_shareable, module)?)?;
        module.setattr("_tell", wrap_pyfunction!(crate::broadcast::_tell, module)?)?;
        crate::sendable::learn_handles(py)?;
        crate::lifetime::install_finaliser(py);
        crate::hot::install(module)
    }
}
