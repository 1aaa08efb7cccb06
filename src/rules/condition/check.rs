//! The checker: the crate's tree becomes ours, and whatever cannot mean anything is told with its place.

use std::ops::Range;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};

use super::ConditionError;
use super::fields::{Field, Shape, Topic, Type};
use super::parse::{Parsed, span_of};
use super::told::{PAYLOAD, told};
use super::tree::{Arithmetic, As, Compare, Kind, Literal, Node};
use crate::rules::nearest;

/// Levels of the tree: of operators in a row, each is one.
const LEVELS_MAX: usize = 64;

pub(super) struct Checker<'a> {
    pub(super) text: &'a str,
    pub(super) parsed: &'a Parsed,
    pub(super) names: &'static Shape,
    /// Of a condition about events: what those say something about; none where that is not known of one of them.
    pub(super) told: Vec<&'static Shape>,
    /// The names that macros bring, from the outside in.
    pub(super) locals: Vec<(String, Type)>,
    pub(super) levels: usize,
}

type Checked<T> = Result<T, ConditionError>;

/// The condition as a tree whose value is true or false.
pub(super) fn check(text: &str, parsed: &Parsed, topic: Topic, events: &[String]) -> Checked<Node> {
    let mut checker = Checker { text, parsed, names: topic.names(), told: told(events), locals: Vec::new(), levels: 0 };
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
            Type::Object(shapes) => {
                if let Some(field) = field_of(shapes, name) {
                    return Ok((self.ty(field), read_as(field), token));
                }
                let known = shapes.iter().flat_map(|shape| shape.fields).map(|(known, _)| *known);
                let what = format!("{} has no field {name}", self.said(of));
                let mut help = expected(name, known);
                if self.said(of).starts_with("event.payload") {
                    help.push_str(". dyn(event.payload) may have any");
                }
                Err(ConditionError::new(token, what, help))
            }
            ty => {
                let what = format!("{} is {ty} and has no fields", self.said(of));
                Err(ConditionError::new(token, what, "expected a field of an object, as in user.type"))
            }
        }
    }

    fn ty(&self, field: &Field) -> Type {
        match field {
            Field::Payload if !self.told.is_empty() => Type::Object(vec![&PAYLOAD]),
            Field::Told if !self.told.is_empty() => Type::Object(self.told.clone()),
            field => field.ty(),
        }
    }

    /// What is asked for is a field: whether it is there and not null.
    pub(super) fn has(&mut self, argument: &IdedExpr, token: Range<usize>) -> Checked<Node> {
        let mut field = self.node(argument)?;
        let Kind::Field(_, _, how) = &mut field.kind else {
            let what = "has() takes a field";
            return Err(ConditionError::new(token, what, "expected has(user.dept) or another field"));
        };
        // A text that says no moment is there all the same.
        *how = As::Itself;
        Ok(self.made(Kind::Has(Box::new(field)), token, Type::Bool))
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
                self.are_alike(&yes, &no, token.clone(), "expected two of a kind around :, or dyn() around one")?;
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
        if matches!(at.kind, Kind::Literal(Literal::Int(..0) | Literal::Double(_))) {
            let what = format!("{} is never the place of an item", self.said(&at));
            return Err(ConditionError::new(at.span.clone(), what, "expected a whole number, counted from 0"));
        }
        Ok(self.made(Kind::Index(Box::new(of), Box::new(at)), token, ty))
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

pub(super) fn field_of(shapes: &[&'static Shape], name: &str) -> Option<&'static Field> {
    shapes.iter().find_map(|shape| shape.field(name))
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
