//! What a condition comes to for given facts: pure, bounded, and an error where there is no answer.

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::EvaluationError;
use super::tree::{Arithmetic, As, Compare, Function, Kind, Literal, Macro, Node};

/// Steps of one evaluation: far more than a condition over a subject needs, and over within milliseconds.
const STEPS_MAX: u32 = 20_000;
/// Bytes of a text that are looked at in one step.
const STEP_BYTES: usize = 256;

/// A value, borrowed from the facts where it can be.
#[derive(Debug, Clone)]
pub(super) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Cow<'a, str>),
    Time(Timestamp),
    Duration(SignedDuration),
    Array(&'a [Value]),
    List(Vec<Self>),
    Object(&'a Map<String, Value>),
}

pub(super) type Evaluated<T> = Result<T, EvaluationError>;

impl<'a> Val<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => {
                number.as_i64().map_or_else(|| Self::Double(number.as_f64().unwrap_or(f64::NAN)), Self::Int)
            }
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(items) => Self::Array(items),
            Value::Object(fields) => Self::Object(fields),
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Int(_) | Self::Double(_) => "a number",
            Self::Text(_) => "a text",
            Self::Time(_) => "a time",
            Self::Duration(_) => "a duration",
            Self::Array(_) | Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// As JSON, for whoever explains a condition.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::from(*value),
            Self::Double(value) => Value::from(*value),
            Self::Text(text) => Value::from(text.as_ref()),
            Self::Time(at) => Value::from(at.to_string()),
            Self::Duration(length) => Value::from(length.to_string()),
            Self::Array(items) => Value::from(items.to_vec()),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Object(fields) => Value::Object((*fields).clone()),
        }
    }
}

/// One evaluation.
pub(super) struct Run<'a> {
    text: &'a str,
    facts: &'a Value,
    locals: Vec<Val<'a>>,
    steps: u32,
}

impl<'a> Run<'a> {
    pub(super) const fn new(text: &'a str, facts: &'a Value) -> Self {
        Self { text, facts, locals: Vec::new(), steps: 0 }
    }

    /// The value of a node that is true or false.
    pub(super) fn truth(&mut self, node: &'a Node) -> Evaluated<bool> {
        match self.value(node)? {
            Val::Bool(value) => Ok(value),
            other => Err(self.wrong(node, &other, "true or false")),
        }
    }

    fn said(&self, node: &Node) -> String {
        self.text.get(node.span.clone()).unwrap_or_default().to_owned()
    }

    fn wrong(&self, node: &Node, is: &Val<'_>, expected: &'static str) -> EvaluationError {
        let text = self.said(node);
        match is {
            Val::Null => EvaluationError::Absent { text },
            other => EvaluationError::Kind { text, is: other.kind(), expected },
        }
    }

    fn step(&mut self, steps: usize) -> Evaluated<()> {
        self.steps = self.steps.saturating_add(u32::try_from(steps).unwrap_or(u32::MAX));
        if self.steps > STEPS_MAX { Err(EvaluationError::TooLong { steps: STEPS_MAX }) } else { Ok(()) }
    }

    pub(super) fn value(&mut self, node: &'a Node) -> Evaluated<Val<'a>> {
        self.step(1)?;
        match &node.kind {
            Kind::Literal(literal) => Ok(value_of(literal)),
            Kind::Fact(name, how) => self.read(node, self.facts.get(*name), *how),
            Kind::Local(level) => Ok(self.locals.get(*level).cloned().unwrap_or(Val::Null)),
            Kind::Field(of, name, how) => match self.value(of)? {
                Val::Object(fields) => self.read(node, fields.get(name), *how),
                // Of what Zoom does not state, it does not state the fields either.
                Val::Null => Ok(Val::Null),
                other => Err(self.wrong(of, &other, "an object")),
            },
            Kind::Has(field) => Ok(Val::Bool(!matches!(self.value(field)?, Val::Null))),
            Kind::Index(of, at) => self.index(node, of, at),
            Kind::Not(of) => Ok(Val::Bool(!self.truth(of)?)),
            Kind::Negate(of) => match self.value(of)? {
                Val::Int(value) => {
                    value.checked_neg().map(Val::Int).ok_or_else(|| EvaluationError::Overflow { text: self.said(node) })
                }
                Val::Double(value) => Ok(Val::Double(-value)),
                other => Err(self.wrong(of, &other, "a number")),
            },
            Kind::And(one, other) => self.either(one, other, false),
            Kind::Or(one, other) => self.either(one, other, true),
            Kind::If(on, yes, no) => {
                let branch = if self.truth(on)? { yes } else { no };
                self.value(branch)
            }
            Kind::Compare(how, one, other) => self.compare(*how, node, one, other),
            Kind::Arithmetic(how, one, other) => self.arithmetic(*how, node, one, other),
            Kind::In(item, list) => {
                let item = self.value(item)?;
                let mut found = false;
                for other in self.items(list)? {
                    self.step(1)?;
                    found = found || self.equal(node, &item, &other)?;
                }
                Ok(Val::Bool(found))
            }
            Kind::List(items) => {
                Ok(Val::List(items.iter().map(|item| self.value(item)).collect::<Evaluated<Vec<_>>>()?))
            }
            Kind::Call(function, of, argument) => self.call(*function, of, argument.as_deref()),
            Kind::Matches(of, regex) => {
                let text = self.text_of(of)?;
                Ok(Val::Bool(regex.is_match(&text)))
            }
            Kind::Macro(which, of, body) => self.each(*which, of, body),
        }
    }

    fn read(&self, node: &Node, value: Option<&'a Value>, how: As) -> Evaluated<Val<'a>> {
        match (how, value) {
            (_, None | Some(Value::Null)) => Ok(Val::Null),
            (As::Itself, Some(value)) => Ok(Val::of(value)),
            // So Zoom writes a moment that has not come.
            (As::Time, Some(Value::String(text))) if text.is_empty() => Ok(Val::Null),
            (As::Time, Some(Value::String(text))) => text
                .parse()
                .map(Val::Time)
                .map_err(|_| EvaluationError::Unreadable { text: self.said(node), expected: "a time" }),
            (As::Time, Some(other)) => Err(self.wrong(node, &Val::of(other), "a time")),
        }
    }

    /// `&&` and `||`: the side that decides also decides where the other has no answer.
    fn either(&mut self, one: &'a Node, other: &'a Node, decides: bool) -> Evaluated<Val<'a>> {
        match self.truth(one) {
            Ok(value) if value == decides => Ok(Val::Bool(decides)),
            Err(error @ EvaluationError::TooLong { .. }) => Err(error),
            first => match self.truth(other) {
                Ok(value) if value == decides => Ok(Val::Bool(decides)),
                second => first.and(second).map(Val::Bool),
            },
        }
    }

    fn index(&mut self, node: &'a Node, of: &'a Node, at: &'a Node) -> Evaluated<Val<'a>> {
        match (self.value(of)?, self.value(at)?) {
            (Val::Null, _) => Ok(Val::Null),
            (Val::Object(fields), Val::Text(name)) => Ok(fields.get(name.as_ref()).map_or(Val::Null, Val::of)),
            (Val::Array(items), Val::Int(at)) => {
                let item = usize::try_from(at).ok().and_then(|at| items.get(at)).map(Val::of);
                item.ok_or_else(|| EvaluationError::NoSuchItem { text: self.said(node) })
            }
            (Val::List(items), Val::Int(at)) => {
                let item = usize::try_from(at).ok().and_then(|at| items.into_iter().nth(at));
                item.ok_or_else(|| EvaluationError::NoSuchItem { text: self.said(node) })
            }
            (Val::Object(_), other) => Err(self.wrong(at, &other, "a text")),
            (Val::Array(_) | Val::List(_), other) => Err(self.wrong(at, &other, "a whole number")),
            (other, _) => Err(self.wrong(of, &other, "a list or an object")),
        }
    }

    fn text_of(&mut self, node: &'a Node) -> Evaluated<Cow<'a, str>> {
        match self.value(node)? {
            Val::Text(text) => {
                self.step(text.len() / STEP_BYTES)?;
                Ok(text)
            }
            other => Err(self.wrong(node, &other, "a text")),
        }
    }

    fn items(&mut self, node: &'a Node) -> Evaluated<Vec<Val<'a>>> {
        match self.value(node)? {
            Val::Array(items) => {
                self.step(items.len())?;
                Ok(items.iter().map(Val::of).collect())
            }
            Val::List(items) => Ok(items),
            other => Err(self.wrong(node, &other, "a list")),
        }
    }

    fn compare(&mut self, how: Compare, node: &Node, one: &'a Node, other: &'a Node) -> Evaluated<Val<'a>> {
        let (left, right) = (self.value(one)?, self.value(other)?);
        if matches!(how, Compare::Equal | Compare::Unequal) {
            return Ok(Val::Bool(self.equal(node, &left, &right)? == (how == Compare::Equal)));
        }
        for (side, value) in [(one, &left), (other, &right)] {
            if matches!(value, Val::Null) {
                return Err(EvaluationError::Absent { text: self.said(side) });
            }
        }
        let order = match (&left, &right) {
            (Val::Text(one), Val::Text(other)) => Some(one.cmp(other)),
            (Val::Time(one), Val::Time(other)) => Some(one.cmp(other)),
            (Val::Duration(one), Val::Duration(other)) => Some(one.cmp(other)),
            _ => numbers(&left, &right),
        };
        let Some(order) = order else { return Err(self.differing(node, &left, &right)) };
        Ok(Val::Bool(match how {
            Compare::Less => order == Ordering::Less,
            Compare::LessOrEqual => order != Ordering::Greater,
            Compare::Greater => order == Ordering::Greater,
            _ => order != Ordering::Less,
        }))
    }

    fn differing(&self, node: &Node, one: &Val<'_>, other: &Val<'_>) -> EvaluationError {
        EvaluationError::Compares { text: self.said(node), one: one.kind(), other: other.kind() }
    }

    /// Null equals null alone; two of different kinds are a mistake, and not merely unequal.
    fn equal(&mut self, node: &Node, one: &Val<'a>, other: &Val<'a>) -> Evaluated<bool> {
        self.step(1)?;
        match (one, other) {
            (Val::Null, Val::Null) => Ok(true),
            (Val::Null, _) | (_, Val::Null) => Ok(false),
            (Val::Bool(one), Val::Bool(other)) => Ok(one == other),
            (Val::Text(one), Val::Text(other)) => Ok(one == other),
            (Val::Time(one), Val::Time(other)) => Ok(one == other),
            (Val::Duration(one), Val::Duration(other)) => Ok(one == other),
            (Val::Array(_) | Val::List(_), Val::Array(_) | Val::List(_)) => {
                let (one, other) = (listed(one), listed(other));
                if one.len() != other.len() {
                    return Ok(false);
                }
                let mut same = true;
                for (one, other) in one.iter().zip(&other) {
                    same = same && self.equal(node, one, other)?;
                }
                Ok(same)
            }
            (Val::Int(_) | Val::Double(_), Val::Int(_) | Val::Double(_)) => {
                Ok(numbers(one, other) == Some(Ordering::Equal))
            }
            _ => Err(self.differing(node, one, other)),
        }
    }

    fn call(&mut self, function: Function, of: &'a Node, argument: Option<&'a Node>) -> Evaluated<Val<'a>> {
        if function == Function::Size {
            let size = match self.value(of)? {
                Val::Text(text) => {
                    self.step(text.len() / STEP_BYTES)?;
                    text.chars().count()
                }
                Val::Array(items) => items.len(),
                Val::List(items) => items.len(),
                other => return Err(self.wrong(of, &other, "a text or a list")),
            };
            return Ok(Val::Int(i64::try_from(size).unwrap_or(i64::MAX)));
        }
        let text = self.text_of(of)?;
        let part = argument.map(|argument| self.text_of(argument)).transpose()?.unwrap_or_default();
        let unreadable = |expected| EvaluationError::Unreadable { text: self.said(of), expected };
        Ok(match function {
            Function::StartsWith => Val::Bool(text.starts_with(&*part)),
            Function::EndsWith => Val::Bool(text.ends_with(&*part)),
            Function::Contains => Val::Bool(text.contains(&*part)),
            Function::LowerAscii => Val::Text(Cow::Owned(text.to_ascii_lowercase())),
            Function::Timestamp => Val::Time(text.parse().map_err(|_| unreadable("a time"))?),
            Function::Duration | Function::Size => Val::Duration(text.parse().map_err(|_| unreadable("a duration"))?),
        })
    }

    fn each(&mut self, which: Macro, of: &'a Node, body: &'a Node) -> Evaluated<Val<'a>> {
        let items = self.items(of)?;
        let (mut kept, mut count, mut failed) = (Vec::new(), 0_usize, None);
        let all = items.len();
        for item in items {
            self.locals.push(item.clone());
            let value = if which == Macro::Map { self.value(body) } else { self.truth(body).map(Val::Bool) };
            self.locals.pop();
            match (which, value) {
                (Macro::Exists, Ok(Val::Bool(true))) => return Ok(Val::Bool(true)),
                (Macro::All, Ok(Val::Bool(false))) => return Ok(Val::Bool(false)),
                (_, Err(error @ EvaluationError::TooLong { .. })) => return Err(error),
                // As with && and ||, another item may decide.
                (_, Err(error)) => failed = failed.or(Some(error)),
                (Macro::Map, Ok(value)) => kept.push(value),
                (Macro::Filter, Ok(Val::Bool(true))) => kept.push(item),
                (_, Ok(Val::Bool(true))) => count = count.saturating_add(1),
                _ => {}
            }
        }
        match (failed, which) {
            (Some(error), _) => Err(error),
            (None, Macro::All) => Ok(Val::Bool(count == all)),
            (None, Macro::Exists) => Ok(Val::Bool(false)),
            (None, Macro::ExistsOne) => Ok(Val::Bool(count == 1)),
            (None, Macro::Filter | Macro::Map) => Ok(Val::List(kept)),
        }
    }

    fn arithmetic(&mut self, how: Arithmetic, node: &Node, one: &'a Node, other: &'a Node) -> Evaluated<Val<'a>> {
        let (left, right) = (self.value(one)?, self.value(other)?);
        let overflow = || EvaluationError::Overflow { text: self.said(node) };
        match (&left, how, &right) {
            (Val::Int(left), how, Val::Int(right)) => {
                if *right == 0 && matches!(how, Arithmetic::Divide | Arithmetic::Remainder) {
                    return Err(EvaluationError::DividesByZero { text: self.said(node) });
                }
                whole(how, *left, *right).map(Val::Int).ok_or_else(overflow)
            }
            (Val::Int(_) | Val::Double(_), how, Val::Int(_) | Val::Double(_)) => {
                Ok(Val::Double(fraction(how, double(&left), double(&right))))
            }
            (Val::Time(left), Arithmetic::Subtract, Val::Time(right)) => Ok(Val::Duration(left.duration_since(*right))),
            (Val::Time(at), Arithmetic::Add, Val::Duration(length))
            | (Val::Duration(length), Arithmetic::Add, Val::Time(at)) => {
                at.checked_add(*length).map(Val::Time).map_err(|_| overflow())
            }
            (Val::Time(at), Arithmetic::Subtract, Val::Duration(length)) => {
                at.checked_sub(*length).map(Val::Time).map_err(|_| overflow())
            }
            (Val::Duration(left), Arithmetic::Add, Val::Duration(right)) => {
                left.checked_add(*right).map(Val::Duration).ok_or_else(overflow)
            }
            (Val::Duration(left), Arithmetic::Subtract, Val::Duration(right)) => {
                left.checked_sub(*right).map(Val::Duration).ok_or_else(overflow)
            }
            (Val::Int(_) | Val::Double(_) | Val::Time(_) | Val::Duration(_), _, _) => {
                Err(self.wrong(other, &right, "another kind of value"))
            }
            _ => Err(self.wrong(one, &left, "a number")),
        }
    }
}

fn value_of(literal: &Literal) -> Val<'_> {
    match literal {
        Literal::Null => Val::Null,
        Literal::Bool(value) => Val::Bool(*value),
        Literal::Int(value) => Val::Int(*value),
        Literal::Double(value) => Val::Double(*value),
        Literal::Text(text) => Val::Text(Cow::Borrowed(text)),
        Literal::Time(at) => Val::Time(*at),
        Literal::Duration(length) => Val::Duration(*length),
    }
}

fn listed<'a>(value: &Val<'a>) -> Vec<Val<'a>> {
    match value {
        Val::Array(items) => items.iter().map(Val::of).collect(),
        Val::List(items) => items.clone(),
        _ => Vec::new(),
    }
}

fn numbers(one: &Val<'_>, other: &Val<'_>) -> Option<Ordering> {
    match (one, other) {
        (Val::Int(one), Val::Int(other)) => Some(one.cmp(other)),
        (Val::Int(_) | Val::Double(_), Val::Int(_) | Val::Double(_)) => double(one).partial_cmp(&double(other)),
        _ => None,
    }
}

/// As a double; a whole number beyond 2^53 loses its last digits, as CEL's own conversion does.
fn double(value: &Val<'_>) -> f64 {
    match value {
        Val::Int(value) => serde_json::Number::from(*value).as_f64().unwrap_or(f64::NAN),
        Val::Double(value) => *value,
        _ => f64::NAN,
    }
}

const fn whole(how: Arithmetic, left: i64, right: i64) -> Option<i64> {
    match how {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide => left.checked_div(right),
        Arithmetic::Remainder => left.checked_rem(right),
    }
}

fn fraction(how: Arithmetic, left: f64, right: f64) -> f64 {
    match how {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => left % right,
    }
}
