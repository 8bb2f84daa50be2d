//! Axes: where a value lies, and where the ticks are.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::super::format::tick;

/// From the lowest to the highest value, straight or logarithmic.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    logarithmic: bool,
    /// The places of both ends: values, or their logarithms.
    from: f64,
    to: f64,
    /// Values and labels.
    ticks: Vec<(f64, String)>,
}

/// Values further apart than this are shown on a logarithmic axis.
const STRAIGHT_MAX: f64 = 12.0;
const TICKS_MAX: usize = 8;

impl Scale {
    /// For values that are measured: from zero where they are near each other, else logarithmic. `None` without values.
    pub(crate) fn of_figures(values: impl Iterator<Item = f64>) -> Option<Scale> {
        let (min, max) = extremes(values)?;
        if min > 0.0 && max / min > STRAIGHT_MAX { Some(logarithmic(min, max)) } else { Some(straight(max)) }
    }

    /// For values that were chosen: a tick at each of them, logarithmic where all are positive. `None` without values.
    pub(crate) fn of_choices(values: impl Iterator<Item = f64> + Clone) -> Option<Scale> {
        let (min, max) = extremes(values.clone())?;
        let logarithmic = min > 0.0;
        let mut scale = Scale { logarithmic, from: 0.0, to: 0.0, ticks: Vec::new() };
        (scale.from, scale.to) = (scale.place(min), scale.place(max));
        let margin = ((scale.to - scale.from) * 0.03).max(1e-3);
        (scale.from, scale.to) = (scale.from - margin, scale.to + margin);
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        // One that is too near to the last one would be written over it.
        let least = (scale.to - scale.from) / 18.0;
        for value in values {
            let far = |last: f64| scale.place(value) - scale.place(last) >= least;
            if scale.ticks.last().is_none_or(|(last, _)| far(*last)) {
                scale.ticks.push((value, tick(value)));
            }
        }
        Some(scale)
    }

    /// Percentiles, each nine as far from the last one as that from its.
    pub(crate) fn of_percentiles(nines: f64) -> Scale {
        let ticks =
            [(0.0, "0"), (2_f64.log10(), "50"), (1.0, "90"), (2.0, "99"), (3.0, "99.9"), (4.0, "99.99")];
        let more = [(5.0, "99.999"), (6.0, "99.9999")];
        let shown = ticks.into_iter().chain(more).filter(|(place, _)| *place <= nines + 1e-9);
        let ticks = shown.map(|(place, label)| (place, format!("{label} %"))).collect();
        Scale { logarithmic: false, from: 0.0, to: nines.max(1.0), ticks }
    }

    fn place(&self, value: f64) -> f64 {
        if self.logarithmic { value.log10() } else { value }
    }

    /// The label of a value that has a tick.
    pub(crate) fn label(&self, value: f64) -> String {
        let near = |(tick, _): &&(f64, String)| (tick - value).abs() <= 1e-6 * value.abs();
        self.ticks.iter().find(near).map_or_else(String::new, |(_, label)| label.clone())
    }

    /// Whether to say so.
    pub(crate) fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let share = (self.place(*value) - self.from) / (self.to - self.from);
        first + (share * f64::from(last - first)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // No lines between the ticks.
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.ticks.iter().map(|(value, _)| *value).collect()
    }

    fn range(&self) -> Range<f64> {
        let value = |place: f64| if self.logarithmic { 10_f64.powf(place) } else { place };
        value(self.from)..value(self.to)
    }
}

impl ValueFormatter<f64> for Scale {
    fn format_ext(&self, value: &f64) -> String {
        self.label(*value)
    }
}

fn extremes(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    let min = values.iter().copied().reduce(f64::min)?;
    Some((min, values.iter().copied().reduce(f64::max)?))
}

/// From zero to the first tick above.
fn straight(max: f64) -> Scale {
    let rough = (max / 5.0).max(1e-6);
    let decade = 10_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().find(|&m| m * decade >= rough * 0.999).unwrap_or(10.0) * decade;
    let count = (max / step).ceil().max(1.0) as usize;
    let ticks = (0..=count).map(|at| (at as f64 * step, tick(at as f64 * step))).collect();
    Scale { logarithmic: false, from: 0.0, to: count as f64 * step, ticks }
}

/// From a tick below to a tick above; ticks at 1, 2 and 5 of a decade, or at decades only.
fn logarithmic(min: f64, max: f64) -> Scale {
    let decades = min.log10().floor() as i32..=max.log10().floor() as i32 + 1;
    let at = |steps: &[f64]| -> Vec<f64> {
        decades.clone().flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade))).collect()
    };
    let fine = at(&[1.0, 2.0, 5.0]);
    let from = fine.iter().copied().rfind(|&tick| tick <= min * 1.0001).unwrap_or(min);
    let to = fine.iter().copied().find(|&tick| tick >= max * 0.9999).unwrap_or(max);
    let inside = |ticks: Vec<f64>| -> Vec<f64> {
        ticks.into_iter().filter(|&tick| tick >= from * 0.9999 && tick <= to * 1.0001).collect()
    };
    let mut ticks = inside(fine);
    if ticks.len() > TICKS_MAX {
        ticks = inside(at(&[1.0]));
    }
    let ticks = ticks.into_iter().map(|value| (value, tick(value))).collect();
    Scale { logarithmic: true, from: from.log10(), to: to.log10(), ticks }
}

/// Moves labels apart: none nearer than `gap` to the next, none outside, none further from its wish than needed.
pub(crate) fn apart(wishes: &[i32], gap: i32, (top, bottom): (i32, i32)) -> Vec<i32> {
    let mut order: Vec<usize> = (0..wishes.len()).collect();
    order.sort_by_key(|&at| wishes[at]);
    // Groups that touch each other are one group around the mean of their wishes: (first in `order`, members, top of the group).
    let mut groups: Vec<(usize, usize, f64)> = Vec::new();
    let centred = |first: usize, count: usize| {
        let wished = |place: usize| f64::from(wishes[order[first + place]]) - place as f64 * f64::from(gap);
        let mean = (0..count).map(wished).sum::<f64>() / count as f64;
        let most = f64::from(bottom) - (count - 1) as f64 * f64::from(gap);
        mean.min(most).max(f64::from(top))
    };
    for at in 0..order.len() {
        groups.push((at, 1, centred(at, 1)));
        while let [.., (first, count, above), (_, more, below)] = groups[..]
            && below - above < count as f64 * f64::from(gap)
        {
            groups.truncate(groups.len() - 2);
            groups.push((first, count + more, centred(first, count + more)));
        }
    }
    let mut places = vec![0; wishes.len()];
    for (first, count, top) in groups {
        for at in 0..count {
            places[order[first + at]] = (top + at as f64 * f64::from(gap)).round() as i32;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn near_figures_begin_at_zero_and_far_ones_are_logarithmic() {
        let near = Scale::of_figures([110.0, 330.0].into_iter()).unwrap();
        assert_eq!(labels(&near), ["0", "100", "200", "300", "400"]);
        let far = Scale::of_figures([90.0, 1500.0].into_iter()).unwrap();
        assert_eq!(labels(&far), ["50", "100", "200", "500", "1000", "2000"]);
        assert!(far.is_logarithmic() && !near.is_logarithmic());
        let further = Scale::of_figures([3.0, 150_000.0].into_iter()).unwrap();
        assert_eq!(labels(&further), ["10", "100", "1000", "10k", "100k"]);
        assert!(Scale::of_figures([f64::NAN].into_iter()).is_none());
    }

    #[test]
    fn choices_have_their_own_ticks() {
        let scale = Scale::of_choices([3.0, 6.0, 256.0].into_iter()).unwrap();
        assert_eq!(labels(&scale), ["3", "6", "256"]);
        assert_eq!(scale.label(256.0), "256");
        let zero = Scale::of_choices([0.0, 100.0].into_iter()).unwrap();
        assert!(!zero.is_logarithmic() && zero.from < 0.0);
    }

    #[test]
    fn labels_are_moved_apart_and_stay_inside() {
        assert_eq!(apart(&[10, 50], 15, (0, 100)), [10, 50]);
        assert_eq!(apart(&[50, 50, 50], 10, (0, 100)), [40, 50, 60]);
        assert_eq!(apart(&[98, 2, 99], 10, (5, 100)), [90, 5, 100]);
        let crowded = apart(&[1, 2, 3, 4, 5, 6, 7, 8], 10, (0, 100));
        assert!(crowded.windows(2).all(|pair| pair[1] - pair[0] == 10) && crowded[0] == 0);
        assert!(apart(&[], 10, (0, 100)).is_empty());
    }
}
