//! Whether the store keeps what is worth keeping, held against fixed numbers.

use crate::{COLUMNS, Hits, Row, mean};
use shoal_benches::goal;

/// What a node runs with.
const OURS: usize = 0;
const S3_FIFO: usize = 1;
const LRU: usize = 2;
const QUICK_CACHE: usize = 4;
/// Columns that are libraries.
const LIBRARIES: std::ops::Range<usize> = QUICK_CACHE..COLUMNS.len();

/// Percent of hits, as the mean over all cells, that is the least.
const LEAST_MEAN: f64 = 48.9;
/// By how many points a cell may fall short of the best simple policy there.
const CELL_MARGIN: f64 = 5.0;
/// By how many points hits of bytes may fall short of S3-FIFO's.
const BYTES_MARGIN: f64 = 1.5;

/// Judges, and says so line by line.
pub(crate) fn are_met(by_objects: &[Row<f64>], by_bytes: &[Row<Hits>]) -> bool {
    let objects = mean(by_objects, OURS, |hits| *hits);
    let shortfall = |row: &Row<f64>| {
        let simple = [LRU, S3_FIFO, QUICK_CACHE].map(|column| row.columns[column]);
        simple.into_iter().fold(row.cell.fixed_window, f64::max) - row.columns[OURS]
    };
    let worst = by_objects.iter().map(shortfall).fold(f64::MIN, f64::max);
    let in_bytes =
        |column| (mean(by_bytes, column, |hits| hits.objects), mean(by_bytes, column, |hits| hits.bytes));
    let (our_objects, our_bytes) = in_bytes(OURS);
    let (best, best_objects) = LIBRARIES
        .map(|column| (COLUMNS[column], in_bytes(column).0))
        .fold(("", f64::MIN), |best, next| if next.1 > best.1 { next } else { best });
    let behind = in_bytes(S3_FIFO).1 - our_bytes;
    let goals = [
        goal(
            objects >= LEAST_MEAN,
            &format!(
                "objects: {objects:.2} % on the mean of {} cells, at least {LEAST_MEAN}",
                by_objects.len()
            ),
        ),
        goal(
            worst <= CELL_MARGIN,
            &format!(
                "objects: in the worst cell {worst:.2} points below the best of LRU, S3-FIFO, quick_cache and a window \
                 of 20 %, at most {CELL_MARGIN}"
            ),
        ),
        goal(
            our_objects > best_objects,
            &format!(
                "bytes: {our_objects:.2} % of objects, more than the best library, {best}: {best_objects:.2} %"
            ),
        ),
        goal(
            behind <= BYTES_MARGIN,
            &format!(
                "bytes: {our_bytes:.2} % of bytes, {behind:.2} points below S3-FIFO, at most {BYTES_MARGIN}"
            ),
        ),
    ];
    goals.into_iter().all(|is_met| is_met)
}
