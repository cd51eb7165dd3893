//! Consistent hashing on a ring (Karger et al., "Consistent hashing and random trees", 1997): each owner has many points
//! on it, and a key belongs to the owner of the first point at or after the key's hash.
//!
//! Who owns what depends on the owners and their weights alone: not on the order or the history of changes, nor on
//! anything of this process. Points are found through an index of the hashes' upper bits, where most places lie between
//! two points and name the owner at once: a lookup is one read of memory, seldom two, and no search.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Points of an owner of weight 1. Shares differ by 1 / sqrt(1024), or 3 %: the largest of a thousand is 10 % over.
pub const POINTS: u32 = 1024;

/// The hash of a key; `kind` keeps keys of different types apart.
#[inline]
pub fn hash(kind: u64, key: &[u8]) -> u64 {
    xxh3_64_with_seed(key, kind)
}

/// Where the n-th point of an owner lies.
fn point(identity: &[u8], number: u32) -> u64 {
    // Seeds that have nothing in common with the kinds of keys.
    xxh3_64_with_seed(identity, u64::from(number).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// How many points an owner of this weight has.
pub fn points_of(weight: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the caller bounds weights")]
    let points = (f64::from(POINTS) * weight).round() as u32;
    points.max(1)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    hash: u64,
    /// The place of its owner in the order of identities: of two equal points the same comes first, whatever order the
    /// owners were given in.
    rank: u32,
    owner: u32,
}

/// The ring of some owners, which are known by their numbers.
#[derive(Debug)]
pub struct Ring {
    points: Vec<Point>,
    /// For each value of the upper bits: the owner of them all, with `ALL` set; or the first point that is not before them.
    index: Vec<u32>,
    shift: u32,
    count: u32,
}

/// Set in an index entry: there is no point among these hashes, and the rest is the number of their owner.
const ALL: u32 = 1 << 31;

impl Ring {
    /// The ring of owners with these identities and weights, of which there is at least one.
    pub fn new(owners: &[(Vec<u8>, f64)]) -> Self {
        let mut by_identity: Vec<usize> = (0..owners.len()).collect();
        by_identity.sort_by(|&one, &other| owners[one].0.cmp(&owners[other].0));
        let mut points = Vec::new();
        for (rank, &owner) in by_identity.iter().enumerate() {
            let (identity, weight) = &owners[owner];
            let made = |n| Point { hash: point(identity, n), rank: rank as u32, owner: owner as u32 };
            points.extend((0..points_of(*weight)).map(made));
        }
        points.sort_unstable();
        let bits = (4 * points.len()).next_power_of_two().trailing_zeros();
        let shift = 64 - bits;
        let mut next = 0;
        let index = (0..1_u64 << bits).map(|slot| {
            let first = next;
            while next < points.len() && points[next].hash >> shift == slot {
                next += 1;
            }
            if next > first { first as u32 } else { ALL | points[first % points.len()].owner }
        });
        Self { index: index.collect(), points, shift, count: owners.len() as u32 }
    }

    /// The place of the first point at or after a hash.
    fn place(&self, hash: u64) -> usize {
        let place = self.points.partition_point(|point| point.hash < hash);
        if place == self.points.len() { 0 } else { place }
    }

    /// Whose a key with this hash is.
    #[inline]
    pub fn owner(&self, hash: u64) -> u32 {
        let entry = self.index[(hash >> self.shift) as usize];
        if entry & ALL != 0 {
            return entry & !ALL;
        }
        let mut place = entry as usize;
        while self.points.get(place).is_some_and(|point| point.hash < hash) {
            place += 1;
        }
        self.points.get(place).unwrap_or(&self.points[0]).owner
    }

    /// The owners in the order in which they would get the key, were those before them not there.
    pub fn successors(&self, hash: u64) -> impl Iterator<Item = u32> {
        let place = self.place(hash);
        let mut seen = vec![false; self.count as usize];
        let walk = self.points[place..].iter().chain(&self.points[..place]).map(|point| point.owner);
        walk.filter(move |&owner| !std::mem::replace(&mut seen[owner as usize], true)).take(self.count as usize)
    }

    /// Which part of all hashes each owner has.
    pub fn shares(&self) -> Vec<f64> {
        let mut shares = vec![0.0; self.count as usize];
        let mut before = self.points.last().map_or(0, |last| last.hash);
        for &Point { hash, owner, .. } in &self.points {
            #[expect(clippy::cast_precision_loss, reason = "a share is told to a few digits")]
            let arc = hash.wrapping_sub(before) as f64 / 2f64.powi(64);
            shares[owner as usize] += arc;
            before = hash;
        }
        if self.points.len() == 1 {
            shares[self.points[0].owner as usize] = 1.0;
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(names: &[&str]) -> Vec<(Vec<u8>, f64)> {
        names.iter().map(|name| (name.as_bytes().to_vec(), 1.0)).collect()
    }

    #[test]
    fn a_key_belongs_to_the_first_point_at_or_after_it() {
        let ring = Ring::new(&owners(&["a", "b", "c"]));
        for number in 0..10_000_u64 {
            let hash = hash(0, &number.to_le_bytes());
            let found = ring.points.iter().find(|point| point.hash >= hash).unwrap_or(&ring.points[0]);
            assert_eq!(ring.owner(hash), found.owner);
            assert_eq!(ring.successors(hash).next(), Some(found.owner));
        }
        assert_eq!(ring.owner(u64::MAX), ring.owner(0));
        assert!((ring.shares().iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_order_of_owners_means_nothing() {
        let (one, other) = (Ring::new(&owners(&["a", "b", "c"])), Ring::new(&owners(&["c", "a", "b"])));
        for number in 0..10_000_u64 {
            let hash = hash(0, &number.to_le_bytes());
            assert_eq!(["a", "b", "c"][one.owner(hash) as usize], ["c", "a", "b"][other.owner(hash) as usize]);
        }
    }

    #[test]
    fn successors_are_all_the_owners() {
        let ring = Ring::new(&owners(&["a", "b", "c", "d"]));
        let mut found: Vec<u32> = ring.successors(12345).collect();
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2, 3]);
    }
}
