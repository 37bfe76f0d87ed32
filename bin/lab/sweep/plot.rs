//! The picture of a sweep: success, time and datagrams over the values.

use std::path::Path;

use plotters::prelude::*;

use super::result::{Sweep, SweepStep};
use super::span::short;
use crate::Failure;

const SIZE: (u32, u32) = (900, 1020);

const BLUE: RGBColor = RGBColor(0x1f, 0x5f, 0xa8);
const ORANGE: RGBColor = RGBColor(0xc0, 0x50, 0x20);
const GREEN: RGBColor = RGBColor(0x2e, 0x7d, 0x32);

type PanelArea<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type PanelResult<'a> = Result<(), Box<dyn std::error::Error + 'a>>;

/// One panel below the other, over the same axis.
struct Panel<'a> {
    caption: &'a str,
    unit: &'a str,
    /// The axis ends at this value or above.
    least: f64,
    curves: Vec<Curve>,
}

/// A curve; a missing value is a gap.
struct Curve {
    name: &'static str,
    colour: RGBColor,
    points: Vec<(f64, Option<f64>)>,
    /// The shaded area around it.
    band: Vec<(f64, Option<(f64, f64)>)>,
}

/// Draws the three panels.
pub fn draw(path: &Path, sweep: &Sweep) -> Result<(), Failure> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    let (unit, scale) = sweep.unit.axis();
    let x = |step: &SweepStep| match sweep.logarithmic {
        true => (step.value / scale).log10(),
        false => step.value / scale,
    };
    let curve = |name,
                 colour,
                 value: &dyn Fn(&SweepStep) -> Option<f64>,
                 band: &dyn Fn(&SweepStep) -> Option<(f64, f64)>| Curve {
        name,
        colour,
        points: sweep.steps.iter().map(|step| (x(step), value(step))).collect(),
        band: sweep.steps.iter().map(|step| (x(step), band(step))).collect(),
    };
    let percent = |count: usize, step: &SweepStep| Some(100.0 * count as f64 / step.runs.len().max(1) as f64);
    let none = |_: &SweepStep| None;
    let mut outcomes = vec![curve(
        "right, with its 95% confidence interval",
        BLUE,
        &|step| Some(100.0 * step.success.ratio),
        &|step| Some((100.0 * step.success.low, 100.0 * step.success.high)),
    )];
    if sweep.steps.iter().any(|step| step.wrong > 0) {
        outcomes.push(curve("wrong results", ORANGE, &|step| percent(step.wrong, step), &none));
    }
    let times = vec![curve(
        "median, with 10th to 90th percentile",
        BLUE,
        &|step| step.seconds.map(|seconds| seconds.p50),
        &|step| step.seconds.map(|seconds| (seconds.p10, seconds.p90)),
    )];
    let datagrams = vec![
        curve("requests sent", BLUE, &|step| Some(step.mean(step.datagrams.requests_sent)), &none),
        curve(
            "requests that reach the server",
            GREEN,
            &|step| Some(step.mean(step.datagrams.requests_delivered)),
            &none,
        ),
        curve(
            "replies that reach the client",
            ORANGE,
            &|step| Some(step.mean(step.datagrams.replies_delivered)),
            &none,
        ),
    ];
    let panels = [
        Panel { caption: "Runs that end with the right result", unit: "% of runs", least: 100.0, curves: outcomes },
        Panel {
            caption: "Time of right runs, from the first request to the end of the client",
            unit: "s",
            least: 0.01,
            curves: times,
        },
        Panel { caption: "Datagrams for each run, mean", unit: "datagrams", least: 1.0, curves: datagrams },
    ];
    let axis = format!("{} ({unit})", sweep.varied);
    let drawn = root.fill(&WHITE).map_err(|error| error.to_string()).and_then(|()| {
        for (area, panel) in root.split_evenly((panels.len(), 1)).iter().zip(&panels) {
            panel.draw(area, &axis, sweep.logarithmic).map_err(|error| error.to_string())?;
        }
        root.present().map_err(|error| error.to_string())
    });
    drawn.map_err(|error| Failure::run(format_args!("cannot write {}", path.display()), error))
}

impl Panel<'_> {
    fn draw<'a>(&self, area: &PanelArea<'a>, axis: &str, logarithmic: bool) -> PanelResult<'a> {
        let places = || self.curves.iter().flat_map(|curve| curve.points.iter().map(|(x, _)| *x));
        let (left, right) = (places().fold(f64::INFINITY, f64::min), places().fold(f64::NEG_INFINITY, f64::max));
        let heights = self.curves.iter().flat_map(|curve| {
            let points = curve.points.iter().filter_map(|(_, y)| *y);
            points.chain(curve.band.iter().filter_map(|(_, band)| band.map(|(_, high)| high)))
        });
        let top = heights.fold(self.least, f64::max) * if self.unit.starts_with('%') { 1.0 } else { 1.05 };
        let mut chart = ChartBuilder::on(area)
            .caption(self.caption, ("sans-serif", 18))
            .margin(12)
            .margin_right(24)
            .x_label_area_size(42)
            .y_label_area_size(70)
            .build_cartesian_2d(left..right, 0.0..top)?;
        let label = |x: &f64| if logarithmic { short(10_f64.powf(*x)) } else { short(*x) };
        chart
            .configure_mesh()
            .x_desc(axis)
            .y_desc(self.unit)
            .max_light_lines(1)
            .x_label_formatter(&label)
            .y_label_formatter(&|y| short(*y))
            .draw()?;
        for curve in &self.curves {
            let colour = curve.colour;
            for piece in pieces(&curve.band) {
                let low = piece.iter().map(|(x, (low, _))| (*x, *low));
                let high = piece.iter().rev().map(|(x, (_, high))| (*x, *high));
                let outline: Vec<(f64, f64)> = low.chain(high).collect();
                chart.draw_series([Polygon::new(outline, colour.mix(0.18).filled())])?;
            }
            let points = pieces(&curve.points);
            for piece in &points {
                chart.draw_series(LineSeries::new(piece.iter().copied(), colour.stroke_width(2)))?;
            }
            chart
                .draw_series(points.iter().flatten().map(|point| Circle::new(*point, 3, colour.filled())))?
                .label(curve.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        }
        let position =
            if self.unit.starts_with('%') { SeriesLabelPosition::LowerLeft } else { SeriesLabelPosition::UpperLeft };
        chart
            .configure_series_labels()
            .position(position)
            .border_style(BLACK)
            .background_style(WHITE.mix(0.8))
            .draw()?;
        Ok(())
    }
}

/// Runs of consecutive values without a missing one.
fn pieces<T: Copy>(points: &[(f64, Option<T>)]) -> Vec<Vec<(f64, T)>> {
    points
        .split(|(_, value)| value.is_none())
        .filter(|piece| !piece.is_empty())
        .map(|piece| piece.iter().filter_map(|(x, value)| Some((*x, (*value)?))).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_value_is_a_gap() {
        let points = [(0.0, Some(1.0)), (1.0, None), (2.0, Some(3.0)), (3.0, Some(4.0))];
        assert_eq!(pieces(&points), [vec![(0.0, 1.0)], vec![(2.0, 3.0), (3.0, 4.0)]]);
    }
}
