//! Which arguments of a command are keys.

/// Which arguments are keys; positions count from the first argument after the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys<'a> {
    /// None.
    None,
    /// `count` keys, `step` arguments apart.
    Range {
        /// Position of the first key.
        first: usize,
        /// Distance between keys.
        step: usize,
        /// How many.
        count: usize,
    },
    /// One key, and as many as [`Keys::Range`] would be: a destination and its sources.
    OneAndRange {
        /// Position of the key that stands alone.
        one: usize,
        /// Position of the first of the others.
        first: usize,
        /// Distance between the others.
        step: usize,
        /// How many others.
        count: usize,
    },
    /// These positions.
    Marked(&'a [u32]),
    /// None, but the command is about this slot, and belongs to the node that serves it.
    InSlot(u16),
}

impl Keys<'_> {
    /// One key, the first argument.
    pub const FIRST: Keys<'static> = Keys::Range { first: 0, step: 1, count: 1 };

    /// Every one of `count` arguments is a key.
    pub const fn all(count: usize) -> Keys<'static> {
        Keys::Range { first: 0, step: 1, count }
    }

    /// The keys' positions among `args` arguments, in the order of this description.
    pub(crate) fn positions(&self, args: usize) -> impl Iterator<Item = usize> + '_ {
        let (one, first, step, count, marked) = match *self {
            Keys::None | Keys::InSlot(_) => (None, 0, 1, 0, [].as_slice()),
            Keys::Range { first, step, count } => (None, first, step, count, [].as_slice()),
            Keys::OneAndRange { one, first, step, count } => (Some(one), first, step, count, [].as_slice()),
            Keys::Marked(marked) => (None, 0, 1, 0, marked),
        };
        // A description is the caller's: it may promise more than there is.
        let range = (0..count.min(args)).map(move |n| first.saturating_add(n.saturating_mul(step)));
        let marked = marked.iter().map(|&at| at as usize);
        one.into_iter().chain(range).chain(marked).filter(move |&at| at < args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(keys: Keys<'_>, args: usize) -> Vec<usize> {
        keys.positions(args).collect()
    }

    #[test]
    fn descriptions_name_positions() {
        assert_eq!(positions(Keys::None, 3), []);
        assert_eq!(positions(Keys::InSlot(5), 3), []);
        assert_eq!(positions(Keys::FIRST, 3), [0]);
        assert_eq!(positions(Keys::all(3), 3), [0, 1, 2]);
        assert_eq!(positions(Keys::Range { first: 1, step: 2, count: 2 }, 4), [1, 3]);
        assert_eq!(positions(Keys::OneAndRange { one: 0, first: 2, step: 1, count: 2 }, 5), [0, 2, 3]);
        assert_eq!(positions(Keys::Marked(&[4, 1]), 5), [4, 1]);
    }

    #[test]
    fn positions_beyond_the_arguments_are_left_out() {
        assert_eq!(positions(Keys::FIRST, 0), []);
        assert_eq!(positions(Keys::all(usize::MAX), 2), [0, 1]);
        assert_eq!(positions(Keys::Range { first: usize::MAX, step: usize::MAX, count: 9 }, 2), []);
        assert_eq!(positions(Keys::OneAndRange { one: 7, first: 1, step: 1, count: 9 }, 3), [1, 2]);
        assert_eq!(positions(Keys::Marked(&[0, u32::MAX]), 1), [0]);
    }
}
