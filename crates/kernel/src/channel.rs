//! A bounded queue between many senders and many receivers, and those who wait at its ends, each in the order in which
//! they came.
//!
//! An item is never handed to a receiver that waits. It stays here, *promised*: the receiver is woken, and takes it when
//! its turn comes; nobody else can take it meanwhile. So a receiver that goes away between the two loses nothing: the
//! promise passes on to the next. A sender that waits leaves its item here, and the order of items is that of their
//! senders. With capacity 0 every sender waits until its item is taken.
//!
//! Whoever changes it gets to know whom to wake, and wakes them after the lock around it has been let go.

use std::collections::VecDeque;

/// A channel of items `T` whose waiters are woken by `W`.
#[derive(Debug)]
pub struct Channel<T, W> {
    /// Items that were taken from their senders.
    items: VecDeque<T>,
    capacity: usize,
    /// Senders that wait, with their items: only while there is no room.
    senders: VecDeque<Parked<T, W>>,
    /// Items of senders that waited when the channel closed, until they fetch them.
    refused: Vec<(Ticket, T)>,
    /// Receivers that wait and have been promised nothing. While there are any, every item is promised.
    receivers: VecDeque<(Ticket, W)>,
    /// Receivers that were woken to take an item, and have not done so.
    promised: VecDeque<Ticket>,
    last_ticket: Ticket,
    closed: bool,
    marks: Option<Marks>,
    sent: u64,
    received: u64,
}

/// Stands for one that waits.
pub type Ticket = u64;

/// A receiver that is to be woken for an item that it was promised. Who can't wake it has it [`Channel::leave`].
#[derive(Debug, PartialEq, Eq)]
pub struct Promised<W> {
    pub ticket: Ticket,
    pub waiter: W,
}

#[derive(Debug)]
struct Parked<T, W> {
    ticket: Ticket,
    item: T,
    /// None: it has gone on, because with capacity 0 a receiver was there to take the item.
    waiter: Option<W>,
}

/// The marks at which the depth is told of, with hysteresis.
#[derive(Debug, Clone, Copy)]
pub struct Marks {
    pub high: usize,
    pub low: usize,
    above: bool,
}

impl Marks {
    pub fn new(high: usize, low: usize) -> Self {
        Self { high, low, above: false }
    }
}

/// A mark that was crossed, and the depth then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossed {
    High(usize),
    Low(usize),
}

/// What came of offering an item.
#[derive(Debug, PartialEq, Eq)]
pub enum Push<T, W> {
    Taken { wake: Option<Promised<W>>, crossed: Option<Crossed> },
    Full(T),
    Closed(T),
}

/// What came of asking for an item.
#[derive(Debug, PartialEq, Eq)]
pub enum Pop<T, W> {
    Item {
        item: T,
        wake: Option<W>,
        crossed: Option<Crossed>,
    },
    Empty,
    /// Nothing is left, and nothing will come.
    Closed,
}

/// What came of a sender's wish to wait: its ticket and whom to wake, or what it wished to wait with.
pub type Parking<T, W> = Result<(Ticket, Option<Promised<W>>), (T, W)>;

/// How a sender that waits stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing<T> {
    Waits,
    /// Its item was taken.
    Sent,
    /// The channel has closed: here is the item.
    Refused(T),
}

impl<T, W> Channel<T, W> {
    pub fn new(capacity: usize, marks: Option<Marks>) -> Self {
        Self {
            items: VecDeque::new(),
            capacity,
            senders: VecDeque::new(),
            refused: Vec::new(),
            receivers: VecDeque::new(),
            promised: VecDeque::new(),
            last_ticket: 0,
            closed: false,
            marks,
            sent: 0,
            received: 0,
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        self.last_ticket
    }

    /// Whether a receiver that was promised nothing may take an item.
    fn has_unpromised(&self) -> bool {
        self.items.len() + self.senders.len() > self.promised.len()
    }

    /// Promises an item that nobody was promised to the first receiver that waits, which is to be woken.
    fn promise(&mut self) -> Option<Promised<W>> {
        if self.receivers.is_empty() || !self.has_unpromised() {
            return None;
        }
        let (ticket, waiter) = self.receivers.pop_front()?;
        self.promised.push_back(ticket);
        Some(Promised { ticket, waiter })
    }

    /// Forgets the promise that was made to a receiver. False: there is none.
    fn redeem(&mut self, ticket: Ticket) -> bool {
        match self.promised.iter().position(|promised| *promised == ticket) {
            Some(place) => self.promised.remove(place).is_some(),
            None => false,
        }
    }

    /// Whether an item can be put in without having to wait.
    fn has_room(&self) -> bool {
        self.items.len() < self.capacity && self.senders.is_empty()
    }

    /// Puts an item in if there is room, or with capacity 0 a receiver that waits for one.
    #[inline]
    pub fn push(&mut self, item: T) -> Push<T, W> {
        if self.closed {
            return Push::Closed(item);
        }
        if !self.has_room() && (self.capacity > 0 || self.receivers.is_empty()) {
            return Push::Full(item);
        }
        if self.capacity == 0 {
            let ticket = self.ticket();
            self.senders.push_back(Parked { ticket, item, waiter: None });
        } else {
            self.items.push_back(item);
            self.sent += 1;
        }
        Push::Taken { wake: self.promise(), crossed: self.rose() }
    }

    /// The same where nobody waits at either end and no mark is near; the item is handed back otherwise.
    #[inline]
    pub fn push_quietly(&mut self, item: T) -> Result<(), T> {
        if self.closed || self.marks.is_some() || !self.receivers.is_empty() || !self.has_room() {
            return Err(item);
        }
        self.items.push_back(item);
        self.sent += 1;
        Ok(())
    }

    /// Has a sender wait, for room or with capacity 0 for its item to be taken; a receiver may have to be woken for it.
    /// `Err`: there is room, or the channel has closed.
    pub fn park_sender(&mut self, item: T, waiter: W) -> Parking<T, W> {
        if self.closed || self.has_room() {
            return Err((item, waiter));
        }
        let ticket = self.ticket();
        self.senders.push_back(Parked { ticket, item, waiter: Some(waiter) });
        let wake = self.promise();
        Ok((ticket, wake))
    }

    /// How a sender that waits stands; asked once only after it waits no more.
    pub fn standing(&mut self, ticket: Ticket) -> Standing<T> {
        if self.senders.binary_search_by_key(&ticket, |parked| parked.ticket).is_ok() {
            return Standing::Waits;
        }
        match self.refused.iter().position(|(refused, _)| *refused == ticket) {
            Some(place) => Standing::Refused(self.refused.swap_remove(place).1),
            None => Standing::Sent,
        }
    }

    /// Takes back the item of a sender that waits no more. None: it was taken.
    pub fn withdraw(&mut self, ticket: Ticket) -> Option<T> {
        if let Ok(place) = self.senders.binary_search_by_key(&ticket, |parked| parked.ticket) {
            return self.senders.remove(place).map(|parked| parked.item);
        }
        let place = self.refused.iter().position(|(refused, _)| *refused == ticket)?;
        Some(self.refused.swap_remove(place).1)
    }

    /// Who is to be woken for a sender that waits.
    pub fn sender(&mut self, ticket: Ticket) -> Option<&mut W> {
        let place = self.senders.binary_search_by_key(&ticket, |parked| parked.ticket).ok()?;
        self.senders[place].waiter.as_mut()
    }

    /// Takes an item, for one who does not wait.
    #[inline]
    pub fn pop(&mut self) -> Pop<T, W> {
        if !self.has_unpromised() {
            return if self.closed { Pop::Closed } else { Pop::Empty };
        }
        self.received += 1;
        let (item, wake) = match self.items.pop_front() {
            Some(item) => (item, self.fill()),
            None => match self.senders.pop_front() {
                Some(parked) => {
                    self.sent += 1;
                    (parked.item, parked.waiter)
                }
                None => unreachable!("an item that nobody was promised is in one of the two"),
            },
        };
        Pop::Item { item, wake, crossed: self.fell() }
    }

    /// The same where nobody waits at either end, and no mark is near.
    #[inline]
    pub fn pop_quietly(&mut self) -> Option<T> {
        if self.marks.is_some() || !self.senders.is_empty() || !self.promised.is_empty() {
            return None;
        }
        let item = self.items.pop_front()?;
        self.received += 1;
        Some(item)
    }

    /// Lets the first sender's item in, if there is room.
    fn fill(&mut self) -> Option<W> {
        if self.items.len() >= self.capacity {
            return None; // so it always is with capacity 0
        }
        let parked = self.senders.pop_front()?;
        self.items.push_back(parked.item);
        self.sent += 1;
        parked.waiter
    }

    /// Has a receiver wait. `Err`: there is something to look at.
    pub fn park_receiver(&mut self, waiter: W) -> Result<Ticket, W> {
        if self.closed || self.has_unpromised() {
            return Err(waiter);
        }
        let ticket = self.ticket();
        self.receivers.push_back((ticket, waiter));
        Ok(ticket)
    }

    /// Takes an item, for a receiver that waits. None: it goes on waiting. `Empty`: it was woken for an item whose sender
    /// has gone since, and is forgotten; [`Channel::park_receiver_again`] has it wait before all others.
    pub fn pop_waiting(&mut self, ticket: Ticket) -> Option<Pop<T, W>> {
        (self.redeem(ticket) || self.closed).then(|| self.pop())
    }

    /// Has a receiver wait that has waited before, as the first. `Err`: there is something to look at.
    pub fn park_receiver_again(&mut self, ticket: Ticket, waiter: W) -> Result<(), W> {
        if self.closed || self.has_unpromised() {
            return Err(waiter);
        }
        self.receivers.push_front((ticket, waiter));
        Ok(())
    }

    /// Who is to be woken for a receiver that waits, and was promised nothing.
    pub fn receiver(&mut self, ticket: Ticket) -> Option<&mut W> {
        self.receivers.iter_mut().find(|(waiting, _)| *waiting == ticket).map(|(_, waiter)| waiter)
    }

    /// Whether a receiver that waited was woken to take an item.
    pub fn is_promised(&self, ticket: Ticket) -> bool {
        self.promised.contains(&ticket)
    }

    /// A receiver waits no more. Returns its own waiter, and the next one, who is to be woken for what it was promised.
    pub fn leave(&mut self, ticket: Ticket) -> (Option<W>, Option<Promised<W>>) {
        if self.redeem(ticket) {
            return (None, self.promise());
        }
        let place = self.receivers.iter().position(|(waiting, _)| *waiting == ticket);
        (place.and_then(|place| self.receivers.remove(place)).map(|(_, waiter)| waiter), None)
    }

    /// Nothing is taken from senders any more. Those who wait are to be woken: receivers that were promised nothing find
    /// it closed, senders their items refused.
    pub fn close(&mut self) -> Vec<W> {
        self.closed = true;
        let mut wake: Vec<W> = self.receivers.drain(..).map(|(_, waiter)| waiter).collect();
        for parked in std::mem::take(&mut self.senders) {
            match parked.waiter {
                Some(waiter) => {
                    self.refused.push((parked.ticket, parked.item));
                    wake.push(waiter);
                }
                None => self.senders.push_back(parked),
            }
        }
        wake
    }

    /// Tells of the high mark.
    fn rose(&mut self) -> Option<Crossed> {
        let depth = self.items.len();
        let marks = self.marks.as_mut().filter(|marks| !marks.above && depth >= marks.high)?;
        marks.above = true;
        Some(Crossed::High(depth))
    }

    /// Tells of the low mark.
    fn fell(&mut self) -> Option<Crossed> {
        let depth = self.items.len();
        let marks = self.marks.as_mut().filter(|marks| marks.above && depth <= marks.low)?;
        marks.above = false;
        Some(Crossed::Low(depth))
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Senders and receivers that wait.
    pub fn waiting(&self) -> (usize, usize) {
        (self.senders.len(), self.receivers.len() + self.promised.len())
    }

    /// Items that were ever taken from senders, and by receivers.
    pub fn counts(&self) -> (u64, u64) {
        (self.sent, self.received)
    }

    /// Takes out what nobody can receive any more, when the last receiver is gone.
    pub fn drain(&mut self) -> Vec<T> {
        self.items.drain(..).chain(self.senders.drain(..).map(|parked| parked.item)).collect()
    }

    /// Every item that is in here.
    pub fn items(&self) -> impl Iterator<Item = &T> {
        let parked = self.senders.iter().map(|parked| &parked.item);
        self.items.iter().chain(parked).chain(self.refused.iter().map(|(_, item)| item))
    }

    /// Everybody who waits.
    pub fn waiters(&self) -> impl Iterator<Item = &W> {
        let receivers = self.receivers.iter().map(|(_, waiter)| waiter);
        self.senders.iter().filter_map(|parked| parked.waiter.as_ref()).chain(receivers)
    }
}
