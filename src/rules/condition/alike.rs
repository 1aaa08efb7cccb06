//! The checker's part about what is compared: what could never be equal, or never differ, is a mistake.

use std::ops::Range;

use super::ConditionError;
use super::check::{Checker, field_of};
use super::fields::Type;
use super::tree::{Compare, Kind, Literal, Node};
use crate::rules::nearest;

const NEVER_EQUAL: &str = "expected two of a kind: these are never equal";

type Checked<T> = Result<T, ConditionError>;

impl Checker<'_> {
    pub(super) fn is_in(&self, item: Node, list: Node, token: Range<usize>) -> Checked<Node> {
        match &list.ty {
            Type::Dyn => {}
            Type::List(of) if of.compares_with(&item.ty) => {}
            Type::List(of) => {
                let what = format!("{} is {}, and the list holds {of}", self.said(&item), item.ty);
                return Err(ConditionError::new(item.span.clone(), what, format!("expected {of} before in")));
            }
            ty => {
                let what = format!("{} is {ty}", self.said(&list));
                return Err(ConditionError::new(list.span.clone(), what, "expected a list after in"));
            }
        }
        if item.ty.holds_objects() {
            self.are_values(&item, &list)?;
        }
        if let Kind::List(items) = &list.kind {
            for value in items {
                self.are_alike(&item, value, value.span.clone(), NEVER_EQUAL)?;
                self.can_be(&item, value)?;
            }
            self.can_hold(&item, &list)?;
        }
        Ok(self.made(Kind::In(Box::new(item), Box::new(list)), token, Type::Bool))
    }

    pub(super) fn compare(&self, how: Compare, one: Node, other: Node, token: Range<usize>) -> Checked<Node> {
        let help = match (&one.ty, &other.ty) {
            (Type::Time, Type::Text) | (Type::Text, Type::Time) => {
                "expected two times, as in timestamp(\"2026-01-31T00:00:00Z\")"
            }
            _ => NEVER_EQUAL,
        };
        self.are_alike(&one, &other, token.clone(), help)?;
        self.can_hold(&one, &other)?;
        self.can_hold(&other, &one)?;
        if matches!(how, Compare::Equal | Compare::Unequal) {
            self.are_values(&one, &other)?;
            self.can_be(&one, &other)?;
            self.can_be(&other, &one)?;
        } else {
            for side in [&one, &other] {
                if !matches!(side.ty, Type::Dyn | Type::Number | Type::Text | Type::Time | Type::Duration) {
                    let what = format!("{} is {} and has no order", self.said(side), side.ty);
                    let help = "expected numbers, texts, times or durations";
                    return Err(ConditionError::new(side.span.clone(), what, help));
                }
            }
        }
        Ok(self.made(Kind::Compare(how, Box::new(one), Box::new(other)), token, Type::Bool))
    }

    /// That values of these two can be equal at all.
    pub(super) fn are_alike(&self, one: &Node, other: &Node, at: Range<usize>, help: &str) -> Checked<()> {
        if one.ty.compares_with(&other.ty) {
            return Ok(());
        }
        let what = format!("{} is {}, and {} is {}", self.said(one), one.ty, self.said(other), other.ty);
        Err(ConditionError::new(at, what, help))
    }

    /// That neither is an object, which nothing equals; null is what is not there, and a list may be empty.
    fn are_values(&self, one: &Node, other: &Node) -> Checked<()> {
        if let Some(object) = [one, other].into_iter().find(|side| side.ty.holds_objects())
            && ![one, other].into_iter().any(|side| side.ty == Type::Null || is_empty_list(side))
        {
            let what = format!("{} is {}", self.said(object), object.ty);
            let help = "expected one of its fields: objects are equal to nothing";
            return Err(ConditionError::new(object.span.clone(), what, help));
        }
        Ok(())
    }

    /// That a value that is written out is one of those which Zoom documents of a field, where those are all.
    fn can_be(&self, field: &Node, value: &Node) -> Checked<()> {
        let (Kind::Field(of, name, _), Kind::Literal(literal)) = (&field.kind, &value.kind) else { return Ok(()) };
        // What dyn() was said of may be anything.
        let Type::Object(shapes) = &of.ty else { return Ok(()) };
        let Some(declared) = field_of(shapes, name).filter(|_| field.ty != Type::Dyn) else { return Ok(()) };
        if declared.can_be(literal) {
            return Ok(());
        }
        let (said, known) = (self.said(field), declared.alternatives());
        let near = match literal {
            Literal::Text(text) => nearest(text, declared.texts().iter().copied()),
            _ => None,
        };
        let near = near.map_or_else(String::new, |near| format!("did you mean {near:?}? "));
        let help = format!("{near}Zoom documents {known}; dyn({said}) may be anything");
        Err(ConditionError::new(value.span.clone(), format!("{said} is never {}", self.said(value)), help))
    }
}

fn is_empty_list(node: &Node) -> bool {
    matches!(&node.kind, Kind::List(items) if items.is_empty())
}
