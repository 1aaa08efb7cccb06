//! Why a condition held or not: each of its leaves, with what it saw.

use serde_json::Value;

use super::EvaluationError;
use super::eval::Run;
use super::tree::{Kind, Node};

/// A part of a condition that is true or false by itself: what `&&`, `||`, `!` and `?:` put together.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    pub text: String,
    /// The facts that it looked at, in the order of the text.
    pub saw: Vec<Seen>,
    pub outcome: Result<bool, EvaluationError>,
}

/// One fact. The value may name a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub text: String,
    pub value: Result<Value, EvaluationError>,
}

pub(super) fn leaves(text: &str, root: &Node, facts: &Value) -> Vec<Leaf> {
    let mut nodes = Vec::new();
    split(root, &mut nodes);
    let said = |node: &Node| text.get(node.span.clone()).unwrap_or_default().to_owned();
    let leaf = |node: &Node| {
        let mut seen = Vec::new();
        facts_of(node, &mut seen);
        let value = |node: &Node| Run::new(text, facts).value(node).map(|value| value.to_json());
        let saw = seen.into_iter().map(|node| Seen { text: said(node), value: value(node) });
        Leaf { text: said(node), saw: saw.collect(), outcome: Run::new(text, facts).truth(node) }
    };
    nodes.into_iter().map(leaf).collect()
}

fn split<'a>(node: &'a Node, into: &mut Vec<&'a Node>) {
    match &node.kind {
        Kind::And(..) | Kind::Or(..) | Kind::Not(_) | Kind::If(..) => {
            node.children().into_iter().for_each(|child| split(child, into));
        }
        _ => into.push(node),
    }
}

/// The facts that a leaf looks at, each as far down as the leaf goes. What a macro looks at in each item is left out: the
/// list that it walks is there.
fn facts_of<'a>(node: &'a Node, into: &mut Vec<&'a Node>) {
    match &node.kind {
        _ if is_fact(node) => into.push(node),
        Kind::Macro(_, of, _) => facts_of(of, into),
        _ => node.children().into_iter().for_each(|child| facts_of(child, into)),
    }
}

fn is_fact(node: &Node) -> bool {
    match &node.kind {
        Kind::Fact(..) => true,
        Kind::Field(of, ..) => is_fact(of),
        Kind::Index(of, at) => is_fact(of) && matches!(at.kind, Kind::Literal(_)),
        _ => false,
    }
}
