//! Which datagrams of a batch travel together: those to one peer from one address with one length, of which the last
//! may be shorter. The kernel, or the network card, divides such a train into its datagrams again (UDP_SEGMENT of
//! udp(7)).
//!
//! Nothing here depends on the system: it computes with ranges of octets. Datagrams of one peer keep their order;
//! those of different peers may change theirs.

use std::ops::Range;

/// Most segments of one train. Linux allows 64, and 128 since its commit 1382e3b6a350 (2024).
pub const MAX_SEGMENTS: usize = 64;

/// Most octets of one train: a UDP datagram over IPv4 has no more (RFC 791: 65,535 with a header of 20, and 8 of UDP).
pub const MAX_OCTETS: usize = 65_507;

/// The longest segment, in octets: it fits every link that IPv6 may use (RFC 8200 section 5: 1280, less 40 and 8 octets
/// of headers). Longer datagrams might have to be fragmented, and segments are not.
pub const MAX_SEGMENT: usize = 1232;

/// What datagrams of one train have in common, besides their length.
pub trait Key: Copy + PartialEq {
    /// A number that usually differs between keys.
    fn bucket(&self) -> usize;
}

/// The datagrams of a batch, in trains. Memory is allocated once.
#[derive(Debug)]
pub struct Trains<K> {
    capacity: usize,
    join: bool,
    datagrams: Vec<Placed>,
    trains: Vec<Train<K>>,
    /// The latest trains of two keys in each bucket, the later one first. Where three keys share a bucket, some datagrams
    /// travel alone that need not.
    recent: [[u16; 2]; BUCKETS],
}

/// One train; many have one datagram only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Train<K> {
    /// Where it goes to, and from where.
    pub key: K,
    /// The length of each of its datagrams but the last, in octets.
    pub segment: usize,
    /// How many datagrams it has.
    pub count: usize,
    octets: usize,
    first: u16,
    last: u16,
    /// Whether another datagram may join.
    open: bool,
}

/// A datagram: where its octets are, and which one comes next in its train.
#[derive(Clone, Copy, Debug)]
struct Placed {
    start: u32,
    length: u32,
    next: u16,
}

const BUCKETS: usize = 64;

/// No datagram, or no train.
const NONE: u16 = u16::MAX;

/// Most datagrams of a batch.
pub const MAX_CAPACITY: usize = 4096;

impl<K: Key> Trains<K> {
    /// Room for `capacity` datagrams. Without `join` each travels alone.
    ///
    /// # Panics
    /// If `capacity` is 0 or over [`MAX_CAPACITY`].
    pub fn new(capacity: usize, join: bool) -> Self {
        assert!((1..=MAX_CAPACITY).contains(&capacity), "a batch of {capacity} datagrams");
        let (datagrams, trains) = (Vec::with_capacity(capacity), Vec::with_capacity(capacity));
        Self { capacity, join, datagrams, trains, recent: [[NONE; 2]; BUCKETS] }
    }

    /// Whether there is no room left.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.datagrams.len() == self.capacity
    }

    /// How many datagrams there are.
    #[inline]
    pub fn datagrams(&self) -> usize {
        self.datagrams.len()
    }

    /// All trains, in the order of their first datagrams.
    #[inline]
    pub fn all(&self) -> &[Train<K>] {
        &self.trains
    }

    /// Whether datagrams are joined.
    pub fn joins(&self) -> bool {
        self.join
    }

    /// Lets each datagram travel alone from now on.
    pub fn stop_joining(&mut self) {
        self.join = false;
    }

    /// Adds a datagram of `length` octets that begin at `start`.
    ///
    /// # Panics
    /// If there is no room.
    #[inline]
    pub fn append(&mut self, key: K, start: usize, length: usize) {
        assert!(!self.is_full());
        let number = self.datagrams.len() as u16;
        self.datagrams.push(Placed { start: start as u32, length: length as u32, next: NONE });
        let [later, earlier] = &mut self.recent[key.bucket() % BUCKETS];
        let is_of_key = |train: u16| self.trains.get(usize::from(train)).is_some_and(|train| train.key == key);
        if !is_of_key(*later) {
            std::mem::swap(later, earlier);
        }
        // Only the latest train of a key, so that its datagrams keep their order.
        if let Some(train) = self.trains.get_mut(usize::from(*later))
            && train.has_room_for(&key, length)
        {
            self.datagrams[usize::from(train.last)].next = number;
            train.last = number;
            train.count += 1;
            train.octets += length;
            train.open = length == train.segment;
            return;
        }
        if self.join {
            *later = self.trains.len() as u16;
        }
        let open = self.join && (1..=MAX_SEGMENT).contains(&length);
        self.trains.push(Train { key, segment: length, count: 1, octets: length, first: number, last: number, open });
    }

    /// Where the octets of each datagram of a train are.
    pub fn ranges(&self, train: &Train<K>) -> impl Iterator<Item = Range<usize>> {
        let mut next = train.first;
        std::iter::from_fn(move || {
            let placed = self.datagrams.get(usize::from(next))?;
            next = placed.next;
            Some(placed.start as usize..(placed.start + placed.length) as usize)
        })
    }

    /// Where the octets of a train are: datagrams that are next to each other in memory make one piece.
    #[inline]
    pub fn pieces(&self, train: &Train<K>) -> impl Iterator<Item = Range<usize>> {
        let mut ranges = self.ranges(train).peekable();
        std::iter::from_fn(move || {
            let mut piece = ranges.next()?;
            while let Some(range) = ranges.next_if(|range| range.start == piece.end) {
                piece.end = range.end;
            }
            Some(piece)
        })
    }

    /// Removes all datagrams.
    #[inline]
    pub fn clear(&mut self) {
        self.datagrams.clear();
        self.trains.clear();
        if self.join {
            self.recent = [[NONE; 2]; BUCKETS];
        }
    }
}

impl<K: Key> Train<K> {
    #[inline]
    fn has_room_for(&self, key: &K, length: usize) -> bool {
        self.open
            && (1..=self.segment).contains(&length)
            && self.count < MAX_SEGMENTS
            && self.octets + length <= MAX_OCTETS
            && self.key == *key
    }
}

/// The datagrams of a received train of `total` octets, divided every `segment`: the offset and length of each. A
/// single datagram has a `segment` of 0. A datagram without octets is one datagram.
#[derive(Clone, Copy, Debug)]
pub struct SegmentBounds {
    at: usize,
    total: usize,
    segment: usize,
    /// Datagrams left.
    left: usize,
}

impl SegmentBounds {
    /// See [`SegmentBounds`].
    #[inline]
    pub fn new(total: usize, segment: usize) -> Self {
        Self { at: 0, total, segment: if segment == 0 { total } else { segment }, left: count(total, segment) }
    }
}

impl Iterator for SegmentBounds {
    type Item = (usize, usize);

    #[inline]
    fn next(&mut self) -> Option<(usize, usize)> {
        self.left = self.left.checked_sub(1)?;
        let (at, length) = (self.at, self.segment.min(self.total - self.at));
        self.at += length;
        Some((at, length))
    }
}

/// How many datagrams a message of `total` octets holds if it is divided every `segment` octets; `segment` is 0 if it
/// is a single datagram.
#[inline]
pub fn count(total: usize, segment: usize) -> usize {
    if segment == 0 || total <= segment { 1 } else { total.div_ceil(segment) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Key for u8 {
        fn bucket(&self) -> usize {
            // Collisions, so that they are tried.
            usize::from(*self / 3)
        }
    }

    /// Lengths that meet the limits, in runs, as replies come.
    fn datagrams() -> impl Strategy<Value = Vec<(u8, usize)>> {
        let length = prop_oneof![3 => Just(5), 1 => Just(0), 2 => 1..9_usize, 2 => Just(1232), 1 => 1200..1300_usize];
        let run = (0..6_u8, length, prop_oneof![Just(1), Just(64), Just(65), Just(129), 1..9_usize]);
        prop::collection::vec(run, 0..20).prop_map(|runs| {
            runs.into_iter().flat_map(|(key, length, count)| std::iter::repeat_n((key, length), count)).collect()
        })
    }

    fn trains(datagrams: &[(u8, usize)], join: bool) -> Trains<u8> {
        let mut trains = Trains::new(MAX_CAPACITY, join);
        // Leftovers of another round change nothing.
        trains.append(3, 0, 5);
        trains.clear();
        let mut start = 0;
        for &(key, length) in datagrams {
            trains.append(key, start, length);
            start += length;
        }
        trains
    }

    proptest! {
        #[test]
        fn every_datagram_travels_once_and_in_the_order_of_its_peer(datagrams in datagrams(), join: bool) {
            let trains = trains(&datagrams, join);
            prop_assert_eq!(trains.datagrams(), datagrams.len());
            let mut start = 0;
            let mut expected: Vec<Vec<Range<usize>>> = vec![Vec::new(); 6];
            for (key, length) in &datagrams {
                expected[usize::from(*key)].push(start..start + length);
                start += length;
            }
            let mut found: Vec<Vec<Range<usize>>> = vec![Vec::new(); 6];
            for train in trains.all() {
                found[usize::from(train.key)].extend(trains.ranges(train));
            }
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn trains_keep_the_limits_of_the_kernel(datagrams in datagrams(), join: bool) {
            let trains = trains(&datagrams, join);
            for train in trains.all() {
                let lengths: Vec<usize> = trains.ranges(train).map(|range| range.len()).collect();
                prop_assert_eq!(lengths.len(), train.count);
                prop_assert_eq!(lengths[0], train.segment);
                if train.count > 1 {
                    prop_assert!(join && train.count <= MAX_SEGMENTS && train.segment <= MAX_SEGMENT);
                    prop_assert!(lengths.iter().sum::<usize>() <= MAX_OCTETS);
                    let (last, others) = lengths.split_last().unwrap();
                    prop_assert!(others.iter().all(|length| *length == train.segment));
                    prop_assert!((1..=train.segment).contains(last));
                }
                let pieces: Vec<Range<usize>> = trains.pieces(train).collect();
                prop_assert!(pieces.windows(2).all(|pair| pair[0].end != pair[1].start));
                prop_assert_eq!(pieces.into_iter().flatten().count(), lengths.iter().sum::<usize>());
            }
        }

        #[test]
        fn replies_of_one_length_to_one_peer_are_all_joined(count in 1..200_usize, length in 1..=MAX_SEGMENT) {
            let trains = trains(&vec![(1, length); count], true);
            let most = MAX_SEGMENTS.min(MAX_OCTETS / length);
            prop_assert_eq!(trains.all().len(), count.div_ceil(most));
            prop_assert!(trains.all().iter().all(|train| trains.pieces(train).count() == 1));
        }

        #[test]
        fn what_is_joined_is_cut_again(lengths in 1..200_usize, segment in 1..1300_usize, last in 1..1300_usize) {
            let total = (lengths - 1) * segment + last.min(segment);
            let bounds: Vec<(usize, usize)> = SegmentBounds::new(total, segment).collect();
            prop_assert_eq!(bounds.len(), lengths);
            prop_assert_eq!(count(total, segment), lengths);
            let mut end = 0;
            for (at, length) in bounds {
                prop_assert!(at == end && length > 0 && length <= segment);
                end = at + length;
            }
            prop_assert_eq!(end, total);
        }
    }

    #[test]
    fn peers_that_take_turns_have_a_train_each() {
        // Also two of one bucket.
        for keys in [[0, 3, 6], [0, 1, 3]] {
            let turns: Vec<(u8, usize)> = (0..60).map(|turn| (keys[turn % 3], 5)).collect();
            let trains = trains(&turns, true);
            assert_eq!(trains.all().iter().map(|train| train.count).collect::<Vec<_>>(), [20; 3]);
            assert_eq!(trains.pieces(&trains.all()[0]).count(), 20);
        }
    }

    #[test]
    fn a_shorter_one_is_the_last_of_its_train() {
        let trains = trains(&[(1, 5), (1, 5), (1, 3), (1, 3), (1, 5), (1, 0), (1, 5)], true);
        assert_eq!(
            trains.all().iter().map(|train| (train.segment, train.count)).collect::<Vec<_>>(),
            [(5, 3), (3, 1), (5, 1), (0, 1), (5, 1)]
        );
    }

    #[test]
    fn what_is_no_train_is_one_datagram() {
        assert_eq!(SegmentBounds::new(0, 0).collect::<Vec<_>>(), [(0, 0)]);
        assert_eq!(SegmentBounds::new(0, 5).collect::<Vec<_>>(), [(0, 0)]);
        assert_eq!(SegmentBounds::new(70_000, 0).collect::<Vec<_>>(), [(0, 70_000)]);
        assert_eq!(SegmentBounds::new(7, 5).collect::<Vec<_>>(), [(0, 5), (5, 2)]);
    }
}
