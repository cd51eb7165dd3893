//! How urgent a task is, and in which order levels are served.
//!
//! Control comes first, always: it is the runtime's own. Of the others the higher comes first, but not for ever: every 8th
//! poll of a processor begins with Normal, and every 64th with Low. Therefore, whatever floods the levels above, a normal
//! task that is the first of its level is run within 8 polls, and a low one within 64.

/// How urgent a task is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    Low,
    #[default]
    Normal,
    High,
    /// The runtime's own: what it cancels and kills.
    Control,
}

/// How often Normal goes before High.
pub const NORMAL_FIRST: u32 = 8;
/// How often Low goes before all others but Control.
pub const LOW_FIRST: u32 = 64;

impl Level {
    /// How many there are.
    pub const COUNT: usize = 4;

    /// The level of this number, the lowest being 0.
    #[inline]
    pub fn from_u8(number: u8) -> Self {
        match number {
            0 => Self::Low,
            1 => Self::Normal,
            2 => Self::High,
            _ => Self::Control,
        }
    }

    /// In which order the levels below Control are served in a poll.
    pub(crate) fn order(tick: u32) -> [Self; 3] {
        if tick.is_multiple_of(LOW_FIRST) {
            [Self::Low, Self::High, Self::Normal]
        } else if tick.is_multiple_of(NORMAL_FIRST) {
            [Self::Normal, Self::High, Self::Low]
        } else {
            [Self::High, Self::Normal, Self::Low]
        }
    }
}
