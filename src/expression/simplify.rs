//! A tree as it was written to one of fewer requests: chains of one operator become one node.
//!
//! Every rule keeps the exact result, as integers have no size that an intermediate result could exceed.

use alloc::vec;
use alloc::vec::Vec;

use super::parse::Draft;
use super::{Node, NodeId, SyntaxError, SyntaxErrorKind};
use crate::arithmetic::Number;
use crate::wire::{Operator, extended};

pub(super) fn simplify(drafts: Vec<Draft>) -> Result<Vec<Node>, SyntaxError> {
    let placements = placements(&drafts);
    let mut output = Simplified { nodes: Vec::new(), free: Vec::new() };
    // Free nodes below each draft: more than one where a chain is still to be joined by the one above it.
    let mut counts = vec![0; drafts.len()];
    for (place, draft) in drafts.into_iter().enumerate() {
        let placement = placements[place];
        match draft {
            Draft::Number { number, column } => {
                if number.octet_len() > extended::MAX_WIDTH {
                    return Err(SyntaxError::new(column, SyntaxErrorKind::IntegerTooLarge));
                }
                output.push(Node::Number(number), placement.negative);
            }
            Draft::Apply { operator, operands, column } => {
                let count = operands.iter().map(|&operand| counts[operand]).sum();
                if placement.joins {
                    counts[place] = count;
                    continue;
                }
                let terms = output.free.split_off(output.free.len() - count);
                if let [Term { node, negative: false }] = terms[..]
                    && operator == Operator::Difference
                {
                    // Negated twice: the node as it was.
                    output.free.push(Term { node, negative: placement.negative });
                    counts[place] = 1;
                    continue;
                }
                let node = if is_additive(operator) {
                    output.additive(terms, column)
                } else {
                    apply(operator, terms.into_iter().map(|term| term.node).collect(), column)
                };
                output.push(node, placement.negative);
            }
        }
        counts[place] = 1;
    }
    Ok(output.nodes)
}

/// What a draft is to the one that uses it.
#[derive(Debug, Clone, Copy, Default)]
struct Placement {
    /// Its operands become operands of the one above.
    joins: bool,
    /// The chain of sums and differences that it is part of subtracts it.
    negative: bool,
}

/// From the whole down to the parts, because a sign reaches as far down as the chain does.
fn placements(drafts: &[Draft]) -> Vec<Placement> {
    let mut placements = vec![Placement::default(); drafts.len()];
    for (place, draft) in drafts.iter().enumerate().rev() {
        let Draft::Apply { operator, operands, .. } = draft else { continue };
        let inherited = placements[place].joins && placements[place].negative;
        for (position, &operand) in operands.iter().enumerate() {
            let taken_away = *operator == Operator::Difference && (position > 0 || operands.len() == 1);
            let negative = is_additive(*operator) && (taken_away != inherited);
            placements[operand] = Placement { joins: joins(&drafts[operand], *operator, position), negative };
        }
    }
    placements
}

/// Whether operand number `position` of `above` may give its own operands to it.
fn joins(operand: &Draft, above: Operator, position: usize) -> bool {
    match operand {
        Draft::Number { .. } => false,
        Draft::Apply { operator, .. } if is_additive(above) => is_additive(*operator),
        // Divided in turn: only what is divided first may be a chain itself.
        Draft::Apply { operator, .. } if matches!(above, Operator::Quotient | Operator::Remainder) => {
            *operator == above && position == 0
        }
        Draft::Apply { operator, .. } => *operator == above && above.is_associative(),
    }
}

fn is_additive(operator: Operator) -> bool {
    matches!(operator, Operator::Sum | Operator::Difference)
}

/// A node that no other uses yet.
#[derive(Debug, Clone, Copy)]
struct Term {
    node: NodeId,
    negative: bool,
}

struct Simplified {
    nodes: Vec<Node>,
    free: Vec<Term>,
}

impl Simplified {
    fn push(&mut self, node: Node, negative: bool) {
        self.free.push(Term { node: self.nodes.len(), negative });
        self.nodes.push(node);
    }

    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// A chain of sums and differences: one request where a sum or a difference says it all, else two.
    fn additive(&mut self, mut terms: Vec<Term>, column: usize) -> Node {
        let as_written = !terms[0].negative && terms[1..].iter().all(|term| term.negative);
        if as_written && terms.len() > 1 {
            return apply(Operator::Difference, terms.iter().map(|term| term.node).collect(), column);
        }
        self.negate_integers(&mut terms);
        let (taken_away, added): (Vec<Term>, Vec<Term>) = terms.into_iter().partition(|term| term.negative);
        let taken_away: Vec<NodeId> = taken_away.into_iter().map(|term| term.node).collect();
        let added: Vec<NodeId> = added.into_iter().map(|term| term.node).collect();
        let minuend = match added[..] {
            _ if taken_away.is_empty() => return apply(Operator::Sum, added, column),
            [] if taken_away.len() == 1 => None,
            [] => Some(self.add(Node::Number(Number::ZERO))),
            [one] => Some(one),
            _ => Some(self.add(apply(Operator::Sum, added, column))),
        };
        apply(Operator::Difference, minuend.into_iter().chain(taken_away).collect(), column)
    }

    /// Subtracts integers by adding their negation, where that fits a request.
    fn negate_integers(&mut self, terms: &mut [Term]) {
        for term in terms.iter_mut().filter(|term| term.negative) {
            if let Node::Number(number) = &mut self.nodes[term.node] {
                let negated = -number.clone();
                if negated.octet_len() <= extended::MAX_WIDTH {
                    *number = negated;
                    term.negative = false;
                }
            }
        }
    }
}

fn apply(operator: Operator, operands: Vec<NodeId>, column: usize) -> Node {
    Node::Apply { operator, operands, column }
}
