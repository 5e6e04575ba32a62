//! Records of a file: cells as bytes, and the line that each begins in.

use std::io::{self, Read};

use csv_core::ReadRecordResult;

use crate::bot::config::diagnostics::quote;

/// Reads records in memory that does not depend on their length.
pub(crate) struct Records<R> {
    source: R,
    parser: csv_core::Reader,
    input: Box<[u8]>,
    /// The part of `input` that is not parsed yet.
    rest: std::ops::Range<usize>,
    is_over: bool,
    /// The line of the next byte, from 1.
    line: u64,
    /// The line of the last record.
    last: u64,
    output: Box<[u8]>,
    ends: Box<[usize]>,
}

/// One record.
pub(crate) struct Record<'r> {
    /// The line that it begins in, from 1.
    pub(crate) line: u64,
    /// Its cells, or why it has none, as the end of "the record …".
    pub(crate) cells: Result<Cells<'r>, String>,
}

/// The cells of a record.
pub(crate) struct Cells<'r> {
    bytes: &'r [u8],
    ends: &'r [usize],
}

impl Cells<'_> {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|column| self.cell(column))
    }

    fn cell(&self, column: usize) -> &[u8] {
        let start = column
            .checked_sub(1)
            .map_or(Some(0), |before| self.ends.get(before).copied());
        let end = self.ends.get(column).copied();
        let range = start.zip(end).map(|(start, end)| start..end);
        range.and_then(|range| self.bytes.get(range)).unwrap_or_default()
    }

    /// The text of a cell.
    pub(crate) fn text(&self, column: usize) -> Result<&str, String> {
        let cell = self.cell(column);
        std::str::from_utf8(cell)
            .map_err(|_| format!("is not UTF-8: {}", quote(&String::from_utf8_lossy(cell))))
    }
}

impl<R: Read> Records<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            parser: csv_core::Reader::new(),
            input: vec![0; INPUT].into(),
            rest: 0..0,
            is_over: false,
            line: 1,
            last: 0,
            output: vec![0; MAX_RECORD].into(),
            ends: vec![0; MAX_CELLS].into(),
        }
    }

    /// The next record; none at the end. Lines without a character are no records.
    pub(crate) fn next(&mut self) -> io::Result<Option<Record<'_>>> {
        if !self.skip_empty_lines()? {
            return Ok(None);
        }
        // Where lines end in a carriage return alone, records are counted instead.
        let line = self.line.max(self.last + 1);
        self.last = line;
        let (mut bytes, mut cells) = (0, 0);
        let mut excess = None;
        loop {
            let input = self.input.get(self.rest.clone()).unwrap_or_default();
            let output = self.output.get_mut(bytes..).unwrap_or_default();
            let ends = self.ends.get_mut(cells..).unwrap_or_default();
            let (result, read, written, ended) = self.parser.read_record(input, output, ends);
            let taken = input.get(..read).unwrap_or_default();
            self.line += taken.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
            self.rest.start += read;
            bytes += written;
            cells += ended;
            match result {
                ReadRecordResult::InputEmpty => self.fill()?,
                ReadRecordResult::OutputFull => {
                    if self.line > line {
                        let problem =
                            format!("line {line}: a quote that opens there does not close within 64 KiB");
                        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
                    }
                    excess = Some("is longer than 64 KiB");
                    bytes = 0;
                }
                ReadRecordResult::OutputEndsFull => {
                    excess = Some("has more than 1,024 cells");
                    cells = 0;
                }
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(None),
            }
        }
        let (bytes, ends) = (self.output.get(..bytes), self.ends.get(..cells));
        let cells = match excess {
            Some(excess) => Err(excess.to_owned()),
            None => Ok(Cells {
                bytes: bytes.unwrap_or_default(),
                ends: ends.unwrap_or_default(),
            }),
        };
        Ok(Some(Record { line, cells }))
    }

    /// Goes to the first byte of the next record. Says whether there is one.
    fn skip_empty_lines(&mut self) -> io::Result<bool> {
        loop {
            while let Some(byte) = self.rest.clone().next().and_then(|at| self.input.get(at)) {
                match byte {
                    b'\n' => self.line += 1,
                    b'\r' => {}
                    _ => return Ok(true),
                }
                self.rest.start += 1;
            }
            if self.is_over {
                return Ok(false);
            }
            self.fill()?;
        }
    }

    /// Reads on; at the end of the file the input stays empty, which tells the parser so.
    fn fill(&mut self) -> io::Result<()> {
        if self.is_over {
            return Ok(());
        }
        let read = loop {
            match self.source.read(&mut self.input) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.is_over = read == 0;
        self.rest = 0..read;
        Ok(())
    }
}

/// Bytes read at a time.
const INPUT: usize = 64 * 1024;
/// The longest record, without quotes and separators. Ours: a row names one wallet.
const MAX_RECORD: usize = 64 * 1024;
/// The most cells of a record. Ours.
const MAX_CELLS: usize = 1_024;
