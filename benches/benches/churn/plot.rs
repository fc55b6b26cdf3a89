//! Draws resident memory beside the limit above, and the mean size of values below.

use crate::Sample;
use plotters::{
    chart::{ChartBuilder, LabelAreaPosition, SeriesLabelPosition},
    drawing::IntoDrawingArea as _,
    element::{PathElement, Text},
    prelude::{Color as _, IntoFont as _, IntoLogRange as _, RGBColor, SVGBackend, WHITE},
    series::LineSeries,
};

const SIZE: (u32, u32) = (1_200, 640);
const TITLE_HEIGHT: u32 = 40;
const MEMORY_HEIGHT: u32 = 400;
const LABEL_WIDTH: u32 = 80;
const MARGIN: u32 = 16;
const FONT: &str = "sans-serif";

const INK: RGBColor = RGBColor(40, 44, 52);
const GRID: RGBColor = RGBColor(222, 226, 230);
const LIMIT: RGBColor = RGBColor(208, 48, 48);
const RESIDENT: RGBColor = RGBColor(32, 122, 183);
const CHARGED: RGBColor = RGBColor(230, 130, 20);
const VALUES: RGBColor = RGBColor(52, 140, 90);

/// The drawing, as SVG.
///
/// # Errors
/// When it cannot be drawn.
pub(crate) fn draw(steady: &[Sample], changing: &[Sample]) -> anyhow::Result<String> {
    let samples: Vec<&Sample> = steady.iter().chain(changing).collect();
    let mut svg = String::new();
    let canvas = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    canvas.fill(&WHITE)?;
    let (title, charts) = canvas.split_vertically(TITLE_HEIGHT);
    let text = "A store at its limit while sizes drift, a quarter of the values expires and one write in 50 deletes; \
                then the limit is changed";
    let style = (FONT, 15).into_font().color(&INK);
    title.draw(&Text::new(text, (MARGIN as i32, MARGIN as i32), style))?;
    let (upper, lower) = charts.split_vertically(MEMORY_HEIGHT);

    let millions = |sample: &Sample| sample.writes as f64 / 1e6;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let end = samples.last().map_or(1.0, |sample| millions(sample));
    let top = 1.1 * samples.iter().map(|sample| mib(sample.limit.max(sample.resident))).fold(1.0, f64::max);
    let mut memory = ChartBuilder::on(&upper)
        .margin(MARGIN)
        .set_label_area_size(LabelAreaPosition::Left, LABEL_WIDTH)
        .set_label_area_size(LabelAreaPosition::Bottom, 30)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    memory
        .configure_mesh()
        .axis_style(GRID)
        .bold_line_style(GRID)
        .light_line_style(WHITE)
        .label_style((FONT, 13).into_font().color(&INK))
        .y_desc("MiB")
        .draw()?;
    let lines = [
        ("limit", LIMIT, (|sample| sample.limit) as fn(&Sample) -> u64),
        ("charged", CHARGED, |sample| sample.charged),
        ("resident", RESIDENT, |sample| sample.resident),
    ];
    for (name, color, bytes) in lines {
        let style = color.stroke_width(2);
        let line = samples.iter().map(|sample| (millions(sample), mib(bytes(sample))));
        memory
            .draw_series(LineSeries::new(line, style))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    memory
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .label_font((FONT, 13).into_font().color(&INK))
        .background_style(WHITE.mix(0.8))
        .border_style(GRID)
        .draw()?;

    let mut sizes = ChartBuilder::on(&lower)
        .margin(MARGIN)
        .set_label_area_size(LabelAreaPosition::Left, LABEL_WIDTH)
        .set_label_area_size(LabelAreaPosition::Bottom, 40)
        .build_cartesian_2d(0.0..end, (5.0..20_000.0).log_scale())?;
    sizes
        .configure_mesh()
        .axis_style(GRID)
        .bold_line_style(GRID)
        .light_line_style(GRID.mix(0.4))
        .label_style((FONT, 13).into_font().color(&INK))
        .x_desc("million writes")
        .y_desc("bytes of a value, mean")
        .draw()?;
    let line = samples.iter().map(|sample| (millions(sample), sample.mean_size));
    sizes.draw_series(LineSeries::new(line, VALUES.stroke_width(2)))?;
    canvas.present()?;
    drop((memory, sizes, title, upper, lower, charts, canvas));
    Ok(svg)
}
