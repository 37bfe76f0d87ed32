//! What is asked, owned, and how it is asked more widely.

use alloc::vec;
use alloc::vec::Vec;

use super::plan::{Forms, PlanError, plan};
use crate::arithmetic::Number;
use crate::wire::{AMPLIFICATION, Form, Format, MAX_REQUEST, Operator, classic, extended};

/// A request without its identifier: valid by construction, encoded once.
///
/// ```
/// use calc6::exchange::Question;
/// use calc6::wire::{Format, Operator};
/// let question = Question::extended(Operator::Power, Format::Text, 1, vec![2, 100])?;
/// assert_eq!((question.width(), question.request_len()), (1, 14));
/// # Ok::<(), calc6::wire::extended::RequestError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    form: Form,
    operator: Operator,
    format: Format,
    width: u8,
    operands: Vec<u8>,
}

impl Question {
    /// A question in the classic form.
    ///
    /// # Errors
    /// The operator is neither sum nor product, or there are not 1 to 64 operands.
    pub fn classic(
        operator: Operator,
        format: Format,
        operands: impl IntoIterator<Item = u32>,
    ) -> Result<Question, classic::RequestError> {
        let operands: Vec<u8> = operands.into_iter().flat_map(u32::to_be_bytes).collect();
        classic::Request::new(operator, format, &operands)?;
        Ok(Question { form: Form::Classic, operator, format, width: classic::OPERAND as u8, operands })
    }

    /// A question in the extended form: `operands` are two's complement integers of `width` octets each, in network
    /// byte order, one after the other.
    ///
    /// # Errors
    /// Operands that are not whole, that the operator does not take, or that do not fit one request.
    pub fn extended(
        operator: Operator,
        format: Format,
        width: u8,
        operands: Vec<u8>,
    ) -> Result<Question, extended::RequestError> {
        extended::Request::new(operator, format, width, 0, &operands)?;
        Ok(Question { form: Form::Extended, operator, format, width, operands })
    }

    /// The question for `operator` over these numbers: classic where request and result can be expressed in that form
    /// and `forms` allows it, else extended, at the least Width.
    ///
    /// ```
    /// use calc6::exchange::{Forms, Question};
    /// use calc6::wire::{Form, Format, Operator};
    /// let classic = Question::from_numbers(Operator::Sum, Format::Integer, Forms::Either, [1, 3, 5])?;
    /// assert_eq!((classic.form(), classic.request_len()), (Form::Classic, 13));
    /// let extended = Question::from_numbers(Operator::Sum, Format::Integer, Forms::Either, [-2, 300])?;
    /// assert_eq!((extended.form(), extended.width()), (Form::Extended, 2));
    /// # Ok::<(), calc6::exchange::PlanError>(())
    /// ```
    ///
    /// # Errors
    /// No single request can express it.
    pub fn from_numbers<N: Into<Number>>(
        operator: Operator,
        format: Format,
        forms: Forms,
        operands: impl IntoIterator<Item = N>,
    ) -> Result<Question, PlanError> {
        let operands: Vec<Number> = operands.into_iter().map(Into::into).collect();
        let plan = plan(operator, format, forms, &operands)?;
        match (&plan.parts[..], &plan.first) {
            ([part], None) => Ok(part.question(operator, format, &operands)),
            _ => Err(PlanError::too_many(operator, format, &operands)),
        }
    }

    /// The form it is asked in.
    pub fn form(&self) -> Form {
        self.form
    }

    /// What is asked for.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// How the result is to travel.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Octets of each operand.
    pub fn width(&self) -> u8 {
        self.width
    }

    /// The operands as they travel.
    pub fn operands(&self) -> &[u8] {
        &self.operands
    }

    /// Length of the request in octets.
    pub fn request_len(&self) -> usize {
        let header = match self.form {
            Form::Classic => classic::HEADER,
            Form::Extended => extended::HEADER,
        };
        header + self.operands.len()
    }

    /// The same question as an extended request that is long enough for a reply of `needed` octets, which may be three
    /// times as long as its request: operands at a larger Width, or for describe more padding. `None` if none of at
    /// most [`MAX_REQUEST`] octets is.
    pub fn widened(&self, needed: u32) -> Option<Question> {
        let len = (needed as usize).div_ceil(AMPLIFICATION);
        if self.form == Form::Classic || len > MAX_REQUEST {
            return None;
        }
        let octets = len.saturating_sub(extended::HEADER).max(self.operands.len());
        let (width, operands) = if self.operator == Operator::Describe {
            (1, vec![0; octets])
        } else {
            let narrow = usize::from(self.width);
            let width = octets.div_ceil(self.operands.len() / narrow);
            (u8::try_from(width).ok()?, sign_extended(&self.operands, narrow, width))
        };
        Question::extended(self.operator, self.format, width, operands).ok()
    }

    /// The request on the wire; a classic one has no identifier.
    pub(super) fn encode(&self, id: u64) -> Vec<u8> {
        let Question { operator, format, width, ref operands, .. } = *self;
        let mut datagram = vec![0; self.request_len()];
        // Neither fails: the constructors have made the same check.
        match self.form {
            Form::Classic => {
                let request = classic::Request::new(operator, format, operands);
                request.map(|request| request.encode(&mut datagram)).unwrap_or_default()
            }
            Form::Extended => {
                let request = extended::Request::new(operator, format, width, id, operands);
                request.map(|request| request.encode(&mut datagram)).unwrap_or_default()
            }
        };
        datagram
    }
}

/// The same two's complement integers at a larger width.
fn sign_extended(operands: &[u8], narrow: usize, wide: usize) -> Vec<u8> {
    let mut extended = Vec::with_capacity(operands.len() / narrow * wide);
    for operand in operands.chunks_exact(narrow) {
        let sign = if operand[0] & 0x80 == 0 { 0x00 } else { 0xff };
        extended.extend(core::iter::repeat_n(sign, wide - narrow));
        extended.extend_from_slice(operand);
    }
    extended
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extended(operator: Operator, width: u8, operands: &[u8]) -> Question {
        Question::extended(operator, Format::Text, width, operands.to_vec()).unwrap()
    }

    #[test]
    fn wider_requests_say_the_same() {
        let question = extended(Operator::Power, 2, &[0xff, 0xfe, 0x0f, 0xa0]);
        let wide = question.widened(3 * 18).unwrap();
        assert_eq!((wide.width(), wide.request_len()), (3, 18));
        assert_eq!(wide.operands(), [0xff, 0xff, 0xfe, 0x00, 0x0f, 0xa0], "the sign is extended");
        assert_eq!(question.widened(3 * 18 + 1).unwrap().width(), 4, "the request is never too short");
        assert_eq!(question.widened(3 * (12 + 2 * 255)).unwrap().width(), 255);
        assert_eq!(question.widened(3 * (12 + 2 * 255) + 1), None, "there is no Width of 256");
    }

    #[test]
    fn no_request_is_longer_than_the_longest() {
        let question = extended(Operator::Sum, 1, &[1; 700]);
        assert_eq!(question.widened(3 * 712).unwrap(), question);
        assert_eq!(question.widened(3 * 713), None, "700 operands of two octets do not fit");
        assert_eq!(extended(Operator::Sum, 2, &[1; 1220]).widened(3697), None);
        assert_eq!(extended(Operator::Sum, 2, &[1; 1220]).widened(u32::MAX), None);
    }

    #[test]
    fn describe_is_padded() {
        let bare = extended(Operator::Describe, 0, &[]);
        for needed in [0, 36, 37, 500, 3696] {
            let wide = bare.widened(needed).unwrap();
            assert!(3 * wide.request_len() >= needed as usize);
            assert_eq!(wide.request_len(), (needed as usize).div_ceil(3).max(12));
        }
        assert_eq!(bare.widened(3697), None);
    }

    #[test]
    fn the_classic_form_has_no_width() {
        let question = Question::classic(Operator::Sum, Format::Integer, [4, 2, 3]).unwrap();
        assert_eq!(question.encode(7), [0, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 3]);
        assert_eq!(question.widened(30), None);
    }
}
