//! Counters, each declared once: its field, its name in JSON, what it means, what tables call it, and how it adds up.
//!
//! A new counter is one entry of a [`crate::counters!`] block and the line that counts it. JSON, tables and sums follow.

use std::ops::{Deref, DerefMut};

/// One counter, for those who print it.
#[derive(Debug)]
pub struct Counter {
    /// The field, and the name in JSON.
    pub name: &'static str,
    /// What it means: the field's documentation.
    pub help: &'static str,
    /// What is printed of it.
    pub told: Printed,
}

/// What is printed of a counter.
#[derive(Clone, Copy, Debug)]
pub enum Printed {
    /// Only JSON has it.
    JsonOnly,
    /// A column of the tables, with this head.
    Column(&'static str),
    /// A sentence after the number, where that is not 0: for 1, and for more.
    Sentence(&'static str, &'static str),
    /// One count for each word of a closed set: names in JSON of the sum and of the object, the column's head, a word by its number.
    By {
        /// The sum of all.
        total: &'static str,
        /// The object, word to count.
        each: &'static str,
        /// The head of the sum's column; empty: it has none.
        column: &'static str,
        /// A word of the set.
        word: fn(usize) -> &'static str,
    },
}

/// [`Printed::JsonOnly`].
pub const JSON_ONLY: Printed = Printed::JsonOnly;

/// [`Printed::Column`].
pub const fn column(head: &'static str) -> Printed {
    Printed::Column(head)
}

/// [`Printed::Sentence`].
pub const fn sentence(one: &'static str, several: &'static str) -> Printed {
    Printed::Sentence(one, several)
}

/// The value of a counter.
pub trait Cell {
    /// Nothing was counted.
    const ZERO: Self;
    /// Adds another's.
    fn add(&mut self, other: &Self);
    /// The counts, one or one for each word.
    fn counts(&self) -> &[u64];
}

impl Cell for u64 {
    const ZERO: Self = 0;

    fn add(&mut self, other: &Self) {
        *self += other;
    }

    fn counts(&self) -> &[u64] {
        std::slice::from_ref(self)
    }
}

impl<const N: usize> Cell for [u64; N] {
    const ZERO: Self = [0; N];

    fn add(&mut self, other: &Self) {
        self.iter_mut().zip(other).for_each(|(sum, one)| *sum += one);
    }

    fn counts(&self) -> &[u64] {
        self
    }
}

/// One count for each word of a set of which most never count any: no memory before the first.
#[derive(Clone, Debug, Default)]
pub struct Seldom<const N: usize>(Option<Box<[u64; N]>>);

impl<const N: usize> Seldom<N> {
    const NONE: &'static [u64; N] = &[0; N];
}

impl<const N: usize> From<[u64; N]> for Seldom<N> {
    fn from(counts: [u64; N]) -> Self {
        Self(Some(Box::new(counts)))
    }
}

impl<const N: usize> Deref for Seldom<N> {
    type Target = [u64; N];

    fn deref(&self) -> &[u64; N] {
        self.0.as_deref().unwrap_or(Self::NONE)
    }
}

impl<const N: usize> DerefMut for Seldom<N> {
    fn deref_mut(&mut self) -> &mut [u64; N] {
        self.0.get_or_insert_with(|| Box::new([0; N]))
    }
}

impl<const N: usize> PartialEq<[u64; N]> for Seldom<N> {
    fn eq(&self, other: &[u64; N]) -> bool {
        **self == *other
    }
}

impl<const N: usize> PartialEq for Seldom<N> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<const N: usize> Cell for Seldom<N> {
    const ZERO: Self = Self(None);

    fn add(&mut self, other: &Self) {
        if let Some(other) = &other.0 {
            self.iter_mut().zip(other.iter()).for_each(|(sum, one)| *sum += one);
        }
    }

    fn counts(&self) -> &[u64] {
        &**self
    }
}

/// A set of counters.
pub trait Counted {
    /// Gives every counter with its counts, in the order of the declaration.
    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'static Counter, &'a [u64]));

    /// The sum of one counter, by its field's name; 0 for a name that none has.
    fn total(&self, name: &str) -> u64 {
        let mut total = 0;
        self.each(&mut |counter, counts| {
            if counter.name == name {
                total = counts.iter().sum();
            }
        });
        total
    }
}

/// Declares a set of counters. In the second form what few requests count is in a struct of its own, behind a `Box` that the first of
/// them makes: with thousands of FSUs every cache line is a miss, and most of them never count any.
///
/// ```
/// use fsu_plan::counters::{Counted, JSON_ONLY, sentence};
/// fsu_plan::counters! {
///     /// Counters of a door.
///     pub struct Door {
///         /// Times that it was opened.
///         opened: u64 = JSON_ONLY,
///         /// Times that it jammed.
///         jammed: u64 = sentence("time it jammed", "times it jammed"),
///     }
/// }
/// let (mut all, one) = (Door::default(), Door { opened: 2, jammed: 1 });
/// all.add(&one);
/// all.add(&one);
/// assert_eq!((all.opened, all.total("jammed")), (4, 2));
/// ```
#[macro_export]
macro_rules! counters {
    (
        $(#[$meta:meta])*
        pub struct $Name:ident { $($(#[doc = $doc:literal])+ $field:ident: $ty:ty = $told:expr,)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $Name { $($(#[doc = $doc])+ pub $field: $ty,)* }

        impl Default for $Name {
            fn default() -> Self {
                Self { $($field: $crate::counters::Cell::ZERO,)* }
            }
        }

        impl $Name {
            /// Adds another's.
            pub fn add(&mut self, other: &Self) {
                $($crate::counters::Cell::add(&mut self.$field, &other.$field);)*
            }
        }

        impl $crate::counters::Counted for $Name {
            fn each<'a>(&'a self, visit: &mut dyn FnMut(&'static $crate::counters::Counter, &'a [u64])) {
                $({
                    static COUNTER: $crate::counters::Counter = $crate::counters::Counter {
                        name: stringify!($field),
                        help: concat!($($doc),+),
                        told: $told,
                    };
                    visit(&COUNTER, $crate::counters::Cell::counts(&self.$field));
                })*
            }
        }
    };
    (
        $(#[$meta:meta])*
        pub struct $Name:ident { $($(#[doc = $doc:literal])+ $field:ident: u64 = $told:expr,)* }
        $(#[$rare_meta:meta])*
        rare struct $Rare:ident { $($rare:tt)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        #[repr(C)]
        pub struct $Name {
            $($(#[doc = $doc])+ pub $field: u64,)*
            /// All others; no memory before one of them counts.
            pub rare: Option<Box<$Rare>>,
        }

        $crate::counters! { $(#[$rare_meta])* pub struct $Rare { $($rare)* } }

        impl $Name {
            /// Adds another's.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
                if let Some(rare) = &other.rare {
                    self.rare.get_or_insert_default().add(rare);
                }
            }
        }

        impl $crate::counters::Counted for $Name {
            fn each<'a>(&'a self, visit: &mut dyn FnMut(&'static $crate::counters::Counter, &'a [u64])) {
                $({
                    static COUNTER: $crate::counters::Counter = $crate::counters::Counter {
                        name: stringify!($field),
                        help: concat!($($doc),+),
                        told: $told,
                    };
                    visit(&COUNTER, $crate::counters::Cell::counts(&self.$field));
                })*
                std::ops::Deref::deref(self).each(visit);
            }
        }

        impl std::ops::Deref for $Name {
            type Target = $Rare;

            #[inline]
            fn deref(&self) -> &$Rare {
                static NONE: std::sync::LazyLock<$Rare> = std::sync::LazyLock::new($Rare::default);
                match &self.rare {
                    Some(rare) => rare,
                    None => &NONE,
                }
            }
        }

        impl std::ops::DerefMut for $Name {
            #[inline]
            fn deref_mut(&mut self) -> &mut $Rare {
                self.rare.get_or_insert_default()
            }
        }
    };
}
