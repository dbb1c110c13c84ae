//! A table: medians over the rounds, and how each compares with ours.

use crate::work::Figure;

/// The figures of one workload.
pub(crate) struct Table {
    title: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    /// By column, a value a round.
    values: Vec<Vec<f64>>,
    failed: Option<String>,
}

impl Table {
    pub(crate) fn new(title: &'static str, names: Vec<String>) -> Self {
        let rows = names.into_iter().map(|name| Row { name, values: Vec::new(), failed: None }).collect();
        Self { title, columns: Vec::new(), rows }
    }

    /// Adds what a round gave.
    pub(crate) fn add(&mut self, row: usize, figures: &[Figure]) {
        if figures.len() > self.columns.len() {
            self.columns = figures.iter().map(|(name, _)| *name).collect();
        }
        let values = &mut self.rows[row].values;
        values.resize(values.len().max(figures.len()), Vec::new());
        for (column, (_, value)) in values.iter_mut().zip(figures) {
            column.push(*value);
        }
    }

    /// Says that a round could not be measured.
    pub(crate) fn failed(&mut self, row: usize, why: &str) {
        self.rows[row].failed = Some(why.to_owned());
    }

    pub(crate) fn has_failed(&self, row: usize) -> bool {
        self.rows[row].failed.is_some()
    }

    /// Prints it in Markdown: each median and, in parentheses, ours divided by it.
    pub(crate) fn print(&self) {
        println!(
            "\n### {}\n\n| | {} |\n|---|{}",
            self.title,
            self.columns.join(" | "),
            "---|".repeat(self.columns.len())
        );
        let ours = self.rows.last();
        for row in &self.rows {
            // What it gave before it failed does not compare.
            if let Some(why) = &row.failed {
                println!("| {} | {why} |", row.name);
                continue;
            }
            if row.values.is_empty() {
                continue;
            }
            let cells = (0..self.columns.len()).map(|column| {
                let Some(value) = row.median(column) else { return "–".to_owned() };
                match ours.and_then(|ours| ours.median(column)) {
                    Some(ours) if value > 0.0 => format!("{} ({:.2})", rounded(value), ours / value),
                    _ => rounded(value),
                }
            });
            println!("| {} | {} |", row.name, cells.collect::<Vec<_>>().join(" | "));
        }
    }
}

impl Row {
    fn median(&self, column: usize) -> Option<f64> {
        let mut values = self.values.get(column)?.clone();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }
}

fn rounded(value: f64) -> String {
    if value >= 1000.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}
