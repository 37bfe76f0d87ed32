//! The picture of a run: latency by percentile, and over time.

use std::path::Path;

use plotters::prelude::*;

use super::result::{Measured, Point};
use super::tally::Percentile;
use crate::Failure;

const SIZE: (u32, u32) = (900, 820);

/// Where an axis of latencies begins at the least, in microseconds.
const LEAST: f64 = 0.1;

/// Colours of the first and the second server.
const COLOURS: [RGBColor; 2] = [RGBColor(0x1f, 0x5f, 0xa8), RGBColor(0xc0, 0x50, 0x20)];

/// Draws one run, or two that are compared.
pub fn draw(path: &Path, runs: &[&Measured]) -> Result<(), Failure> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    let drawn = root.fill(&WHITE).map_err(|error| error.to_string()).and_then(|()| {
        let halves = root.split_evenly((2, 1));
        by_percentile(&halves[0], runs).map_err(|error| error.to_string())?;
        over_time(&halves[1], runs).map_err(|error| error.to_string())?;
        root.present().map_err(|error| error.to_string())
    });
    drawn.map_err(|error| Failure::run(format_args!("cannot write {}", path.display()), error))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type DrawResult<'a> = Result<(), Box<dyn std::error::Error + 'a>>;

/// The percentile p is drawn at -log10(1 - p): each nine takes the same width.
fn by_percentile<'a>(area: &Area<'a>, runs: &[&Measured]) -> DrawResult<'a> {
    let nines = runs.iter().map(|run| (run.tally.latencies.len().max(10) as f64).log10()).fold(1.0, f64::max);
    let curves: Vec<Vec<(f64, f64)>> = runs.iter().map(|run| curve(run, nines)).collect();
    let (low, high) = range(curves.iter().flatten().map(|point| point.1));
    let mut chart = ChartBuilder::on(area)
        .caption("Latency by percentile, timed-out requests included", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..nines, (low..high).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("percentile")
        .y_desc("µs")
        .x_labels(nines.ceil() as usize + 1)
        .x_label_formatter(&|nines| percentile_name(*nines))
        .y_label_formatter(&|value| format!("{value}"))
        .draw()?;
    for ((run, points), colour) in runs.iter().zip(curves).zip(COLOURS) {
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(run.server.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(BLACK)
        .background_style(WHITE)
        .draw()?;
    Ok(())
}

/// The median and the 99th percentile of every slice.
fn over_time<'a>(area: &Area<'a>, runs: &[&Measured]) -> DrawResult<'a> {
    let points = || runs.iter().flat_map(|run| &run.series);
    let (low, high) = range(points().flat_map(|point| [point.p50, point.p99]).flatten());
    let end = points().map(|point| point.seconds).fold(0.1, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption("Latency over time: p50 (thick) and p99 (thin); a gap has no replies in time", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..end, (low..high).log_scale())?;
    chart.configure_mesh().x_desc("s").y_desc("µs").y_label_formatter(&|value| format!("{value}")).draw()?;
    for (run, colour) in runs.iter().zip(COLOURS) {
        let (median, high) = (pieces(&run.series, |point| point.p50), pieces(&run.series, |point| point.p99));
        for (pieces, width) in [(median, 3), (high, 1)] {
            for piece in pieces {
                // A line of one point is drawn as a dot.
                match piece[..] {
                    [point] => chart.draw_series([Circle::new(point, width, colour.filled())]).map(drop)?,
                    _ => chart.draw_series(LineSeries::new(piece, colour.stroke_width(width))).map(drop)?,
                }
            }
        }
    }
    Ok(())
}

/// The points of a curve, in pieces between which there is no value: while a server is out, there is no line.
fn pieces(series: &[Point], value: impl Fn(&Point) -> Option<f64>) -> Vec<Vec<(f64, f64)>> {
    series
        .split(|point| value(point).is_none())
        .filter(|piece| !piece.is_empty())
        .map(|piece| piece.iter().filter_map(|point| Some((point.seconds, value(point)?))).collect())
        .collect()
}

/// (nines, latency in µs), up to the first that timed out.
fn curve(run: &Measured, nines: f64) -> Vec<(f64, f64)> {
    const STEPS: u32 = 200;
    let points = (0..=STEPS).map(|step| nines * f64::from(step) / f64::from(STEPS));
    points
        .map_while(|nines| match run.tally.percentile(1.0 - 10_f64.powf(-nines)) {
            Percentile::At(latency) => Some((nines, (latency.as_secs_f64() * 1e6).max(LEAST))),
            _ => None,
        })
        .collect()
}

/// A range of latencies for a logarithmic axis: whole decades.
fn range(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let low = values.clone().fold(f64::INFINITY, f64::min).clamp(LEAST, 1e9);
    let high = values.fold(low * 10.0, f64::max);
    (10_f64.powf(low.log10().floor()), 10_f64.powf(high.log10().ceil()))
}

fn percentile_name(nines: f64) -> String {
    let percent = 100.0 * (1.0 - 10_f64.powf(-nines));
    let decimals = (nines.round() as usize).saturating_sub(2);
    format!("{percent:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_a_gap() {
        let point = |seconds, p50| Point { seconds, rate: 0.0, p50, p99: None, max: None, timed_out: 0 };
        let series = [
            point(0.1, Some(5.0)),
            point(0.2, Some(6.0)),
            point(0.3, None),
            point(0.4, None),
            point(0.5, Some(7.0)),
            point(0.6, None),
        ];
        let expected = [vec![(0.1, 5.0), (0.2, 6.0)], vec![(0.5, 7.0)]];
        assert_eq!(pieces(&series, |point| point.p50), expected);
        assert!(pieces(&series, |point| point.p99).is_empty());
    }
}
