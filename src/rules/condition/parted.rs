//! A condition about events in two parts: what an event alone answers is asked before there is any work, the rest of those
//! whom the work finds.

use super::names::Names;
use super::tree::{Kind, Node};
use super::{Condition, Topic};

impl Condition {
    /// What of it the event alone answers, and the rest. Both hold exactly where the whole does: they are the sides of its
    /// outermost `&&`. Each keeps the whole text.
    pub fn parted(&self) -> (Option<Self>, Option<Self>) {
        let mut sides = Vec::new();
        split(&self.root, &mut sides);
        let (alone, rest): (Vec<_>, Vec<_>) = sides.into_iter().partition(|side| is_of_event(side, self.topic));
        (self.with(alone), self.with(rest))
    }

    fn with(&self, sides: Vec<Node>) -> Option<Self> {
        let and = |one: Node, other: Node| {
            let (span, ty) = (one.span.start..other.span.end, one.ty.clone());
            Node { kind: Kind::And(Box::new(one), Box::new(other)), span, ty }
        };
        Some(Self::of(self.text.clone(), self.topic, sides.into_iter().reduce(and)?))
    }
}

fn split(node: &Node, into: &mut Vec<Node>) {
    match &node.kind {
        Kind::And(one, other) => {
            split(one, into);
            split(other, into);
        }
        _ => into.push(node.clone()),
    }
}

/// Who did it may have to be read. Where the event is looked at as a whole, it may be that.
fn is_of_event(side: &Node, topic: Topic) -> bool {
    topic.names().fields.iter().all(|(fact, _)| {
        let names = Names::of(fact, side);
        match *fact {
            "account" | "now" => true,
            "event" => names.below("by_api_user").is_none(),
            _ => names.is_nothing(),
        }
    })
}
