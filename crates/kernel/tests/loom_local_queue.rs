//! Every interleaving of a queue's holder with thieves: each task is taken once, and none is lost or read before it is
//! written.
//!
//! Run with `make loom`.
#![cfg(loom)]

use std::collections::BTreeMap;

use loom::sync::Arc;
use loom::thread;
use remuda_kernel::local_queue::{CAPACITY, LocalQueue};

/// Steals once, and returns what the thief then has.
fn steal(victim: &LocalQueue<Box<u32>>) -> Vec<u32> {
    let own = LocalQueue::new();
    // SAFETY: `own` is this thread's.
    let (task, count) = match unsafe { victim.steal_into(&own) } {
        Some(stolen) => stolen,
        None => return Vec::new(),
    };
    let mut got = vec![*task];
    // SAFETY: as above.
    got.extend(std::iter::from_fn(|| unsafe { own.pop() }).map(|task| *task));
    assert_eq!(got.len(), count as usize);
    got
}

fn each_once(got: impl IntoIterator<Item = u32>, tasks: std::ops::Range<u32>) {
    let mut times = BTreeMap::new();
    got.into_iter().for_each(|task| *times.entry(task).or_insert(0) += 1);
    let expected = tasks.map(|task| (task, 1)).collect();
    assert_eq!(times, expected, "a task was lost, or run twice");
}

#[test]
fn a_holder_and_two_thieves_take_each_task_once() {
    loom::model(|| {
        let queue = Arc::new(LocalQueue::new());
        // SAFETY: this thread is the holder, throughout.
        unsafe { (0..3).for_each(|task| queue.push(Box::new(task)).unwrap()) };
        let thieves: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                thread::spawn(move || steal(&queue))
            })
            .collect();
        // SAFETY: as above.
        let mut got: Vec<u32> = unsafe { queue.pop() }.map(|task| *task).into_iter().collect();
        // SAFETY: as above.
        unsafe { queue.push(Box::new(3)).unwrap() };
        got.extend(thieves.into_iter().flat_map(|thief| thief.join().unwrap()));
        // SAFETY: as above.
        got.extend(std::iter::from_fn(|| unsafe { queue.pop() }).map(|task| *task));
        each_once(got, 0..4);
    });
}

#[test]
fn a_thief_sees_what_is_pushed_meanwhile_whole_or_not_at_all() {
    loom::model(|| {
        let queue = Arc::new(LocalQueue::new());
        let thief = {
            let queue = queue.clone();
            thread::spawn(move || {
                let mut got = steal(&queue);
                got.extend(steal(&queue));
                got
            })
        };
        // SAFETY: this thread is the holder, throughout.
        unsafe { (0..2).for_each(|task| queue.push(Box::new(task)).unwrap()) };
        let mut got = thief.join().unwrap();
        // SAFETY: as above.
        got.extend(std::iter::from_fn(|| unsafe { queue.pop() }).map(|task| *task));
        each_once(got, 0..2);
    });
}

#[test]
fn an_overflow_and_a_thief_share_the_queue_without_loss() {
    loom::model(|| {
        let queue = Arc::new(LocalQueue::new());
        let full = CAPACITY as u32;
        // SAFETY: this thread is the holder, throughout.
        unsafe { (0..full).for_each(|task| queue.push(Box::new(task)).unwrap()) };
        let thief = {
            let queue = queue.clone();
            thread::spawn(move || steal(&queue))
        };
        // SAFETY: as above.
        let out = unsafe { queue.push(Box::new(full)) }.err().unwrap_or_default();
        // SAFETY: as above.
        let again = unsafe { queue.push(Box::new(full + 1)) }.err().unwrap_or_default();
        let mut got: Vec<u32> = out.into_iter().chain(again).map(|task| *task).collect();
        got.extend(thief.join().unwrap());
        // SAFETY: as above.
        got.extend(std::iter::from_fn(|| unsafe { queue.pop() }).map(|task| *task));
        each_once(got, 0..full + 2);
    });
}

#[test]
fn a_slot_is_not_used_anew_while_a_thief_reads_it() {
    loom::model(|| {
        let queue = Arc::new(LocalQueue::new());
        let full = CAPACITY as u32;
        // SAFETY: this thread is the holder, throughout.
        unsafe { (0..full - 1).for_each(|task| queue.push(Box::new(task)).unwrap()) };
        let thief = {
            let queue = queue.clone();
            thread::spawn(move || steal(&queue))
        };
        let mut got = Vec::new();
        for task in full - 1..full + 2 {
            // SAFETY: as above.
            got.extend(unsafe { queue.pop() }.map(|task| *task));
            // SAFETY: as above.
            let out = unsafe { queue.push(Box::new(task)) }.err().unwrap_or_default();
            got.extend(out.into_iter().map(|task| *task));
        }
        got.extend(thief.join().unwrap());
        // SAFETY: as above.
        got.extend(std::iter::from_fn(|| unsafe { queue.pop() }).map(|task| *task));
        each_once(got, 0..full + 2);
    });
}

#[test]
fn two_thieves_and_a_holder_that_goes_round_do_not_meet_in_a_slot() {
    loom::model(|| {
        let queue = Arc::new(LocalQueue::new());
        let full = CAPACITY as u32;
        // SAFETY: this thread is the holder, throughout.
        unsafe { (0..full).for_each(|task| queue.push(Box::new(task)).unwrap()) };
        let thieves: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                thread::spawn(move || steal(&queue))
            })
            .collect();
        let mut got = Vec::new();
        for task in full..full + 2 {
            // SAFETY: as above.
            let out = unsafe { queue.push(Box::new(task)) }.err().unwrap_or_default();
            got.extend(out.into_iter().map(|task| *task));
        }
        got.extend(thieves.into_iter().flat_map(|thief| thief.join().unwrap()));
        // SAFETY: as above.
        got.extend(std::iter::from_fn(|| unsafe { queue.pop() }).map(|task| *task));
        each_once(got, 0..full + 2);
    });
}
