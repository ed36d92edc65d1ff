//! Data frames whose fields vary in size: a program that a cursor follows from the first such field on.
//!
//! The fields before it keep fixed places ([`super::field`]). A template that has no field of variable size has no program.
//! The program is a flat list of operations. A list or choice is followed by the operations of its items or cases, and
//! knows where they end. See docs/internals/layouts.md.

use super::field::{LengthField, Offset, Slot};
use super::quick::Quick;
use super::reply::{Expr, Form, Number};
use std::sync::Arc;

/// Lists and choices inside each other.
pub const NEST_MAX: usize = 4;
/// Fields of one program that say a size, a count or a case.
pub const MARKS_MAX: usize = 32;
/// Elements of one program whose places are noted when a request is read; 16 bytes each, in every shard.
pub const SPOTS_MAX: usize = 32;
/// Fields, lists and choices of one program.
pub const NODES_MAX: usize = 1_024;
/// `max` of a field, where it is not given, in bytes.
pub const FIELD_BYTES_DEFAULT: usize = 1_024;
/// `max` of a list, where it is not given, in items.
pub const ITEMS_DEFAULT: usize = 1_024;
/// Computed lengths of a reply that are open at one time.
pub const OPEN_LENGTHS_MAX: usize = 64;

/// The part of a data frame from the first field of variable size on.
#[derive(Debug, Default)]
pub struct Walk {
    /// Where it begins, in the raw frame.
    pub at: usize,
    /// Bytes of the frame's tail.
    pub tail_len: usize,
    /// The program.
    pub ops: Box<[Op]>,
    /// The same in few steps.
    pub quick: Quick,
    /// What the program names, in the order of the template.
    pub nodes: Box<[Node]>,
    /// The node of each mark.
    pub marks: Box<[u32]>,
    /// The fewest bytes it takes.
    pub least: usize,
    /// The most bytes it takes.
    pub most: usize,
    /// It takes what is left of the data frame, so its own fields do not show where it ends.
    pub has_rest: bool,
    /// Computed lengths in the data frame, before the program or in it.
    pub lengths: Box<[LengthField]>,
    /// The part whose bytes a field of the header says: [`Op::Group`].
    pub group: Option<Grouped>,
}

/// The elements of an [`Op::Group`]. They are in no element of that name: a group has no node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grouped {
    /// Its operation.
    pub op: u32,
    /// The first node in it.
    pub from: u32,
    /// The node behind its last one.
    pub to: u32,
}

/// A field, list or choice. For names and display; the program does not read it.
#[derive(Debug)]
pub struct Node {
    /// Its name.
    pub name: Box<str>,
    /// What it is.
    pub what: What,
    /// The list or choice that it is directly in.
    pub parent: Option<u32>,
    /// The case of the parent, by number; 0 in a list.
    pub case: u32,
    /// How many lists it is in.
    pub lists: usize,
    /// Its operation.
    pub op: u32,
    /// The number of the first node behind it and everything in it.
    pub end: u32,
    /// The most bytes it takes, with what ends it.
    pub most: usize,
}

/// What a node is.
#[derive(Debug)]
pub enum What {
    /// A field.
    Field {
        /// Its type; `len` is the most bytes where the size varies.
        slot: Slot,
        /// The size varies.
        varies: bool,
    },
    /// A list of items.
    List,
    /// One of several cases.
    Choice {
        /// Their keys as the template spells them.
        cases: Box<[Box<str>]>,
    },
}

/// One operation.
#[derive(Debug)]
pub enum Op {
    /// Takes a field.
    Field {
        /// Which node.
        node: u32,
        /// How many bytes.
        size: Size,
        /// Where its bytes are noted, for a later size, count or case.
        mark: Option<u8>,
    },
    /// Takes items; their operations follow.
    List {
        /// Which node.
        node: u32,
        /// How many items.
        count: Count,
        /// The fewest bytes of an item, at least 1.
        least: usize,
        /// The most items.
        max: usize,
        /// The operation behind the items' last one.
        end: u32,
    },
    /// Takes one case; the operations of all cases follow.
    Choice {
        /// Which node.
        node: u32,
        /// What selects the case.
        by: Source,
        /// The bits of it that do; empty: all.
        mask: Box<[u8]>,
        /// Sorted by their bytes.
        cases: Box<[Case]>,
        /// The case of all other bytes.
        otherwise: Option<Block>,
        /// The bytes that the case has, used or not.
        bytes: Option<Size>,
        /// The operation behind the last case.
        end: u32,
    },
    /// Bounds the operations up to `end`; what they leave of its bytes is skipped.
    Group {
        /// How many bytes.
        size: Counted,
        /// The operation behind the last one in it.
        end: u32,
    },
}

impl Op {
    /// The field that says its size or count, if one does.
    pub fn counted(&self) -> Option<&Counted> {
        match self {
            Self::Field { size: Size::Counted(counted), .. }
            | Self::List { count: Count::Counted(counted), .. }
            | Self::Choice { bytes: Some(Size::Counted(counted)), .. }
            | Self::Group { size: counted, .. } => Some(counted),
            _ => None,
        }
    }
}

/// The operations of a case.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Number of the case, in the order of the template.
    pub case: u32,
    /// Its first operation.
    pub from: u32,
    /// The one behind its last.
    pub to: u32,
}

/// A case of a choice.
#[derive(Debug)]
pub struct Case {
    /// The bytes of the selecting field.
    pub bytes: Box<[u8]>,
    /// What follows then.
    pub block: Block,
}

/// Bytes of a field, or of a choice.
#[derive(Debug)]
pub enum Size {
    /// A fixed number.
    Fixed(usize),
    /// What is left, but for the fields that follow.
    Rest {
        /// Bytes of those.
        after: usize,
        /// The most.
        max: usize,
    },
    /// An earlier field says it.
    Counted(Counted),
    /// Up to these bytes, which are taken too and are no part of the value.
    Until {
        /// The bytes.
        end: Box<[u8]>,
        /// The most bytes before them.
        max: usize,
    },
}

/// A size that an earlier field says: `field * times + add`.
#[derive(Debug)]
pub struct Counted {
    /// The field.
    pub by: Source,
    /// The bits of it that are the number: first and last, 0 the most significant; `None`: all, as its type spells it.
    pub bits: Option<(u32, u32)>,
    /// What its number is multiplied by.
    pub times: i64,
    /// What is added.
    pub add: i64,
    /// The most.
    pub max: usize,
}

/// Items of a list.
#[derive(Debug)]
pub enum Count {
    /// A fixed number.
    Fixed(usize),
    /// As many as fit, but for the fields that follow.
    Rest {
        /// Bytes of those.
        after: usize,
    },
    /// An earlier field says it.
    Counted(Counted),
}

/// An earlier field.
#[derive(Debug)]
pub struct Source {
    /// Where it is.
    pub place: Place,
    /// Its type and size.
    pub slot: Slot,
}

/// Where an earlier field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At a fixed place of the frame.
    Frame(Offset),
    /// In the program: the bytes that were noted last.
    Mark(u8),
}

/// One element of a frame: a node, and which items of the lists around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The node.
    pub node: u32,
    /// Items from 0, the outermost list first.
    pub items: [u32; NEST_MAX],
}

/// Bytes that a request has to have at an element, where `mask` is 1.
#[derive(Clone, Debug)]
pub struct WalkedConstant {
    /// As it was written.
    pub name: Box<str>,
    /// Which element.
    pub path: Path,
    /// What.
    pub bytes: Box<[u8]>,
    /// Which bits; empty: all.
    pub mask: Box<[u8]>,
}

/// What a command's frames have behind their fixed part.
#[derive(Debug, Default)]
pub struct Walks {
    /// In requests.
    pub request: Option<Arc<Walk>>,
    /// In replies.
    pub reply: Option<Arc<Walk>>,
    /// What a request has to have for this entry to be meant.
    pub constants: Box<[WalkedConstant]>,
}

/// An element of the request.
#[derive(Clone, Debug)]
pub struct Walked {
    /// The request's program.
    pub walk: Arc<Walk>,
    /// Which element.
    pub path: Path,
    /// Its type; `len` is the most bytes.
    pub slot: Slot,
    /// Its size varies.
    pub varies: bool,
    /// Elements of the same name in other cases: the request has at most one of all.
    pub others: Box<[Self]>,
}

/// How a reply's data frame goes on behind its fixed part.
#[derive(Clone, Debug)]
pub struct Encode {
    /// Where that begins, in the raw frame.
    pub at: usize,
    /// In order.
    pub ops: Box<[Put]>,
    /// Bytes that are known beforehand.
    pub pool: Box<[u8]>,
    /// Bytes without values of varying size, but with what is written where one does not fit.
    pub least: usize,
    /// The most bytes: what the frame and its lengths can say. A value for which no room is left does not fit.
    pub most: usize,
    /// Computed lengths in the data frame: [`Walk::lengths`].
    pub lengths: Box<[LengthField]>,
    /// All frames have one size: it takes the place of padding.
    pub in_place: bool,
    /// Steps that are one copy, in order.
    pub runs: Box<[Run]>,
}

/// Steps that write elements that follow each other in the request too, with the same bytes between them.
#[derive(Clone, Debug)]
pub struct Run {
    /// The first step.
    pub from: u32,
    /// Behind the last step.
    pub to: u32,
    /// The request's program.
    pub walk: Arc<Walk>,
    /// The node of the first element.
    pub first: u32,
    /// Of the last one.
    pub last: u32,
    /// Bytes between the elements.
    pub between: usize,
    /// Bytes of what is written where they do not fit.
    pub defaults: usize,
}

/// One step of an [`Encode`].
#[derive(Clone, Debug)]
pub enum Put {
    /// These bytes of the pool.
    Bytes {
        /// The first.
        from: usize,
        /// Behind the last.
        to: usize,
    },
    /// Request bytes at a fixed place.
    Copy {
        /// Where.
        from: Offset,
        /// How many.
        len: usize,
    },
    /// An element of the request as it is.
    Element {
        /// Which.
        from: Box<Walked>,
        /// What is written where the request does not have it: a part of the pool.
        default: (usize, usize),
    },
    /// A number that a function gives.
    Number {
        /// Which.
        number: Number,
        /// Bytes.
        len: usize,
        /// How.
        form: Form,
    },
    /// A text, encoded as a JSON value would be.
    Text(Box<PutText>),
    /// Notes where the next byte goes.
    Mark(u8),
    /// Writes a number that is known now into bytes that were left for it.
    Length(Box<PutLength>),
    /// The steps of one case, by bytes that were written before.
    Choose(Box<Choose>),
    /// Steps for each item of a list of the request.
    Each(Box<Each>),
}

/// Items made of the request's items.
#[derive(Clone, Debug)]
pub struct Each {
    /// The request's list.
    pub from: Walked,
    /// The steps of an item; its elements are those of a [`Path`] with [`CURRENT`].
    pub steps: Box<[Put]>,
    /// The fewest bytes of an item.
    pub least: usize,
}

/// As the number of an item: the item that an [`Each`] is at.
pub const CURRENT: u32 = u32::MAX;
/// Fields, lists and choices of an item that an [`Each`] may refer to: the first ones of the list.
pub const ITEM_NODES_MAX: usize = 32;

/// The bytes that select a case, and its steps.
pub type ChosenCase = (Box<[u8]>, Box<[Put]>);

/// A choice whose case is known only when the reply is built.
#[derive(Clone, Debug)]
pub struct Choose {
    /// Where the selecting field was written.
    pub by: Target,
    /// Its bytes.
    pub len: usize,
    /// The bits of it that select the case; empty: all.
    pub mask: Box<[u8]>,
    /// The bytes of each case, and its steps.
    pub cases: Box<[ChosenCase]>,
    /// The steps for all other bytes; `None`: no case is right then.
    pub otherwise: Option<Box<[Put]>>,
}

impl Choose {
    /// The steps for these bytes of the selecting field.
    pub fn steps(&self, tag: &[u8]) -> Option<&[Put]> {
        let bit = |at: usize| self.mask.get(at).copied().unwrap_or(0xFF);
        let is = |bytes: &[u8]| {
            bytes.len() == tag.len()
                && (0..tag.len()).all(|at| bytes.get(at) == tag.get(at).map(|tag| tag & bit(at)).as_ref())
        };
        let found = self.cases.iter().find(|(bytes, _)| is(bytes)).map(|(_, steps)| &**steps);
        found.or(self.otherwise.as_deref())
    }
}

impl Encode {
    /// Whether a case depends on the request or a function, or items are those of the request.
    pub fn chooses(&self) -> bool {
        self.ops.iter().any(|op| matches!(op, Put::Choose(_) | Put::Each(_)))
    }
}

/// A text of a reply.
#[derive(Clone, Debug)]
pub struct PutText {
    /// The text.
    pub value: Expr,
    /// The field; `len` is the most bytes where the size varies.
    pub slot: Slot,
    /// The size varies.
    pub varies: bool,
    /// Bytes that the value must not have, because they end it.
    pub until: Box<[u8]>,
    /// What is written instead of a value that does not fit, or is empty: a part of the pool.
    pub default: (usize, usize),
}

/// A computed length or count.
#[derive(Clone, Debug)]
pub struct PutLength {
    /// Where it is written.
    pub to: Target,
    /// Its type and size.
    pub slot: Slot,
    /// The bits that the number is written into; `None`: all.
    pub bits: Option<(u32, u32)>,
    /// What is counted.
    pub what: Measure,
    /// The number is `(what - add) / times`.
    pub times: i64,
    /// See `times`.
    pub add: i64,
}

/// Where a computed number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// At this index of the raw frame, before the varying part.
    Frame(usize),
    /// Where this mark was made.
    Mark(u8),
}

/// What a computed number counts.
#[derive(Clone, Debug)]
pub enum Measure {
    /// Bytes from this mark up to here.
    Bytes(u8),
    /// Items of a list, or a number that is known.
    Items {
        /// Written by the rule.
        own: usize,
        /// Copied from the request.
        copied: Option<Box<Walked>>,
    },
}

impl Walk {
    /// The element of a name: `alarms`, `alarms.0.id`, `body.lat`, `body.01.lat`. For people and the compiler.
    pub fn path(&self, name: &str) -> Option<Path> {
        let mut path = Path { node: 0, items: [0; NEST_MAX] };
        if let Some(node) = self.child(None, None, name) {
            path.node = node;
            return Some(path);
        }
        let mut parts = name.split('.').peekable();
        let (mut parent, mut lists) = (None, 0);
        loop {
            let mut case = None;
            if let Some(What::Choice { cases }) = parent.map(|parent: u32| &self.nodes[parent as usize].what)
                && let Some(number) = parts.peek().and_then(|part| cases.iter().position(|key| **key == **part))
            {
                case = Some(number as u32);
                parts.next();
            }
            path.node = self.child(parent, case, parts.next()?)?;
            if parts.peek().is_none() {
                return Some(path);
            }
            parent = Some(path.node);
            if matches!(self.nodes[path.node as usize].what, What::List) {
                *path.items.get_mut(lists)? = parts.next()?.parse().ok()?;
                lists += 1;
            }
        }
    }

    /// The first node of that name that is directly in `parent`, in any case or in this one.
    fn child(&self, parent: Option<u32>, case: Option<u32>, name: &str) -> Option<u32> {
        let is =
            |node: &Node| node.parent == parent && *node.name == *name && case.is_none_or(|case| case == node.case);
        self.nodes.iter().position(is).map(|number| number as u32)
    }

    /// The fields at fixed places that say a size, count or case: where, and how many bytes.
    pub fn fixed_sources(&self) -> impl Iterator<Item = (Offset, usize)> {
        let by = |op: &Op| if let Op::Choice { by, .. } = op { Some((by.place, by.slot.len)) } else { None };
        let cases = self.ops.iter().filter_map(by);
        let counted = self.ops.iter().filter_map(Op::counted).map(|counted| (counted.by.place, counted.by.slot.len));
        cases.chain(counted).filter_map(|(place, len)| match place {
            Place::Frame(at) => Some((at, len)),
            Place::Mark(_) => None,
        })
    }

    /// The bytes that end a node.
    pub fn until(&self, node: u32) -> &[u8] {
        let op = self.nodes.get(node as usize).and_then(|node| self.ops.get(node.op as usize));
        if let Some(Op::Field { size: Size::Until { end, .. }, .. }) = op { end } else { &[] }
    }

    /// Does some size or count come from this node?
    pub fn is_computed(&self, node: u32) -> bool {
        let Some(mark) = self.marks.iter().position(|&marked| marked == node) else { return false };
        let here = Place::Mark(mark as u8);
        self.ops.iter().filter_map(Op::counted).any(|counted| counted.by.place == here && counted.bits.is_none())
    }

    /// The bits of a node that say sizes or counts.
    pub fn counted_bits(&self, node: u32) -> impl Iterator<Item = (u32, u32)> {
        let mark = self.marks.iter().position(|&marked| marked == node);
        let here = mark.map(|mark| Place::Mark(mark as u8));
        let counted = self.ops.iter().filter_map(Op::counted);
        counted.filter(move |counted| Some(counted.by.place) == here).filter_map(|counted| counted.bits)
    }

    /// A node and its type.
    pub fn element(self: &Arc<Self>, path: Path) -> Option<Walked> {
        match &self.nodes.get(path.node as usize)?.what {
            What::Field { slot, varies } => {
                Some(Walked { walk: self.clone(), path, slot: slot.clone(), varies: *varies, others: Box::default() })
            }
            _ => None,
        }
    }

    /// The field of a name. Where several cases have one of that name, the longest, and the others behind it.
    pub fn named(self: &Arc<Self>, name: &str) -> Option<Walked> {
        let mut all: Vec<Walked> =
            self.paths(name).into_iter().map(|path| self.element(path)).collect::<Option<_>>()?;
        all.sort_by_key(|walked| std::cmp::Reverse(walked.slot.len));
        let mut all = all.into_iter();
        let first = all.next()?;
        Some(Walked { others: all.collect(), ..first })
    }

    /// The fields of a name in the items of a list; `None`: they have none of it, or it is in a list of its own.
    pub fn in_item(self: &Arc<Self>, list: Path, name: &str) -> Option<Walked> {
        let found = self.paths_in_item(list, name);
        let mut all: Vec<Walked> = found.into_iter().map(|path| self.element(path)).collect::<Option<_>>()?;
        all.sort_by_key(|walked| std::cmp::Reverse(walked.slot.len));
        let mut all = all.into_iter();
        let first = all.next()?;
        Some(Walked { others: all.collect(), ..first })
    }

    /// All elements of a name in the items of a list, also lists and choices; none if one of them is in a list of its own, or too far behind.
    pub fn paths_in_item(&self, list: Path, name: &str) -> Vec<Path> {
        let (mut path, mut found) = (list, Vec::new());
        let depth = self.nodes.get(list.node as usize).map_or(NEST_MAX, |node| node.lists);
        let Some(item) = path.items.get_mut(depth) else { return found };
        *item = CURRENT;
        let parts: Vec<&str> = name.split('.').collect();
        self.find(Some(list.node), (&parts, depth + 1), path, &mut found);
        let is_near = |path: &Path| {
            let near = (path.node - list.node) as usize <= ITEM_NODES_MAX;
            near && self.nodes.get(path.node as usize).is_some_and(|node| node.lists == depth + 1)
        };
        if found.iter().all(is_near) { found } else { Vec::new() }
    }

    /// All elements of a name: more than one where several cases have it. What [`Self::path`] finds is the first.
    pub fn paths(&self, name: &str) -> Vec<Path> {
        let mut out = Vec::new();
        let path = Path { node: 0, items: [0; NEST_MAX] };
        if let Some(node) = self.child(None, None, name) {
            return vec![Path { node, ..path }];
        }
        let parts: Vec<&str> = name.split('.').collect();
        self.find(None, (&parts, 0), path, &mut out);
        out
    }

    /// Adds what the rest of a name means within `parent`. Calls itself at most as deep as elements nest.
    fn find(&self, parent: Option<u32>, (parts, lists): (&[&str], usize), path: Path, out: &mut Vec<Path>) {
        let what = parent.and_then(|parent| self.nodes.get(parent as usize)).map(|node| &node.what);
        let case_of = |part: &str| match what {
            Some(What::Choice { cases }) => cases.iter().position(|key| **key == *part).map(|case| case as u32),
            _ => None,
        };
        let Some((first, rest)) = parts.split_first() else { return };
        let (case, name, rest) = match case_of(first).zip(rest.split_first()) {
            Some((case, (name, rest))) => (Some(case), *name, rest),
            None => (None, *first, rest),
        };
        let (from, to) = match parent {
            Some(parent) => (parent + 1, self.nodes.get(parent as usize).map_or(0, |node| node.end)),
            None => (0, self.nodes.len() as u32),
        };
        for node in from..to {
            let Some(there) = self.nodes.get(node as usize) else { return };
            if there.parent != parent || *there.name != *name || case.is_some_and(|case| case != there.case) {
                continue;
            }
            let mut path = Path { node, ..path };
            if rest.is_empty() {
                out.push(path);
                continue;
            }
            let (mut rest, mut lists) = (rest, lists);
            if matches!(there.what, What::List) {
                let Some((index, behind)) = rest.split_first() else { continue };
                let (Ok(index), Some(item)) = (index.parse(), path.items.get_mut(lists)) else { continue };
                (*item, rest, lists) = (index, behind, lists + 1);
            }
            self.find(Some(node), (rest, lists), path, out);
        }
    }
}
