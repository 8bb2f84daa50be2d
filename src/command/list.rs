//! Arguments of commands that take a list: gathered on the stack, lent together.

use smallvec::SmallVec;

use crate::command::arg::{Arg, ToArg};

/// Lists up to this length are not allocated.
const INLINE: usize = 16;

/// Lends `head` and then every item.
pub(crate) fn with_items<I: ToArg, T>(
    head: &[Arg<'_>],
    items: impl IntoIterator<Item = I>,
    take: impl FnOnce(&[Arg<'_>]) -> T,
) -> T {
    let items: SmallVec<[I; INLINE]> = items.into_iter().collect();
    let mut args: SmallVec<[Arg<'_>; INLINE]> = SmallVec::with_capacity(head.len() + items.len());
    args.extend_from_slice(head);
    args.extend(items.iter().map(ToArg::to_arg));
    take(&args)
}

/// Lends `head` and then every pair, flat.
pub(crate) fn with_pairs<A: ToArg, B: ToArg, T>(
    head: &[Arg<'_>],
    pairs: impl IntoIterator<Item = (A, B)>,
    take: impl FnOnce(&[Arg<'_>]) -> T,
) -> T {
    let pairs: SmallVec<[(A, B); INLINE]> = pairs.into_iter().collect();
    let mut args: SmallVec<[Arg<'_>; INLINE]> = SmallVec::with_capacity(head.len() + 2 * pairs.len());
    args.extend_from_slice(head);
    args.extend(pairs.iter().flat_map(|(a, b)| [a.to_arg(), b.to_arg()]));
    take(&args)
}
