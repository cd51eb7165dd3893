//! The mailbox against a plain model: whatever is done to it, no message is lost or doubled, the order of arrival is
//! kept, senders are admitted in the order in which they came, and the marks are reported with hysteresis.

use std::collections::VecDeque;

use proptest::prelude::*;
use remuda_kernel::mailbox::{Mailbox, Overflow, Pop, Push};
use remuda_kernel::watermark::Limits;

#[derive(Debug, Clone)]
enum Action {
    Push,
    PushExempt,
    /// Push, and park if there is no room.
    Send,
    Pop,
    /// Withdraw the n-th of the waiting senders.
    Withdraw(usize),
    Close,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        4 => Just(Action::Push),
        1 => Just(Action::PushExempt),
        6 => Just(Action::Send),
        8 => Just(Action::Pop),
        1 => (0..4_usize).prop_map(Action::Withdraw),
        1 => Just(Action::Close),
    ];
    prop::collection::vec(action, 1..200)
}

#[derive(Default)]
struct Model {
    queue: VecDeque<u32>,
    /// Ticket and message of each waiting sender.
    parked: Vec<(u64, u32)>,
    closed: bool,
    above: bool,
    received: u64,
}

proptest! {
    #[test]
    fn nothing_is_lost_doubled_or_reordered(
        actions in actions(),
        capacity in 1_i64..6,
        high in 1_i64..6,
        low in 0_i64..5,
        overflow in prop_oneof![
            3 => Just(Overflow::Wait),
            1 => Just(Overflow::DropNewest),
            1 => Just(Overflow::DropOldest),
        ],
    ) {
        let high = high.min(capacity);
        let low = low.min(high - 1);
        let limits = Limits::new(capacity, Some(high), Some(low)).unwrap();
        let mut mailbox = Mailbox::<u32, u32>::new(limits, overflow);
        let mut model = Model::default();
        for (message, action) in (0_u32..).zip(actions) {
            match action {
                Action::Push | Action::Send => {
                    let room = model.queue.len() < limits.capacity() && model.parked.is_empty();
                    let pushed = mailbox.push(message);
                    if model.closed {
                        prop_assert_eq!(pushed, Push::Closed(message));
                        continue;
                    }
                    if room {
                        model.queue.push_back(message);
                        model.received += 1;
                        let rises = !model.above && model.queue.len() >= limits.high();
                        model.above |= rises;
                        prop_assert_eq!(pushed, if rises { Push::AcceptedHigh } else { Push::Accepted });
                        continue;
                    }
                    match overflow {
                        Overflow::Wait | Overflow::Fail => {
                            prop_assert_eq!(pushed, Push::Full(message));
                            if matches!(action, Action::Send) {
                                model.parked.push((mailbox.park(message, message), message));
                            }
                        }
                        Overflow::DropNewest => prop_assert_eq!(pushed, Push::Discarded(message)),
                        Overflow::DropOldest => {
                            let oldest = model.queue.pop_front().unwrap();
                            model.queue.push_back(message);
                            model.received += 1;
                            prop_assert_eq!(pushed, Push::Displaced(oldest));
                        }
                    }
                }
                Action::PushExempt => {
                    let pushed = mailbox.push_exempt(message);
                    if model.closed {
                        prop_assert_eq!(pushed, Push::Closed(message));
                        continue;
                    }
                    model.queue.push_back(message);
                    model.received += 1;
                    model.above |= model.queue.len() >= limits.high();
                }
                Action::Pop => {
                    let expected = model.queue.pop_front();
                    match mailbox.pop() {
                        Pop::Message(message) => {
                            prop_assert_eq!(Some(message), expected);
                            let something_to_do = (model.above || !model.parked.is_empty())
                                && model.queue.len() <= limits.low();
                            prop_assert!(!something_to_do, "the low mark was not noticed");
                        }
                        Pop::MessageLow(message) => {
                            prop_assert_eq!(Some(message), expected);
                            let mut admitted = Vec::new();
                            let came_down = mailbox.admit(&mut admitted);
                            prop_assert_eq!(came_down, model.above);
                            model.above = false;
                            let room = limits.capacity() - model.queue.len();
                            let enter = room.min(model.parked.len());
                            let entering: Vec<u32> = model.parked.drain(..enter).map(|(_, parked)| parked).collect();
                            prop_assert_eq!(&admitted, &entering);
                            model.received += entering.len() as u64;
                            model.queue.extend(entering);
                            let rises = model.queue.len() >= limits.high();
                            prop_assert_eq!(mailbox.rises(), rises);
                            model.above = rises;
                        }
                        Pop::Empty => prop_assert!(expected.is_none() && !model.closed),
                        Pop::Closed => prop_assert!(expected.is_none() && model.closed),
                    }
                }
                Action::Withdraw(place) => {
                    if place < model.parked.len() {
                        let (ticket, parked) = model.parked.remove(place);
                        prop_assert_eq!(mailbox.withdraw(ticket).map(|waiting| waiting.message), Some(parked));
                        prop_assert!(mailbox.withdraw(ticket).is_none());
                    }
                }
                Action::Close => {
                    let turned_away: Vec<u32> = mailbox.close().into_iter().map(|waiting| waiting.message).collect();
                    let expected: Vec<(u64, u32)> = model.parked.drain(..).collect();
                    for (ticket, _) in &expected {
                        prop_assert!(mailbox.was_turned_away(*ticket));
                    }
                    prop_assert_eq!(turned_away, expected.into_iter().map(|(_, parked)| parked).collect::<Vec<_>>());
                    model.closed = true;
                }
            }
            prop_assert_eq!(mailbox.len(), model.queue.len());
            prop_assert_eq!(mailbox.waiting(), model.parked.len());
            prop_assert_eq!(mailbox.received(), model.received);
            // The invariant of the file: while senders wait, the depth is above the low mark, or the mailbox is empty
            // of what made them wait only until the next `admit`.
            prop_assert_eq!(mailbox.is_above(), model.above);
        }
        prop_assert_eq!(mailbox.drain(), model.queue);
    }
}
