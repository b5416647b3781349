//! The objects: a key and eight fields of mixed types, the same in every run.

use crate::data::Random;
use crate::sum::Sum;
use serde::{Deserialize, Serialize};

/// The fields of an object but for its key, as they are read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fields<'a> {
    /// About ten objects share one; indexed where there are indexes.
    pub name: &'a str,
    /// One of a hundred.
    pub city: &'a str,
    /// From 0 to 99.
    pub age: i64,
    /// The property that is updated and summed.
    pub points: i64,
    /// From 0 to 1.
    pub score: f64,
    /// True for one half.
    pub active: bool,
    /// Seconds since 1970.
    pub joined: i64,
    /// Incompressible bytes.
    pub token: &'a [u8],
}

/// An object to write.
#[derive(Clone, Debug)]
pub struct Item {
    /// The key, a random number.
    pub id: i64,
    name: String,
    city: String,
    age: i64,
    points: i64,
    score: f64,
    active: bool,
    joined: i64,
    token: [u8; 16],
}

/// Objects that are active and at least this old.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The least age.
    pub age: i64,
}

/// An update of one field.
#[derive(Clone, Copy, Debug)]
pub struct Points {
    /// Which object.
    pub id: i64,
    /// The new points.
    pub points: i64,
}

impl Item {
    /// Returns the fields.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        let Self { name, city, token, .. } = self;
        let Self { age, points, score, active, joined, .. } = *self;
        Fields { name, city, age, points, score, active, joined, token }
    }
}

impl Ask {
    /// Tells whether an object is one of those.
    #[must_use]
    pub const fn is_met_by(self, fields: &Fields<'_>) -> bool {
        fields.active && fields.age >= self.age
    }
}

impl Sum {
    /// Takes the fields of an object in, all of them.
    pub fn add_fields(&mut self, fields: &Fields<'_>) {
        let Fields { name, city, age, points, score, active, joined, token } = *fields;
        let numbers = [age.cast_unsigned(), points.cast_unsigned(), joined.cast_unsigned()];
        let numbers = numbers.into_iter().chain([score.to_bits(), u64::from(active)]);
        let mixed = numbers.fold(0_u64, |sum, number| sum.rotate_left(7) ^ number);
        self.bytes = self.bytes.wrapping_add(mixed);
        self.add(name.as_bytes());
        self.add(city.as_bytes());
        self.add(token);
        self.rows -= 2;
    }

    /// Takes a number in that was added up over objects.
    pub const fn add_points(&mut self, points: i64) {
        self.rows += 1;
        self.bytes = self.bytes.wrapping_add(points.cast_unsigned());
    }
}

/// The objects of a round, and what is asked about them.
#[derive(Debug)]
pub(crate) struct Items {
    pub(crate) all: Vec<Item>,
    seed: u64,
}

fn number(random: &mut Random, bound: usize) -> i64 {
    i64::try_from(random.below(bound)).unwrap_or(0)
}

fn name(number: usize) -> String {
    format!("name of {number:08}")
}

impl Items {
    /// Makes the objects of a round.
    #[must_use]
    pub(crate) fn new(count: usize, round: u64) -> Self {
        let seed = 0x0b1e_c750_0000_0000 + (round << 8);
        let mut random = Random::new(seed);
        let names = (count / 10).max(1);
        let mut item = || Item {
            id: (random.next() >> 2).cast_signed(),
            name: name(random.below(names)),
            city: format!("city {:02} of a hundred", random.below(100)),
            age: number(&mut random, 100),
            points: number(&mut random, 1_000_000),
            score: random.below(1_000_000) as f64 / 1e6,
            active: random.below(2) == 0,
            joined: 1_600_000_000 + number(&mut random, 200_000_000),
            token: random.bytes(),
        };
        Self { all: (0..count).map(|_| item()).collect(), seed }
    }

    fn random(&self, purpose: u64) -> Random {
        Random::new(Random::new(self.seed + purpose).next())
    }

    /// Returns every key once, in random order.
    #[must_use]
    pub(crate) fn keys(&self) -> Vec<i64> {
        let mut keys: Vec<_> = self.all.iter().map(|item| item.id).collect();
        self.random(1).shuffle(&mut keys);
        keys
    }

    /// Returns updates of random objects.
    #[must_use]
    pub(crate) fn updates(&self, count: usize) -> Vec<Points> {
        let mut random = self.random(2);
        let mut update = || Points {
            id: self.all[random.below(self.all.len())].id,
            points: number(&mut random, 1_000_000),
        };
        (0..count).map(|_| update()).collect()
    }

    /// Returns names to look up.
    #[must_use]
    pub(crate) fn names(&self, count: usize) -> Vec<String> {
        let mut random = self.random(3);
        let mut one = || self.all[random.below(self.all.len())].name.clone();
        (0..count).map(|_| one()).collect()
    }
}
