//! A mailbox's bound and its two marks.
//!
//! Hysteresis: a mailbox is *above* from when it holds `high` messages until it holds no more than `low`. Senders that
//! found no room below `capacity` wait until the depth has fallen to `low`, so that they wake in batches and not one
//! for each message.

use std::fmt;

/// The bound of a mailbox and its marks, `low < high <= capacity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    capacity: u32,
    high: u32,
    low: u32,
}

/// Why limits were refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitsError {
    /// The capacity is not between 1 and `u32::MAX`.
    Capacity(i64),
    /// The high mark is not between 1 and the capacity.
    High { high: i64, capacity: u32 },
    /// The low mark is not between 0 and the high mark, exclusive.
    Low { low: i64, high: u32 },
}

impl fmt::Display for LimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capacity(came) => write!(f, "expected mailbox >= 1 (messages) and < 2**32, got mailbox={came}"),
            Self::High { high, capacity } => {
                write!(f, "expected 1 <= high <= mailbox, got high={high} with mailbox={capacity}")
            }
            Self::Low { low, high } => write!(f, "expected 0 <= low < high, got low={low} with high={high}"),
        }
    }
}

impl Limits {
    /// The limits of a mailbox for which nothing else was asked.
    pub const DEFAULT: Self = Self { capacity: 1000, high: 1000, low: 500 };

    /// Checks the three numbers; the high mark is the capacity and the low one half of it, where not given.
    pub fn new(capacity: i64, high: Option<i64>, low: Option<i64>) -> Result<Self, LimitsError> {
        let bound = match u32::try_from(capacity) {
            Ok(bound) if bound > 0 => bound,
            _ => return Err(LimitsError::Capacity(capacity)),
        };
        let upper = match high {
            None => bound,
            Some(given) => match u32::try_from(given) {
                Ok(mark) if (1..=bound).contains(&mark) => mark,
                _ => {
                    return Err(LimitsError::High { high: given, capacity: bound });
                }
            },
        };
        let lower = match low {
            None => (bound / 2).min(upper - 1),
            Some(given) => match u32::try_from(given) {
                Ok(mark) if mark < upper => mark,
                _ => {
                    return Err(LimitsError::Low { low: given, high: upper });
                }
            },
        };
        Ok(Self { capacity: bound, high: upper, low: lower })
    }

    /// How many messages the mailbox holds at most, exempt ones aside.
    pub fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// The depth at which the mailbox counts as above.
    pub fn high(&self) -> usize {
        self.high as usize
    }

    /// The depth at which it no longer does, and waiting senders go on.
    pub fn low(&self) -> usize {
        self.low as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_follows_the_capacity() {
        assert_eq!(Limits::new(1000, None, None), Ok(Limits::DEFAULT));
        let one = Limits::new(1, None, None).unwrap();
        assert_eq!((one.capacity(), one.high(), one.low()), (1, 1, 0));
        let low_high = Limits::new(10, Some(3), None).unwrap();
        assert_eq!((low_high.high(), low_high.low()), (3, 2));
    }

    #[test]
    fn limits_out_of_order_are_refused_by_name() {
        assert_eq!(Limits::new(-1, None, None), Err(LimitsError::Capacity(-1)));
        assert_eq!(Limits::new(0, None, None), Err(LimitsError::Capacity(0)));
        assert_eq!(Limits::new(5, Some(6), None), Err(LimitsError::High { high: 6, capacity: 5 }));
        assert_eq!(Limits::new(5, Some(2), Some(2)), Err(LimitsError::Low { low: 2, high: 2 }));
        assert!(LimitsError::Capacity(-1).to_string().contains("mailbox=-1"));
    }
}
