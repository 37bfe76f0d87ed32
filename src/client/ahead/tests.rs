//! Texts that are read ahead of one that takes all, some or none of their operands.

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;

use super::*;

const LONG: Option<Duration> = Some(Duration::from_secs(60));

/// Gives a text in pieces of this length, each time it is woken or, without a waker, at any time.
struct Pieces<'a> {
    text: &'a [u8],
    piece: usize,
    waker: Option<&'a Waker>,
    /// What comes after the text, if not its end.
    after: Option<io::ErrorKind>,
}

impl<'a> Pieces<'a> {
    fn new(text: &'a [u8], piece: usize) -> Pieces<'a> {
        Pieces { text, piece, waker: None, after: None }
    }
}

impl io::Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(waker) = self.waker {
            waker.clear();
        }
        let (piece, rest) = self.text.split_at(self.piece.min(buffer.len()).min(self.text.len()));
        buffer[..piece.len()].copy_from_slice(piece);
        self.text = rest;
        match self.after {
            Some(error) if piece.is_empty() => Err(error.into()),
            _ => Ok(piece.len()),
        }
    }
}

impl TextSource for Pieces<'_> {
    fn input(&self) -> Option<BorrowedFd<'_>> {
        self.waker.map(AsFd::as_fd)
    }
}

/// `7 7 7 ...`
struct Sevens;

impl io::Read for Sevens {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.chunks_exact_mut(2).for_each(|pair| pair.copy_from_slice(b"7 "));
        Ok(buffer.len() & !1)
    }
}

impl TextSource for Sevens {
    fn input(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Takes operands until the text is over, until an error, or until there are so many.
fn take(operands: &mut dyn OperandReader, most: usize, numbers: &mut Vec<Number>) -> Result<(), String> {
    while numbers.len() < most {
        let mut words = [0; 5];
        let taken = operands.take_words(&mut words);
        numbers.extend(words[..taken].iter().copied().map(Number::from));
        if taken > 0 {
            continue;
        }
        match operands.next_item().map_err(|error| error.to_string())? {
            TextItem::Word(word) => numbers.push(word.into()),
            TextItem::Number(number) => numbers.push(number),
            TextItem::Pending => {
                if let Some(input) = operands.input() {
                    assert_eq!(wait(&[input], LONG).unwrap(), [true], "more comes");
                }
                operands.read().map_err(|error| error.to_string())?;
            }
            TextItem::End => return Ok(()),
        }
    }
    Ok(())
}

fn all(source: impl TextSource + Send) -> (Vec<Number>, Result<(), String>) {
    let mut numbers = Vec::new();
    let outcome = reading_ahead(&mut TextOperands::new(source), |operands| {
        let outcome = take(operands, usize::MAX, &mut numbers);
        assert_eq!(operands.next_item().unwrap(), TextItem::End, "the end stays");
        outcome
    });
    (numbers, outcome)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn operands_are_those_of_the_text(
        numbers in prop::collection::vec((any::<i128>(), 0u32..128), 0..300),
        repeats in prop_oneof![Just(1), 1usize..200],
        piece in 1usize..100_000,
    ) {
        let numbers: Vec<Number> = numbers.iter().map(|(number, shift)| (number >> shift).into()).collect();
        let text: String = numbers.iter().map(|number| format!("{number}\n")).collect::<String>().repeat(repeats);
        let (found, outcome) = all(Pieces::new(text.as_bytes(), piece));
        prop_assert_eq!(outcome, Ok(()));
        prop_assert_eq!(found.len(), numbers.len() * repeats);
        prop_assert!(found.chunks(numbers.len().max(1)).all(|found| found == numbers));
    }
}

#[test]
fn errors_come_after_the_operands_before_them() {
    for count in [0, 1, WORDS - 1, WORDS, WORDS + 1, 3 * BLOCKS * WORDS] {
        let text = "1\n".repeat(count) + "  x4 5";
        let (numbers, outcome) = all(Pieces::new(text.as_bytes(), 50_000));
        let place = format!("line {}, column 3: \"x4\" is not an integer", count + 1);
        assert!(outcome.unwrap_err().starts_with(&place), "{place}");
        assert_eq!(numbers, vec![Number::from(1); count]);

        let after = Some(io::ErrorKind::PermissionDenied);
        let (numbers, outcome) = all(Pieces { after, ..Pieces::new(&text.as_bytes()[..2 * count], 50_000) });
        assert_eq!((numbers.len(), outcome), (count, Err("cannot read the operands".to_owned())));
    }
}

#[test]
fn what_there_is_comes_before_the_wait_for_more() {
    let waker = Waker::new().unwrap();
    // It is also woken too often.
    let after = Some(io::ErrorKind::WouldBlock);
    let source = Pieces { waker: Some(&waker), after, ..Pieces::new(b"10 20 30 40 50 60 ", 6) };
    reading_ahead(&mut TextOperands::new(source), |operands| {
        for piece in [[10, 20], [30, 40], [50, 60]] {
            let mut numbers = Vec::new();
            waker.wake();
            take(operands, 2, &mut numbers).unwrap();
            assert_eq!(numbers, piece.map(Number::from));
        }
        waker.wake();
        assert_eq!(operands.next_item().unwrap(), TextItem::Pending);
    });
}

#[test]
fn the_thread_ends_with_the_work() {
    // In the middle of a wait for input that never comes.
    let waker = Waker::new().unwrap();
    let source = Pieces { waker: Some(&waker), ..Pieces::new(b"1 ", 2) };
    reading_ahead(&mut TextOperands::new(source), |_| ());
    // In the middle of a wait for room, of blocks, and before it began.
    for most in [0, 1, 20 * BLOCKS * WORDS] {
        let mut numbers = Vec::new();
        reading_ahead(&mut TextOperands::new(Sevens), |operands| take(operands, most, &mut numbers)).unwrap();
        assert!(numbers.len() >= most && numbers.iter().all(|number| *number == 7));
    }
    let panicked = catch_unwind(|| reading_ahead(&mut TextOperands::new(Sevens), |_| panic!("of the work")));
    assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"of the work"));
}

#[test]
fn few_blocks_wait_however_long_the_text_is() {
    let handover = Handover::new().unwrap();
    let mut text = TextOperands::new(Sevens);
    thread::scope(|scope| {
        scope.spawn(|| handover.read(&mut text));
        let _stop = StopOnDrop(&handover);
        let mut operands = ReadAhead { handover: &handover, block: OperandBlock::default() };
        for round in 0..100 {
            while handover.lock().blocks.len() < BLOCKS {
                thread::sleep(Duration::from_millis(1));
            }
            for _ in 0..round % (2 * BLOCKS) {
                take(&mut operands, WORDS, &mut Vec::new()).unwrap();
                let state = handover.lock();
                assert!(state.blocks.len() <= BLOCKS && state.blocks.len() + state.spare.len() <= BLOCKS + 1);
            }
        }
    });
}

#[test]
fn a_panic_of_the_source_is_the_callers() {
    struct Panics(usize);
    impl io::Read for Panics {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(left) = self.0.checked_sub(1) else { panic!("no more reads") };
            self.0 = left;
            Sevens.read(buffer)
        }
    }
    impl TextSource for Panics {
        fn input(&self) -> Option<BorrowedFd<'_>> {
            None
        }
    }
    for reads in [0, 1, 5] {
        let panicked = catch_unwind(AssertUnwindSafe(|| all(Panics(reads))));
        assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"no more reads"));
    }
}
