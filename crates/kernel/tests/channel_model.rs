//! The channel under any order of events: every item that was taken from its sender comes out once, in order; nobody
//! waits for what is there, however those who wait go away; and a close tells them all.

use std::collections::VecDeque;

use proptest::prelude::*;
use remuda_kernel::channel::{Channel, Crossed, Marks, Pop, Push, Standing, Ticket};

#[derive(Debug, Clone)]
enum Action {
    /// `send_nowait`.
    Push,
    /// `send`: waits if it has to.
    Send,
    /// `recv_nowait`.
    Pop,
    /// `recv`: waits if it has to.
    Receive,
    /// One of those who were woken goes on.
    Resume(usize),
    CancelSender(usize),
    CancelReceiver(usize),
    Close,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        6 => Just(Action::Push),
        6 => Just(Action::Send),
        4 => Just(Action::Pop),
        8 => Just(Action::Receive),
        8 => (0..4_usize).prop_map(Action::Resume),
        2 => (0..4_usize).prop_map(Action::CancelSender),
        2 => (0..4_usize).prop_map(Action::CancelReceiver),
        1 => Just(Action::Close),
    ];
    prop::collection::vec(action, 1..200)
}

/// One that waits: who it is, its ticket, and its item if it sends.
#[derive(Debug, Clone, Copy)]
struct Waits {
    who: u32,
    ticket: Ticket,
    item: Option<u32>,
}

#[derive(Default)]
struct World {
    waiting: Vec<Waits>,
    woken: Vec<u32>,
    /// Items that are on their way, in the order in which they are to come out.
    under_way: VecDeque<u32>,
    above: bool,
}

impl World {
    fn wake(&mut self, who: Option<u32>) {
        self.woken.extend(who);
    }

    fn crossed(&mut self, crossed: Option<Crossed>, high: usize, low: usize) {
        match crossed {
            Some(Crossed::High(depth)) => {
                assert!(!self.above && depth >= high);
                self.above = true;
            }
            Some(Crossed::Low(depth)) => {
                assert!(self.above && depth <= low);
                self.above = false;
            }
            None => {}
        }
    }

    fn got(&mut self, item: u32) {
        assert_eq!(self.under_way.pop_front(), Some(item), "lost, doubled or out of order");
    }

    fn pick(&self, number: usize, sends: bool) -> Option<usize> {
        let found: Vec<usize> = (0..self.waiting.len()).filter(|&n| self.waiting[n].item.is_some() == sends).collect();
        (!found.is_empty()).then(|| found[number % found.len()])
    }
}

fn resume(channel: &mut Channel<u32, u32>, world: &mut World, place: usize, high: usize, low: usize) {
    let one = world.waiting[place];
    match one.item {
        Some(item) => match channel.standing(one.ticket) {
            Standing::Waits => return,
            Standing::Sent => {}
            Standing::Refused(back) => assert_eq!(back, item),
        },
        None => match channel.pop_waiting(one.ticket) {
            Some(Pop::Item { item, wake, crossed }) => {
                world.got(item);
                world.wake(wake);
                world.crossed(crossed, high, low);
            }
            Some(Pop::Closed) => assert!(channel.is_closed()),
            Some(Pop::Empty) => {
                channel.park_receiver_again(one.ticket, one.who).expect("it was empty");
                return;
            }
            None => return,
        },
    }
    world.waiting.remove(place);
}

fn resume_woken(channel: &mut Channel<u32, u32>, world: &mut World, number: usize, high: usize, low: usize) {
    if world.woken.is_empty() {
        return;
    }
    let who = world.woken.remove(number % world.woken.len());
    if let Some(place) = world.waiting.iter().position(|one| one.who == who) {
        resume(channel, world, place, high, low);
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nobody_forgotten(
        actions in actions(),
        capacity in 0_usize..4,
        high in 1_usize..4,
        low in 0_usize..3,
    ) {
        let low = low.min(high - 1);
        let mut channel = Channel::<u32, u32>::new(capacity, Some(Marks::new(high, low)));
        let mut world = World::default();
        for (number, action) in (0_u32..).zip(actions) {
            match action {
                Action::Push => match channel.push(number) {
                    Push::Taken { wake, crossed } => {
                        world.under_way.push_back(number);
                        world.wake(wake.map(|promised| promised.waiter));
                        world.crossed(crossed, high, low);
                    }
                    Push::Full(back) => {
                        prop_assert_eq!(back, number);
                        prop_assert!(channel.len() >= capacity);
                    }
                    Push::Closed(_) => prop_assert!(channel.is_closed()),
                },
                Action::Send => match channel.park_sender(number, number) {
                    Ok((ticket, wake)) => {
                        world.under_way.push_back(number);
                        world.waiting.push(Waits { who: number, ticket, item: Some(number) });
                        world.wake(wake.map(|promised| promised.waiter));
                    }
                    Err(_) => {
                        if let Push::Taken { wake, crossed } = channel.push(number) {
                            world.under_way.push_back(number);
                            world.wake(wake.map(|promised| promised.waiter));
                            world.crossed(crossed, high, low);
                        } else {
                            prop_assert!(channel.is_closed());
                        }
                    }
                },
                Action::Pop | Action::Receive => match channel.pop() {
                    Pop::Item { item, wake, crossed } => {
                        // Those who were promised an item find it when they come.
                        world.got(item);
                        world.wake(wake);
                        world.crossed(crossed, high, low);
                    }
                    Pop::Empty => {
                        if matches!(action, Action::Receive) {
                            let ticket = channel.park_receiver(number).expect("it was empty");
                            world.waiting.push(Waits { who: number, ticket, item: None });
                        }
                    }
                    Pop::Closed => prop_assert!(channel.is_closed()),
                },
                Action::Resume(number) => resume_woken(&mut channel, &mut world, number, high, low),
                Action::CancelSender(number) => if let Some(place) = world.pick(number, true) {
                    let one = world.waiting.remove(place);
                    if let Some(item) = channel.withdraw(one.ticket) {
                        world.under_way.retain(|other| *other != item);
                    }
                },
                Action::CancelReceiver(number) => if let Some(place) = world.pick(number, false) {
                    let one = world.waiting.remove(place);
                    let (_, wake) = channel.leave(one.ticket);
                    world.wake(wake.map(|promised| promised.waiter));
                },
                Action::Close => {
                    // What those who wait have not got rid of stays theirs.
                    for one in world.waiting.iter().filter(|one| channel.sender(one.ticket).is_some()) {
                        world.under_way.retain(|other| Some(*other) != one.item);
                    }
                    world.woken.extend(channel.close());
                }
            }
        }
        // Everybody who was woken goes on, and then nobody waits for what is there.
        while !world.woken.is_empty() {
            resume_woken(&mut channel, &mut world, 0, high, low);
        }
        let receivers = world.waiting.iter().filter(|one| one.item.is_none()).count();
        if channel.is_closed() {
            prop_assert!(world.waiting.is_empty(), "{:?} were not told of the close", world.waiting);
        } else if receivers > 0 {
            prop_assert!(world.under_way.is_empty(), "{receivers} wait, and {:?} is there", world.under_way);
        }
        while let Pop::Item { item, wake, .. } = channel.pop() {
            world.got(item);
            world.wake(wake);
        }
        while !world.woken.is_empty() {
            resume_woken(&mut channel, &mut world, 0, high, low);
        }
        prop_assert!(world.under_way.is_empty());
        prop_assert!(world.waiting.iter().all(|one| one.item.is_none()), "a sender waits and nothing is in the way");
        let (sent, received) = channel.counts();
        prop_assert_eq!(sent, received);
    }
}
