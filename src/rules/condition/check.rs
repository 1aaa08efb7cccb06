//! The checker: the crate's tree becomes ours, and whatever cannot mean anything is told with its place.

use std::ops::Range;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};

use super::ConditionError;
use super::fields::{Field, Shape, Topic, Type};
use super::parse::{Parsed, span_of};
use super::tree::{Arithmetic, As, Compare, Kind, Literal, Node};
use crate::rules::nearest;

/// Levels of the tree: of operators in a row, each is one.
const LEVELS_MAX: usize = 64;

pub(super) struct Checker<'a> {
    pub(super) text: &'a str,
    pub(super) parsed: &'a Parsed,
    pub(super) names: &'static Shape,
    /// The names that macros bring, from the outside in.
    pub(super) locals: Vec<(String, Type)>,
    pub(super) levels: usize,
}

type Checked<T> = Result<T, ConditionError>;

/// The condition as a tree whose value is true or false.
pub(super) fn check(text: &str, parsed: &Parsed, topic: Topic) -> Checked<Node> {
    let mut checker = Checker { text, parsed, names: topic.names(), locals: Vec::new(), levels: 0 };
    let node = checker.node(&parsed.root)?;
    checker.wants(&node, &Type::Bool, "the condition", "expected true or false, as in user.type == 2")?;
    Ok(node)
}

impl Checker<'_> {
    pub(super) fn node(&mut self, expr: &IdedExpr) -> Checked<Node> {
        let token = span_of(&self.parsed.places, expr.id);
        if self.levels >= LEVELS_MAX {
            let what = format!("the condition has more than {LEVELS_MAX} levels");
            return Err(ConditionError::new(token, what, "expected a simpler one, or a list with in"));
        }
        self.levels = self.levels.saturating_add(1);
        let node = self.kind(expr, token);
        self.levels = self.levels.saturating_sub(1);
        node
    }

    fn kind(&mut self, expr: &IdedExpr, token: Range<usize>) -> Checked<Node> {
        match &expr.expr {
            Expr::Literal(literal) => self.literal(literal, token),
            Expr::Ident(name) => self.name(name, token),
            Expr::Select(select) => self.field(&select.operand, &select.field, token),
            Expr::List(list) => {
                let items = list.elements.iter().map(|item| self.node(item)).collect::<Checked<Vec<_>>>()?;
                let of = items.iter().map(|item| item.ty.clone()).reduce(Type::or).unwrap_or(Type::Dyn);
                Ok(self.made(Kind::List(items), token, Type::List(Box::new(of))))
            }
            Expr::Call(call) => self.call(call, token),
            Expr::Map(_) | Expr::Struct(_) => Err(ConditionError::new(
                token,
                "objects cannot be written in a condition",
                "expected a list or a value",
            )),
            Expr::Comprehension(_) | Expr::Unspecified => {
                Err(ConditionError::new(token, "this is not part of the language", "expected a simpler condition"))
            }
        }
    }

    /// A node with the whole of its text.
    pub(super) fn made(&self, kind: Kind, token: Range<usize>, ty: Type) -> Node {
        let mut node = Node { kind, span: token.clone(), ty };
        node.span = self.whole(token, &node.children());
        node
    }

    /// The text of a token, of what is below it, and of the brackets that either opens.
    pub(super) fn whole(&self, token: Range<usize>, below: &[&Node]) -> Range<usize> {
        let (mut start, mut end) = (token.start, token.end);
        for child in below {
            (start, end) = (start.min(child.span.start), end.max(child.span.end));
        }
        // What is within brackets may be wider than what was inside them.
        loop {
            let half = self
                .parsed
                .brackets
                .iter()
                .find(|(open, close)| (start..end).contains(*open) != (start..end).contains(*close));
            let Some((open, close)) = half else { break };
            (start, end) = (start.min(*open), end.max(close.saturating_add(1)));
        }
        start..end
    }

    fn literal(&self, literal: &LiteralValue, mut token: Range<usize>) -> Checked<Node> {
        let (value, ty) = match literal {
            LiteralValue::Null => (Literal::Null, Type::Null),
            LiteralValue::Boolean(value) => (Literal::Bool(*value.inner()), Type::Bool),
            LiteralValue::Int(value) => (Literal::Int(*value.inner()), Type::Number),
            LiteralValue::UInt(value) => match i64::try_from(*value.inner()) {
                Ok(value) => (Literal::Int(value), Type::Number),
                Err(_) => return Err(ConditionError::new(token, "a number is too large", "expected one of 64 bits")),
            },
            LiteralValue::Double(value) => (Literal::Double(*value.inner()), Type::Number),
            LiteralValue::String(value) => (Literal::Text(value.inner().to_owned()), Type::Text),
            LiteralValue::Bytes(_) => {
                return Err(ConditionError::new(
                    token,
                    "bytes are not part of the language",
                    "expected a text, without b",
                ));
            }
        };
        // The crate leaves the sign of a number out of its place.
        let before = self.text.get(..token.start).unwrap_or_default();
        if matches!(value, Literal::Int(..0) | Literal::Double(..0.0)) && before.ends_with('-') {
            token.start = token.start.saturating_sub(1);
        }
        Ok(Node { kind: Kind::Literal(value), span: token, ty })
    }

    fn name(&self, name: &str, token: Range<usize>) -> Checked<Node> {
        if let Some((level, (_, ty))) = self.locals.iter().enumerate().rev().find(|(_, (local, _))| local == name) {
            return Ok(Node { kind: Kind::Local(level), span: token, ty: ty.clone() });
        }
        let known = self.names.fields.iter().find(|(known, _)| *known == name);
        let Some((name, field)) = known else {
            let known = self.names.fields.iter().map(|(known, _)| *known);
            let locals = self.locals.iter().map(|(local, _)| local.as_str());
            let help = match name {
                "user" | "meeting" | "event" => format!(
                    "expected {}: that is what the rule is about",
                    self.names.fields.first().map_or("", |(name, _)| *name)
                ),
                "groups" | "settings" if self.names.fields.iter().any(|(known, _)| *known == "user") => {
                    format!("expected user.{name}")
                }
                _ => expected(name, known.chain(locals)),
            };
            return Err(ConditionError::new(token, format!("nothing is named {name}"), help));
        };
        Ok(Node { kind: Kind::Fact(name, read_as(field)), span: token, ty: field.ty() })
    }

    fn field(&mut self, of: &IdedExpr, name: &str, token: Range<usize>) -> Checked<Node> {
        let of = self.node(of)?;
        let (ty, how, token) = self.field_of(&of, name, token)?;
        Ok(self.made(Kind::Field(Box::new(of), name.to_owned(), how), token, ty))
    }

    /// The type of a field, with the place of its name.
    fn field_of(&self, of: &Node, name: &str, dot: Range<usize>) -> Checked<(Type, As, Range<usize>)> {
        let after = self.text.get(dot.end..).unwrap_or_default();
        let start = after.find(name).map_or(dot.start, |at| dot.end.saturating_add(at));
        let token = start..start.saturating_add(name.len());
        match &of.ty {
            Type::Dyn => Ok((Type::Dyn, As::Itself, token)),
            Type::Object(shape) => {
                if let Some(field) = shape.field(name) {
                    return Ok((field.ty(), read_as(field), token));
                }
                let known = shape.fields.iter().map(|(known, _)| *known);
                let what = format!("{} has no field {name}", self.said(of));
                Err(ConditionError::new(token, what, expected(name, known)))
            }
            ty => {
                let what = format!("{} is {ty} and has no fields", self.said(of));
                Err(ConditionError::new(token, what, "expected a field of an object, as in user.type"))
            }
        }
    }

    /// What is asked for is a field: whether it is there and not null.
    pub(super) fn has(&mut self, argument: &IdedExpr, token: Range<usize>) -> Checked<Node> {
        let Expr::Select(select) = &argument.expr else {
            let what = "has() takes a field";
            return Err(ConditionError::new(token, what, "expected has(user.dept) or another field"));
        };
        let of = self.node(&select.operand)?;
        self.field_of(&of, &select.field, span_of(&self.parsed.places, argument.id))?;
        Ok(self.made(Kind::Has(Box::new(of), select.field.clone()), token, Type::Bool))
    }

    /// The text of a node, for messages.
    pub(super) fn said(&self, node: &Node) -> &str {
        self.text.get(node.span.clone()).unwrap_or_default()
    }

    /// That a node has this type, as far as it can be known.
    pub(super) fn wants(&self, node: &Node, ty: &Type, who: &str, help: &str) -> Checked<()> {
        if node.ty == *ty || node.ty == Type::Dyn {
            return Ok(());
        }
        let said = if who.is_empty() { self.said(node) } else { who };
        Err(ConditionError::new(node.span.clone(), format!("{said} is {}", node.ty), help))
    }

    fn call(&mut self, call: &CallExpr, token: Range<usize>) -> Checked<Node> {
        let (name, arguments) = (call.func_name.as_str(), call.args.as_slice());
        match (name, arguments) {
            (operators::LOGICAL_AND, [one, other]) => self.logic(Kind::And, "&&", (one, other), token),
            (operators::LOGICAL_OR, [one, other]) => self.logic(Kind::Or, "||", (one, other), token),
            (operators::LOGICAL_NOT, [of]) => {
                let of = self.node(of)?;
                self.wants(&of, &Type::Bool, "", "! turns true and false round")?;
                Ok(self.made(Kind::Not(Box::new(of)), token, Type::Bool))
            }
            (operators::NEGATE, [of]) => {
                let of = self.node(of)?;
                self.wants(&of, &Type::Number, "", "- takes a number")?;
                Ok(self.made(Kind::Negate(Box::new(of)), token, Type::Number))
            }
            (operators::CONDITIONAL, [on, yes, no]) => {
                let (on, yes, no) = (self.node(on)?, self.node(yes)?, self.node(no)?);
                self.wants(&on, &Type::Bool, "", "expected true or false before ?")?;
                let ty = yes.ty.clone().or(no.ty.clone());
                Ok(self.made(Kind::If(Box::new(on), Box::new(yes), Box::new(no)), token, ty))
            }
            (operators::INDEX, [of, at]) => {
                let (of, at) = (self.node(of)?, self.node(at)?);
                self.index(of, at, token)
            }
            (operators::IN, [item, list]) => {
                let (item, list) = (self.node(item)?, self.node(list)?);
                self.is_in(item, list, token)
            }
            (name, [one, other]) if compare(name).is_some() || arithmetic(name).is_some() => {
                let (one, other) = (self.node(one)?, self.node(other)?);
                match (compare(name), arithmetic(name)) {
                    (Some(how), _) => self.compare(how, one, other, token),
                    (None, Some(how)) => self.arithmetic(how, one, other, token),
                    (None, None) => Err(ConditionError::new(token, "this is no operator", "expected another")),
                }
            }
            _ => self.function(call, token),
        }
    }

    fn logic(
        &mut self,
        kind: fn(Box<Node>, Box<Node>) -> Kind,
        sign: &str,
        (one, other): (&IdedExpr, &IdedExpr),
        token: Range<usize>,
    ) -> Checked<Node> {
        let (one, other) = (self.node(one)?, self.node(other)?);
        for side in [&one, &other] {
            self.wants(side, &Type::Bool, "", &format!("expected true or false on both sides of {sign}"))?;
        }
        Ok(self.made(kind(Box::new(one), Box::new(other)), token, Type::Bool))
    }

    fn index(&self, of: Node, at: Node, token: Range<usize>) -> Checked<Node> {
        let (wanted, ty) = match &of.ty {
            Type::Dyn => (Type::Dyn, Type::Dyn),
            Type::List(item) => (Type::Number, (**item).clone()),
            ty => {
                let what = format!("{} is {ty}", self.said(&of));
                return Err(ConditionError::new(of.span.clone(), what, "expected a list before [ ]"));
            }
        };
        if wanted == Type::Number {
            self.wants(&at, &wanted, "", "expected a number within [ ], counted from 0")?;
        }
        Ok(self.made(Kind::Index(Box::new(of), Box::new(at)), token, ty))
    }

    fn is_in(&self, item: Node, list: Node, token: Range<usize>) -> Checked<Node> {
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
        if let Kind::List(items) = &list.kind {
            items.iter().try_for_each(|value| self.can_be(&item, value))?;
        }
        Ok(self.made(Kind::In(Box::new(item), Box::new(list)), token, Type::Bool))
    }

    fn compare(&self, how: Compare, one: Node, other: Node, token: Range<usize>) -> Checked<Node> {
        if !one.ty.compares_with(&other.ty) {
            let what = format!("{} is {}, and {} is {}", self.said(&one), one.ty, self.said(&other), other.ty);
            let help = match (&one.ty, &other.ty) {
                (Type::Time, Type::Text) | (Type::Text, Type::Time) => {
                    "expected two times, as in timestamp(\"2026-01-31T00:00:00Z\")".to_owned()
                }
                _ => "expected two of a kind: these are never equal".to_owned(),
            };
            return Err(ConditionError::new(token, what, help));
        }
        if matches!(how, Compare::Equal | Compare::Unequal) {
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

    /// That a value that is written out is one of those which Zoom documents of a field, where those are all.
    fn can_be(&self, field: &Node, value: &Node) -> Checked<()> {
        let (Kind::Field(of, name, _), Kind::Literal(literal)) = (&field.kind, &value.kind) else { return Ok(()) };
        // What dyn() was said of may be anything.
        let Some(declared) = shape_of(of).filter(|_| field.ty != Type::Dyn).and_then(|shape| shape.field(name)) else {
            return Ok(());
        };
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

    fn arithmetic(&self, how: Arithmetic, one: Node, other: Node, token: Range<usize>) -> Checked<Node> {
        use Arithmetic::{Add, Subtract};
        let ty = match (&one.ty, how, &other.ty) {
            (Type::Number, _, Type::Number) => Type::Number,
            (Type::Time, Subtract, Type::Time) | (Type::Duration, Add | Subtract, Type::Duration) => Type::Duration,
            (Type::Time, Add | Subtract, Type::Duration) | (Type::Duration, Add, Type::Time) => Type::Time,
            (Type::Dyn, _, Type::Dyn | Type::Number | Type::Time | Type::Duration)
            | (Type::Number | Type::Time | Type::Duration, _, Type::Dyn) => Type::Dyn,
            (one_ty, _, other_ty) => {
                let what = format!("{} is {one_ty}, and {} is {other_ty}", self.said(&one), self.said(&other));
                return Err(ConditionError::new(token, what, "expected numbers, or times and durations"));
            }
        };
        Ok(self.made(Kind::Arithmetic(how, Box::new(one), Box::new(other)), token, ty))
    }
}

const fn shape_of(of: &Node) -> Option<&'static Shape> {
    if let Type::Object(shape) = of.ty { Some(shape) } else { None }
}

fn read_as(field: &Field) -> As {
    if *field == Field::Time { As::Time } else { As::Itself }
}

/// What a message about an unknown name ends with.
pub(super) fn expected<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(name, known.clone()) {
        return format!("did you mean {near}?");
    }
    format!("expected one of {}", known.collect::<Vec<_>>().join(", "))
}

fn compare(name: &str) -> Option<Compare> {
    Some(match name {
        operators::EQUALS => Compare::Equal,
        operators::NOT_EQUALS => Compare::Unequal,
        operators::LESS => Compare::Less,
        operators::LESS_EQUALS => Compare::LessOrEqual,
        operators::GREATER => Compare::Greater,
        operators::GREATER_EQUALS => Compare::GreaterOrEqual,
        _ => return None,
    })
}

fn arithmetic(name: &str) -> Option<Arithmetic> {
    Some(match name {
        operators::ADD => Arithmetic::Add,
        operators::SUBSTRACT => Arithmetic::Subtract,
        operators::MULTIPLY => Arithmetic::Multiply,
        operators::DIVIDE => Arithmetic::Divide,
        operators::MODULO => Arithmetic::Remainder,
        _ => return None,
    })
}
