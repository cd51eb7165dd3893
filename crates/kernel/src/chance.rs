//! Choices that are left to chance. In a run that is to be repeatable a seed makes them: wherever the scheduler could do
//! one thing or another, it says.

/// A source of choices that gives the same ones for the same seed.
#[derive(Debug)]
pub struct Chance(fastrand::Rng);

impl Chance {
    /// The choices of this seed.
    pub fn of_seed(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Choices that nobody can repeat.
    pub fn unseeded() -> Self {
        Self(fastrand::Rng::new())
    }

    /// A number from 1 up to and including `most`, which is not 0.
    pub fn up_to(&mut self, most: u32) -> u32 {
        self.0.u32(1..=most)
    }

    /// The place of one of `count` things, of which there is at least one.
    pub fn place(&mut self, count: usize) -> usize {
        self.0.usize(0..count)
    }

    /// Puts things into any order, each as likely as the others.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        self.0.shuffle(things);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_choices() {
        let choices = |seed| {
            let mut chance = Chance::of_seed(seed);
            (0..100).map(|_| (chance.up_to(100), chance.place(7))).collect::<Vec<_>>()
        };
        assert_eq!(choices(1), choices(1));
        assert_ne!(choices(1), choices(2));
        let order = |mut chance: Chance| {
            let mut things: Vec<_> = (0..20).collect();
            chance.shuffle(&mut things);
            things
        };
        assert_eq!(order(Chance::of_seed(1)), order(Chance::of_seed(1)));
        assert_ne!(order(Chance::unseeded()), order(Chance::unseeded()));
        assert!(choices(3).iter().all(|&(number, place)| (1..=100).contains(&number) && place < 7));
    }
}
