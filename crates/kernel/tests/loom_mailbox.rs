//! Every interleaving of senders with a receiver that parks, behind a mailbox's lock: no wake-up is lost, each sender's
//! messages keep their order, and a mailbox that closes leaves nobody waiting.
//!
//! Run with `make loom`.
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use remuda_kernel::mailbox::{Mailbox, Overflow, Pop, Push};
use remuda_kernel::sync::Mutex;
use remuda_kernel::task::TaskState;
use remuda_kernel::watermark::Limits;

/// What the lock guards: the messages, each with its sender, and whether the receiver waits for the next.
struct Shared {
    mailbox: Mailbox<(u8, u32), u8>,
    receiver_waits: bool,
}

struct World {
    shared: Mutex<Shared>,
    state: TaskState,
    queued: AtomicUsize,
}

impl World {
    fn new(capacity: i64) -> Arc<Self> {
        let limits = Limits::new(capacity, None, None).unwrap();
        Arc::new(Self {
            shared: Mutex::new(Shared { mailbox: Mailbox::new(limits, Overflow::Wait), receiver_waits: false }),
            state: TaskState::scheduled(),
            queued: AtomicUsize::new(1),
        })
    }

    fn wake(&self) {
        if self.state.wake() {
            assert_eq!(self.queued.fetch_add(1, Ordering::AcqRel), 0, "queued twice");
        }
    }

    /// Sends, or waits in the lobby. True: the message was not taken.
    fn send(&self, sender: u8, message: u32) -> bool {
        let mut shared = self.shared.lock();
        let refused = match shared.mailbox.push((sender, message)) {
            Push::Full(message) => {
                shared.mailbox.park(message, sender);
                false
            }
            Push::Closed(_) => true,
            _ => false,
        };
        let waits = std::mem::take(&mut shared.receiver_waits);
        drop(shared);
        if waits {
            self.wake();
        }
        refused
    }

    /// A run of the receiver: takes what there is, and parks.
    fn run(&self, got: &mut Vec<(u8, u32)>) {
        self.queued.fetch_sub(1, Ordering::AcqRel);
        assert!(self.state.start(), "queued, and yet not scheduled");
        loop {
            let mut shared = self.shared.lock();
            match shared.mailbox.pop() {
                Pop::Message(message) => got.push(message),
                Pop::MessageLow(message) => {
                    got.push(message);
                    shared.mailbox.admit(&mut Vec::new());
                }
                Pop::Empty => {
                    shared.receiver_waits = true;
                    break;
                }
                Pop::Closed => break,
            }
        }
        if !self.state.park() {
            assert_eq!(self.queued.fetch_add(1, Ordering::AcqRel), 0, "queued twice");
        }
    }

    fn run_while_queued(&self, got: &mut Vec<(u8, u32)>) {
        while self.queued.load(Ordering::Acquire) > 0 {
            self.run(got);
        }
    }
}

#[test]
fn a_receiver_that_parks_gets_every_message_in_each_senders_order() {
    loom::model(|| {
        let world = World::new(1);
        let senders: Vec<_> = (0..2)
            .map(|sender| {
                let world = world.clone();
                thread::spawn(move || (0..2).for_each(|message| assert!(!world.send(sender, message))))
            })
            .collect();
        let mut got = Vec::new();
        world.run(&mut got);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        world.run_while_queued(&mut got);
        for sender in 0..2 {
            let own: Vec<_> = got.iter().filter(|(from, _)| *from == sender).map(|(_, message)| *message).collect();
            assert_eq!(own, [0, 1], "lost, doubled or out of order");
        }
    });
}

#[test]
fn who_waits_for_room_is_not_overtaken() {
    loom::model(|| {
        let world = World::new(3);
        let sender = {
            let world = world.clone();
            thread::spawn(move || (0..5).for_each(|message| assert!(!world.send(0, message))))
        };
        let mut got = Vec::new();
        world.run(&mut got);
        sender.join().unwrap();
        world.run_while_queued(&mut got);
        assert!(got.into_iter().map(|(_, message)| message).eq(0..5), "lost, doubled or out of order");
    });
}

#[test]
fn a_mailbox_that_closes_takes_in_or_turns_away_and_keeps_nobody() {
    loom::model(|| {
        let world = World::new(1);
        let senders: Vec<_> = (0..2)
            .map(|sender| {
                let world = world.clone();
                thread::spawn(move || world.send(sender, 0))
            })
            .collect();
        let turned_away = {
            let mut shared = world.shared.lock();
            let turned_away = shared.mailbox.close().len();
            assert_eq!(shared.mailbox.waiting(), 0, "somebody waits for a mailbox that is closed");
            turned_away
        };
        let refused = senders.into_iter().map(|sender| sender.join().unwrap());
        let refused = refused.filter(|refused| *refused).count();
        let mut got = Vec::new();
        world.run_while_queued(&mut got);
        assert_eq!(got.len() + turned_away + refused, 2);
    });
}
