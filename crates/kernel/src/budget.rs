//! How long an agent may keep the processor in one run: a number of messages, or a time, whichever ends first.
//!
//! The clock is not read for each message. It is read after the 1st, 2nd, 4th, 8th ... message, so that a run of 100
//! quick messages costs seven readings, and a slow agent overshoots its time at most by as much as it has used.

use std::time::{Duration, Instant};

/// What one run may use.
pub const MESSAGES: u32 = 100;
/// The time that one run may use.
pub const TIME: Duration = Duration::from_micros(200);

/// The account of one run.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// None: time doesn't count.
    started: Option<Instant>,
    used: u32,
    next_look: u32,
}

impl Budget {
    /// A fresh budget for a run that starts now.
    pub fn starting(now: Instant) -> Self {
        Self { started: Some(now), used: 0, next_look: 1 }
    }

    /// A budget of just so many messages, however long they take.
    pub fn of_messages(messages: u32) -> Self {
        Self { started: None, used: 0, next_look: messages }
    }

    /// Pays for one message without a look at the clock. False: a look is due, [`Budget::pay`] decides.
    #[inline]
    #[must_use]
    pub fn pay_unseen(&mut self) -> bool {
        let pays = self.used < self.next_look;
        self.used += u32::from(pays);
        pays
    }

    /// Pays for one message. False: the run is over, and the message must wait for the next.
    #[must_use]
    pub fn pay(&mut self) -> bool {
        if self.pay_unseen() {
            return true;
        }
        if self.used >= MESSAGES || self.started.is_none_or(|started| started.elapsed() >= TIME) {
            return false;
        }
        self.next_look = (self.next_look * 2).min(MESSAGES);
        self.used += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_run_ends_after_its_messages() {
        // A start in the future never runs out of time.
        let mut budget = Budget::starting(Instant::now() + Duration::from_secs(3600));
        let paid = (0..MESSAGES * 2).take_while(|_| budget.pay()).count();
        assert_eq!(paid, MESSAGES as usize);
        assert!(!budget.pay());
    }

    #[test]
    fn a_budget_of_messages_has_no_clock() {
        let mut budget = Budget::of_messages(3);
        assert_eq!((0..10).filter(|_| budget.pay()).count(), 3);
    }

    #[test]
    fn a_slow_run_ends_at_the_first_look_after_its_time() {
        let Some(started) = Instant::now().checked_sub(TIME) else {
            return;
        };
        let mut budget = Budget::starting(started);
        assert!(budget.pay(), "a run always gets one message");
        assert!(!budget.pay());
    }
}
