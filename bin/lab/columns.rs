//! Tables on a terminal.

use std::io::{self, Write};

/// Writes rows with columns of equal width, two spaces between them; every row has as many cells as the first.
pub fn write(out: &mut impl Write, rows: &[Vec<String>]) -> io::Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..first.len().saturating_sub(1)).map(width).collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line += &format!("{cell:width$}  ");
        }
        line += row.last().map_or("", String::as_str);
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "bcd", "e"], ["fgh", "é", ""]].map(|row| row.map(str::to_owned).to_vec());
        let mut out = Vec::new();
        super::write(&mut out, &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a    bcd  e\nfgh  é\n");
    }
}
