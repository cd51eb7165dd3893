//! The bounded queue of one agent, and the senders that wait for room in it.
//!
//! Not a lock of its own: the owner keeps it behind one, and does with what the methods return (wake a sender, drop a
//! message) after it has let go of that lock.
//!
//! The way of a message: `push` accepts it, or hands it back. A sender that was refused for want of room and may wait
//! leaves its message with `park`; when the depth has fallen to the low mark, `admit` moves the messages of waiting
//! senders in, oldest first, and names the senders to wake. So a sender that wakes has sent, and the order among
//! senders is the order in which they came. Invariant: while senders wait, the depth is above the low mark, and `push`
//! lets nobody past them.

use std::collections::VecDeque;

use crate::watermark::Limits;

/// What happens to a message that finds the mailbox full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The sender waits, or is told that the mailbox is full if it can't.
    Wait,
    /// The sender is told that the mailbox is full.
    Fail,
    /// The message is dropped.
    DropNewest,
    /// The oldest message makes room.
    DropOldest,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Push<M> {
    /// It is in the mailbox.
    Accepted,
    /// It is in the mailbox, which has thereby reached its high mark.
    AcceptedHigh,
    /// It is in the mailbox, and this older one is not any more.
    Displaced(M),
    /// It was dropped, by the mailbox's policy.
    Discarded(M),
    /// There is no room: here it is back.
    Full(M),
    /// The mailbox takes no more messages: here it is back.
    Closed(M),
}

/// What a receiver finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Pop<M> {
    /// A message, after which nothing else is to be done.
    Message(M),
    /// A message, after which the depth is at the low mark: the owner calls [`Mailbox::admit`].
    MessageLow(M),
    /// Nothing yet.
    Empty,
    /// Nothing, and there will be nothing.
    Closed,
}

/// A sender that waits, with its message.
#[derive(Debug)]
pub struct Parked<M, S> {
    ticket: u64,
    /// What it wants to send.
    pub message: M,
    /// How it is woken.
    pub sender: S,
}

#[derive(Debug)]
struct Lobby<M, S> {
    next_ticket: u64,
    /// Tickets from this one on were turned away when the mailbox closed; those before it were admitted.
    turned_away_from: u64,
    parked: VecDeque<Parked<M, S>>,
}

impl<M, S> Lobby<M, S> {
    fn new() -> Self {
        Self { next_ticket: 0, turned_away_from: u64::MAX, parked: VecDeque::new() }
    }

    fn place(&self, ticket: u64) -> Option<usize> {
        // Tickets grow along the queue.
        self.parked.binary_search_by_key(&ticket, |waiting| waiting.ticket).ok()
    }
}

/// A bounded mailbox of messages `M`, in which senders `S` may wait for room.
#[derive(Debug)]
pub struct Mailbox<M, S> {
    queue: VecDeque<M>,
    /// Made when the first sender has to wait: most mailboxes never need it.
    lobby: Option<Box<Lobby<M, S>>>,
    received: u64,
    dropped: u32,
    drained: u32,
    limits: Limits,
    overflow: Overflow,
    closed: bool,
    above: bool,
}

impl<M, S> Mailbox<M, S> {
    /// An empty mailbox; it holds no memory for messages until one comes.
    pub fn new(limits: Limits, overflow: Overflow) -> Self {
        Self {
            queue: VecDeque::new(),
            lobby: None,
            received: 0,
            dropped: 0,
            drained: 0,
            limits,
            overflow,
            closed: false,
            above: false,
        }
    }

    /// Takes a message, if there is room and nobody waits before it.
    #[inline]
    pub fn push(&mut self, message: M) -> Push<M> {
        if self.closed {
            return Push::Closed(message);
        }
        if !self.has_room() {
            return self.push_full(message);
        }
        self.push_into_room(message)
    }

    /// Whether a message would be taken at once.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.queue.len() < self.limits.capacity() && !self.closed && self.waiting() == 0
    }

    /// Takes a message after [`Mailbox::has_room`] has said that there is room.
    #[inline]
    pub fn push_into_room(&mut self, message: M) -> Push<M> {
        self.accept(message)
    }

    /// Takes a message whatever the depth: replies, control and what an agent sends to itself must not wait.
    pub fn push_exempt(&mut self, message: M) -> Push<M> {
        if self.closed { Push::Closed(message) } else { self.accept(message) }
    }

    #[inline]
    fn accept(&mut self, message: M) -> Push<M> {
        self.queue.push_back(message);
        self.received += 1;
        if !self.above && self.queue.len() >= self.limits.high() {
            self.above = true;
            return Push::AcceptedHigh;
        }
        Push::Accepted
    }

    #[cold]
    fn push_full(&mut self, message: M) -> Push<M> {
        match self.overflow {
            Overflow::Wait | Overflow::Fail => Push::Full(message),
            Overflow::DropNewest => {
                self.dropped += 1;
                Push::Discarded(message)
            }
            Overflow::DropOldest => {
                let oldest = self.queue.pop_front();
                self.dropped += 1;
                self.accept(message);
                oldest.map_or(Push::Accepted, Push::Displaced)
            }
        }
    }

    /// Lets a sender wait with its message; the ticket takes both back.
    pub fn park(&mut self, message: M, sender: S) -> u64 {
        let lobby = self.lobby.get_or_insert_with(|| Box::new(Lobby::new()));
        let ticket = lobby.next_ticket;
        lobby.next_ticket += 1;
        lobby.parked.push_back(Parked { ticket, message, sender });
        ticket
    }

    /// Takes back what waits under a ticket; `None` if it was admitted or turned away meanwhile.
    pub fn withdraw(&mut self, ticket: u64) -> Option<Parked<M, S>> {
        let lobby = self.lobby.as_mut()?;
        let place = lobby.place(ticket)?;
        lobby.parked.remove(place)
    }

    /// Whether a sender that no longer waits was turned away, its message not taken.
    pub fn was_turned_away(&self, ticket: u64) -> bool {
        self.lobby.as_ref().is_some_and(|lobby| ticket >= lobby.turned_away_from)
    }

    /// How the sender that waits under a ticket is woken; `None` if it was admitted or turned away.
    pub fn waiter(&self, ticket: u64) -> Option<&S> {
        let lobby = self.lobby.as_ref()?;
        lobby.place(ticket).map(|place| &lobby.parked[place].sender)
    }

    /// Changes how a waiting sender is woken, and returns the old way; or the new one, if the sender no longer waits.
    pub fn rebind(&mut self, ticket: u64, sender: S) -> Result<S, S> {
        match self.lobby.as_mut().and_then(|lobby| lobby.place(ticket).map(|place| (lobby, place))) {
            Some((lobby, place)) => Ok(std::mem::replace(&mut lobby.parked[place].sender, sender)),
            None => Err(sender),
        }
    }

    /// The next message.
    #[inline]
    pub fn pop(&mut self) -> Pop<M> {
        match self.queue.pop_front() {
            Some(message)
                if (self.above || self.lobby.is_some())
                    && self.queue.len() <= self.limits.low()
                    && (self.above || self.waiting() > 0) =>
            {
                Pop::MessageLow(message)
            }
            Some(message) => Pop::Message(message),
            None if self.closed => Pop::Closed,
            None => Pop::Empty,
        }
    }

    /// The oldest message.
    #[inline]
    pub fn first(&self) -> Option<&M> {
        self.queue.front()
    }

    /// Whether taking a message may leave something to do: senders to admit, a mark to report.
    #[inline]
    pub fn is_at_a_mark(&self) -> bool {
        (self.above || self.waiting() > 0) && self.queue.len() <= self.limits.low() + 1
    }

    /// Takes the oldest message, after [`Mailbox::is_at_a_mark`] has said that nothing else is to be done.
    #[inline]
    pub fn take_first(&mut self) -> Option<M> {
        self.queue.pop_front()
    }

    /// After the depth has fallen to the low mark: lets waiting senders in, pushing each to wake onto `admitted`, and
    /// says whether the mailbox has just come down from above its high mark.
    pub fn admit(&mut self, admitted: &mut Vec<S>) -> bool {
        let low = self.queue.len() <= self.limits.low();
        let came_down = self.above && low;
        if came_down {
            self.above = false;
        }
        if low && let Some(lobby) = self.lobby.as_mut() {
            while self.queue.len() < self.limits.capacity()
                && let Some(parked) = lobby.parked.pop_front()
            {
                self.queue.push_back(parked.message);
                self.received += 1;
                admitted.push(parked.sender);
            }
        }
        came_down
    }

    /// Whether the depth has reached the high mark since it was last at the low one; after [`Mailbox::admit`] it may
    /// have again.
    pub fn rises(&mut self) -> bool {
        let rises = !self.above && self.queue.len() >= self.limits.high();
        self.above |= rises;
        rises
    }

    /// Takes no more messages; what is in it can still be received. Returns the senders that waited, each with its
    /// message.
    pub fn close(&mut self) -> Vec<Parked<M, S>> {
        self.closed = true;
        let Some(lobby) = self.lobby.as_mut() else {
            return Vec::new();
        };
        let first = lobby.parked.front().map_or(lobby.next_ticket, |parked| parked.ticket);
        lobby.turned_away_from = lobby.turned_away_from.min(first);
        std::mem::take(&mut lobby.parked).into()
    }

    /// Takes out everything that was not received.
    pub fn drain(&mut self) -> VecDeque<M> {
        self.drained += self.queue.len() as u32;
        std::mem::take(&mut self.queue)
    }

    /// Gives the memory of an empty queue back, if it has grown; a few slots stay for the next messages.
    #[inline]
    pub fn shrink(&mut self) {
        const SPARE: usize = 16;
        if self.queue.is_empty() && self.queue.capacity() > SPARE {
            self.queue = VecDeque::new();
        }
    }

    /// How many messages are in it.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether it takes no more messages.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether the high mark was reached and the low one not since.
    pub fn is_above(&self) -> bool {
        self.above
    }

    /// How many senders wait.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.lobby.as_ref().map_or(0, |lobby| lobby.parked.len())
    }

    /// How many messages it has taken.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// How many its policy has dropped.
    pub fn dropped(&self) -> u64 {
        u64::from(self.dropped)
    }

    /// How many were left in it when it was drained.
    pub fn drained(&self) -> u64 {
        u64::from(self.drained)
    }

    /// Its bound and marks.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Its policy.
    pub fn overflow(&self) -> Overflow {
        self.overflow
    }

    /// The messages in it, oldest first, for a garbage collector.
    pub fn messages(&self) -> impl Iterator<Item = &M> {
        self.queue.iter()
    }

    /// The waiting senders, for a garbage collector.
    pub fn parked(&self) -> impl Iterator<Item = &Parked<M, S>> {
        self.lobby.iter().flat_map(|lobby| lobby.parked.iter())
    }
}
