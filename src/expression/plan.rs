//! Which parts of an expression can be asked for now.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::{Expression, Node, NodeId};
use crate::arithmetic::Number;
use crate::wire::{Operator, extended};

/// An expression on its way to its value. The caller asks for the operations, in any order and as many at a time as it
/// likes, and returns the answers.
///
/// ```
/// use calc6::arithmetic::evaluate;
/// use calc6::expression::Evaluator;
/// let mut evaluator = Evaluator::new("(1+3)*5 - 2^10".parse()?);
/// while let Some(operation) = evaluator.next_operation() {
///     // A client asks a server; here the operation is computed.
///     let answer = evaluate(operation.operator, &operation.operands, 1000)?;
///     evaluator.answer(operation.node, answer);
/// }
/// assert_eq!(evaluator.result().unwrap(), &-1004);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Evaluator {
    parts: Vec<NodeProgress>,
    /// Parts whose operands are all known, the next one last.
    ready: Vec<NodeId>,
}

/// An operation to ask a server for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// The node whose value this is: for [`Evaluator::answer`].
    pub node: NodeId,
    /// The operator; never describe.
    pub operator: Operator,
    /// Its operands. Results among them may be of any size; where the operator is associative, and so can be asked in
    /// parts, there may be more than fit one request.
    pub operands: Vec<Number>,
}

#[derive(Debug, Clone)]
struct NodeProgress {
    state: NodeState,
    column: Option<usize>,
    used_by: Option<NodeId>,
}

#[derive(Debug, Clone)]
enum NodeState {
    Waiting {
        operator: Operator,
        operands: Vec<NodeId>,
        unknown: usize,
    },
    /// Operands that no longer are nodes of their own.
    Ready {
        operator: Operator,
        operands: VecDeque<Number>,
    },
    /// Asked, with the first operands alone where `rest` is not empty: it is to follow the answer.
    Asked {
        operator: Operator,
        rest: VecDeque<Number>,
    },
    Known(Number),
    /// Handed out as an operand.
    Used,
}

impl Evaluator {
    /// Begins to evaluate an expression.
    pub fn new(expression: Expression) -> Evaluator {
        let mut parts: Vec<NodeProgress> = Vec::with_capacity(expression.nodes.len());
        let mut ready = Vec::new();
        for (id, node) in expression.nodes.into_iter().enumerate() {
            let mut place = None;
            let state = match node {
                Node::Number(number) => NodeState::Known(number),
                Node::Apply { operator, operands, column } => {
                    place = Some(column);
                    let mut unknown = 0;
                    for &operand in &operands {
                        parts[operand].used_by = Some(id);
                        unknown += usize::from(!matches!(parts[operand].state, NodeState::Known(_)));
                    }
                    if unknown == 0 {
                        ready.push(id);
                    }
                    NodeState::Waiting { operator, operands, unknown }
                }
            };
            parts.push(NodeProgress { state, column: place, used_by: None });
        }
        ready.reverse();
        Evaluator { parts, ready }
    }

    /// Where the operator of a node is in the text; `None` for an integer. 1 is the first character.
    pub fn column(&self, node: NodeId) -> Option<usize> {
        self.parts.get(node)?.column
    }

    /// An operation that can be asked for now, if there is one. Each is handed out once; as long as there are some,
    /// they are independent of each other.
    pub fn next_operation(&mut self) -> Option<Operation> {
        let node = self.ready.pop()?;
        let (operator, mut operands): (Operator, VecDeque<Number>) = match self.replace(node, NodeState::Used) {
            NodeState::Waiting { operator, operands, .. } => {
                (operator, operands.into_iter().map(|operand| self.take(operand)).collect())
            }
            NodeState::Ready { operator, operands } => (operator, operands),
            _ => unreachable!("only what waits is ready"),
        };
        let count = if operator.is_associative() { operands.len() } else { fitting(&operands) };
        let asked = operands.drain(..count).collect();
        self.replace(node, NodeState::Asked { operator, rest: operands });
        Some(Operation { node, operator, operands: asked })
    }

    /// Takes the answer to a question.
    ///
    /// # Panics
    /// If the question was not asked, or was answered before.
    pub fn answer(&mut self, node: NodeId, result: Number) {
        match self.replace(node, NodeState::Used) {
            NodeState::Asked { rest, .. } if rest.is_empty() => {
                self.replace(node, NodeState::Known(result));
                self.tell_user(node);
            }
            NodeState::Asked { operator, mut rest } => {
                // The answer takes the first place; what is left is subtracted from it or divides it.
                rest.push_front(result);
                self.replace(node, NodeState::Ready { operator, operands: rest });
                self.ready.push(node);
            }
            _ => panic!("node {node} has no open question"),
        }
    }

    /// The value of the whole expression, once every question is answered.
    pub fn result(&self) -> Option<&Number> {
        match &self.parts.last()?.state {
            NodeState::Known(number) => Some(number),
            _ => None,
        }
    }

    fn tell_user(&mut self, node: NodeId) {
        let Some(user) = self.parts[node].used_by else { return };
        if let NodeState::Waiting { unknown, .. } = &mut self.parts[user].state {
            *unknown -= 1;
            if *unknown == 0 {
                self.ready.push(user);
            }
        }
    }

    /// Every node is an operand once at most, so its value can be moved.
    fn take(&mut self, operand: NodeId) -> Number {
        match self.replace(operand, NodeState::Used) {
            NodeState::Known(number) => number,
            _ => unreachable!("the operands of what is ready are known"),
        }
    }

    fn replace(&mut self, node: NodeId, state: NodeState) -> NodeState {
        core::mem::replace(&mut self.parts[node].state, state)
    }
}

/// How many of these operands fit one request, the first and one more in any case. Differences, quotients and
/// remainders are taken in turn, so that the result of the first operands may replace them.
fn fitting(operands: &VecDeque<Number>) -> usize {
    let mut width = 0;
    let fits = |(count, operand): (usize, &Number)| {
        width = width.max(operand.octet_len());
        count < 2 || width * (count + 1) <= extended::MAX_OPERAND_OCTETS
    };
    operands.iter().enumerate().map(fits).take_while(|&fits| fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::evaluate;

    #[test]
    fn independent_parts_are_ready_at_the_same_time() {
        let mut plan = Evaluator::new(Expression::parse("(1+2)*(3+4) - gcd(5,6)*7", None).unwrap());
        let first: Vec<Operation> = std::iter::from_fn(|| plan.next_operation()).collect();
        let shown: Vec<_> = first.iter().map(|question| (question.operator.symbol(), &question.operands[..])).collect();
        let numbers = |a, b| [Number::from(a), Number::from(b)];
        assert_eq!(shown, [('+', &numbers(1, 2)[..]), ('+', &numbers(3, 4)), ('g', &numbers(5, 6))]);
        // Answered in another order, parts become ready as soon as they can.
        plan.answer(first[2].node, Number::from(1));
        let product = plan.next_operation().unwrap();
        assert_eq!((product.operator, product.operands), (Operator::Product, numbers(1, 7).to_vec()));
        assert_eq!(plan.next_operation(), None);
        assert_eq!(plan.result(), None);
    }

    #[test]
    fn what_is_taken_in_turn_is_asked_in_parts_that_fit() {
        let text = format!("7{}", " - 300".repeat(1_000));
        let mut plan = Evaluator::new(Expression::parse(&text, None).unwrap());
        let mut counts = Vec::new();
        while let Some(Operation { node, operator, operands }) = plan.next_operation() {
            counts.push(operands.len());
            plan.answer(node, evaluate(operator, &operands, 0).unwrap());
        }
        // Two octets each, then, from -182,693 on, three.
        assert_eq!(counts, [610, 392]);
        assert_eq!(plan.result(), Some(&Number::from(7 - 300_000)));
    }

    #[test]
    fn an_integer_alone_needs_no_question() {
        let mut plan = Evaluator::new(Expression::parse("-7", None).unwrap());
        assert_eq!(plan.next_operation(), None);
        assert_eq!(plan.result(), Some(&Number::from(-7)));
    }
}
