//! Draws how a run went over time: latencies above on a logarithmic axis, answers and errors below.

use super::{
    summary::{Timeline, time},
    timeline::Point,
};
use plotters::{
    chart::{ChartBuilder, ChartContext, LabelAreaPosition, SeriesAnno, SeriesLabelPosition},
    coord::{Shift, cartesian::Cartesian2d, ranged1d::Ranged, types::RangedCoordf64},
    drawing::{DrawingArea, IntoDrawingArea as _},
    element::{PathElement, Rectangle, Text},
    prelude::{Color as _, IntoFont as _, IntoLogRange as _, RGBColor, SVGBackend, WHITE},
    series::{DashedLineSeries, LineSeries},
    style::ShapeStyle,
};

const SIZE: (u32, u32) = (1_200, 720);
const TITLE_HEIGHT: u32 = 40;
const LATENCY_HEIGHT: u32 = 420;
const LABEL_WIDTH: u32 = 80;
const MARGIN: u32 = 16;
const FONT: &str = "sans-serif";

const INK: RGBColor = RGBColor(40, 44, 52);
const GRID: RGBColor = RGBColor(222, 226, 230);
const P50: RGBColor = RGBColor(32, 122, 183);
const P99: RGBColor = RGBColor(230, 130, 20);
const MAX: RGBColor = RGBColor(150, 155, 165);
const ANSWERS: RGBColor = RGBColor(52, 140, 90);
const ERRORS: RGBColor = RGBColor(208, 48, 48);

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, Y>>;
type Figure = fn(&Point) -> Option<u64>;

/// The drawing, as SVG.
///
/// # Errors
/// When it cannot be drawn.
pub(crate) fn draw(timeline: &Timeline) -> anyhow::Result<String> {
    let mut svg = String::new();
    let canvas = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    canvas.fill(&WHITE)?;
    let (title, charts) = canvas.split_vertically(TITLE_HEIGHT);
    let style = (FONT, 15).into_font().color(&INK);
    title.draw(&Text::new(timeline.run.clone(), (MARGIN as i32, MARGIN as i32), style))?;
    let (upper, lower) = charts.split_vertically(LATENCY_HEIGHT);
    latencies(&upper, timeline)?;
    rates(&lower, timeline)?;
    canvas.present()?;
    drop((title, upper, lower, charts, canvas));
    Ok(svg)
}

fn latencies(canvas: &Canvas<'_>, timeline: &Timeline) -> anyhow::Result<()> {
    let all = timeline.points.iter().flat_map(|point| [point.p50_us, point.max_us]).flatten();
    let (least, most) = all.fold((u64::MAX, 1), |(least, most), us| (least.min(us), most.max(us)));
    let (bottom, top) = decades(least.min(most), most);
    let mut chart = on(canvas).build_cartesian_2d(0.0..end(timeline), (bottom..top).log_scale())?;
    chart
        .configure_mesh()
        .axis_style(GRID)
        .bold_line_style(GRID)
        .light_line_style(GRID.mix(0.4))
        .label_style((FONT, 13).into_font().color(&INK))
        .y_desc("latency")
        .y_label_formatter(&|us| time(*us as u64))
        .draw()?;
    let band = |point: &&Point| point.errors > 0;
    let width = timeline.window_seconds;
    chart.draw_series(timeline.points.iter().filter(band).map(|point| {
        let corners = [(point.seconds, bottom), (point.seconds + width, top)];
        Rectangle::new(corners, ERRORS.mix(0.08).filled())
    }))?;
    marks(&mut chart, timeline, (bottom, top), true)?;
    let figures: [(&str, RGBColor, u32, Figure); 3] = [
        ("max", MAX, 1, |point| point.max_us),
        ("p99", P99, 2, |point| point.p99_us),
        ("p50", P50, 2, |point| point.p50_us),
    ];
    for (name, color, width, figure) in figures {
        let style = color.stroke_width(width);
        for (index, run) in runs(timeline, figure).into_iter().enumerate() {
            let series = chart.draw_series(LineSeries::new(run, style))?;
            if index == 0 {
                label(series, name, style);
            }
        }
    }
    legend(&mut chart)
}

fn rates(canvas: &Canvas<'_>, timeline: &Timeline) -> anyhow::Result<()> {
    let width = timeline.window_seconds;
    let errors = |point: &Point| point.errors as f64 / width;
    let asked = timeline.rate.map(|rate| rate as f64);
    let highest = timeline.points.iter().flat_map(|point| [point.per_second, errors(point)]);
    let top = 1.15 * highest.chain(asked).fold(1.0, f64::max);
    let mut chart = on(canvas).build_cartesian_2d(0.0..end(timeline), 0.0..top)?;
    chart
        .configure_mesh()
        .axis_style(GRID)
        .bold_line_style(GRID)
        .light_line_style(WHITE)
        .label_style((FONT, 13).into_font().color(&INK))
        .x_desc("seconds")
        .y_desc("per second")
        .y_label_formatter(&|rate| count(*rate))
        .draw()?;
    marks(&mut chart, timeline, (0.0, top), false)?;
    let middle = |point: &Point| point.seconds + width / 2.0;
    let style = ANSWERS.stroke_width(2);
    let answers = timeline.points.iter().map(|point| (middle(point), point.per_second));
    label(chart.draw_series(LineSeries::new(answers, style))?, "answers", style);
    if let Some(asked) = asked {
        let style = INK.mix(0.5).stroke_width(1);
        let line = [(0.0, asked), (end(timeline), asked)];
        label(chart.draw_series(DashedLineSeries::new(line, 4, 4, style))?, "asked for", style);
    }
    let failed = timeline.points.iter().filter(|point| point.errors > 0);
    let bars = failed.map(|point| {
        let corners = [(point.seconds, 0.0), (point.seconds + width, errors(point))];
        Rectangle::new(corners, ERRORS.mix(0.8).filled())
    });
    label(chart.draw_series(bars)?, "errors", ERRORS.stroke_width(2));
    legend(&mut chart)
}

/// Room for a chart and its labels; both charts share their left and right edges.
fn on<'a, 'b>(canvas: &'a Canvas<'b>) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut builder = ChartBuilder::on(canvas);
    builder
        .margin(MARGIN)
        .set_label_area_size(LabelAreaPosition::Left, LABEL_WIDTH)
        .set_label_area_size(LabelAreaPosition::Bottom, 40);
    builder
}

fn marks<Y: Ranged<ValueType = f64>>(
    chart: &mut Chart<'_, '_, Y>,
    timeline: &Timeline,
    (bottom, top): (f64, f64),
    is_labelled: bool,
) -> anyhow::Result<()> {
    let end = end(timeline);
    let style = INK.stroke_width(1);
    for mark in timeline.marks.iter().filter(|mark| mark.seconds <= end) {
        let line = [(mark.seconds, bottom), (mark.seconds, top)];
        chart.draw_series(DashedLineSeries::new(line, 6, 4, style))?;
        if is_labelled {
            let style = (FONT, 13).into_font().color(&INK);
            let label = Text::new(format!(" {}", mark.label), (mark.seconds, top), style);
            chart.draw_series([label])?;
        }
    }
    Ok(())
}

/// Lines with a gap wherever nothing was due.
fn runs(timeline: &Timeline, figure: Figure) -> Vec<Vec<(f64, f64)>> {
    let middle = timeline.window_seconds / 2.0;
    let gaps = timeline.points.split(|point| figure(point).is_none());
    let lines = gaps.map(|points| {
        let there = points.iter().filter_map(|point| Some((point, figure(point)?)));
        there.map(|(point, us)| (point.seconds + middle, us.max(1) as f64)).collect()
    });
    lines.filter(|line: &Vec<_>| !line.is_empty()).collect()
}

fn label<'a, 'b>(series: &mut SeriesAnno<'a, SVGBackend<'b>>, name: &str, style: ShapeStyle)
where
    'b: 'a,
{
    series.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
}

fn legend<'a, 'b: 'a, Y: Ranged<ValueType = f64>>(chart: &mut Chart<'a, 'b, Y>) -> anyhow::Result<()> {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font((FONT, 13).into_font().color(&INK))
        .background_style(WHITE.mix(0.85))
        .border_style(GRID)
        .draw()?;
    Ok(())
}

fn end(timeline: &Timeline) -> f64 {
    let windows = timeline.points.len().max(1) as f64;
    timeline.seconds.max(timeline.window_seconds).min(windows * timeline.window_seconds)
}

/// The powers of ten around a range.
fn decades(least: u64, most: u64) -> (f64, f64) {
    let bottom = 10_f64.powf((least.max(1) as f64).log10().floor());
    let top = 10_f64.powf((most.max(1) as f64).log10().ceil());
    (bottom, top.max(10.0 * bottom))
}

/// A rate in few letters.
fn count(rate: f64) -> String {
    match rate {
        rate if rate >= 10_000.0 => format!("{:.0} k", rate / 1e3),
        rate if rate >= 1_000.0 => format!("{:.1} k", rate / 1e3),
        rate => format!("{rate:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::marks::Mark;

    fn timeline(points: Vec<Point>) -> Timeline {
        Timeline {
            run: "resp: a <run> & more".into(),
            seconds: 0.1 * points.len() as f64,
            window_seconds: 0.1,
            rate: Some(1_000),
            points,
            marks: vec![Mark { seconds: 0.1, label: "kill <2>".into() }],
        }
    }

    fn point(index: usize, us: Option<u64>) -> Point {
        let seconds = index as f64 / 10.0;
        Point { seconds, per_second: 900.0, errors: 1, p50_us: us, p99_us: us, max_us: us }
    }

    #[test]
    fn a_drawing_has_its_lines_its_words_and_nothing_unescaped() {
        let figures = [Some(100), Some(0), None, Some(70_000_000)];
        let points = figures.into_iter().enumerate().map(|(index, us)| point(index, us)).collect();
        let svg = draw(&timeline(points)).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for word in ["p50", "p99", "max", "answers", "asked for", "errors", "seconds", "latency", "kill"] {
            assert!(svg.contains(word), "{word} is missing");
        }
        assert!(svg.contains("a &lt;run&gt; &amp; more") && svg.contains("kill &lt;2&gt;"));
        // Two lines around the gap, for each of three figures, one of them a single point.
        assert!(svg.matches("<polyline").count() >= 4, "{svg}");
    }

    #[test]
    fn a_run_without_answers_can_be_drawn() {
        assert!(draw(&timeline(Vec::new())).unwrap().contains("asked for"));
        assert!(draw(&timeline(vec![point(0, None)])).unwrap().contains("errors"));
    }

    #[test]
    fn an_axis_spans_whole_decades() {
        for ((least, most), expected) in
            [((120, 4_000), (100.0, 10_000.0)), ((0, 0), (1.0, 10.0)), ((1_000, 1_000), (1_000.0, 10_000.0))]
        {
            let (bottom, top) = decades(least, most);
            assert!((bottom / expected.0 - 1.0).abs() < 1e-9 && (top / expected.1 - 1.0).abs() < 1e-9);
        }
    }
}
