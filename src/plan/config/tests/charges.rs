//! What a file and the values read from it take of the budget, to the byte.

use super::super::at::{At, Json, Map, OneOrMany, Pos};
use super::super::budget::{Budget, Over};
use super::super::de::from_tree;
use super::super::diag::Diags;
use super::super::load::Loader;
use super::super::node::Tree;
use super::super::raw::RawVendors;
use super::super::source::Source;
use serde::de::DeserializeOwned;

/// What an allocation takes beside its bytes.
const ALLOCATION: usize = 16;

/// What a tree of this text takes.
fn tree_bytes(text: &str) -> usize {
    let budget = Budget::default();
    Tree::parse("f.json", text.into(), &budget).expect("a tree");
    budget.used() as usize
}

#[test]
fn a_tree_takes_its_text_its_nodes_and_what_they_hold() {
    let node = tree_bytes("0") - 1;
    assert!((32..=64).contains(&node), "{node}");
    let check = |text: &str, nodes: usize, more: usize| {
        assert_eq!(tree_bytes(text), text.len() + nodes * node + more, "{text:.40}");
    };
    check("null", 1, 0);
    check("[]", 1, 0);
    check("[1,2,3]", 4, 3 * 4);
    check("\"abc\"", 1, 3 + ALLOCATION);
    check("\"a\\u0062c\"", 1, 3 + ALLOCATION);
    check("{}", 1, 0);
    check("{\"ab\":1}", 3, 2 + ALLOCATION + 8);
    check("{\"ab\":1,\"c\":\"def\"}", 5, 2 + 1 + 3 + 3 * ALLOCATION + 2 * 8);
    // The second of two equal keys has a node, and no place in the object.
    check("{\"ab\":1,\"ab\":2}", 5, 2 * (2 + ALLOCATION) + 8);
    // Each line and each 1,024 bytes have an index of 4 bytes.
    check("\n\n0", 1, 2 * 4);
    check(&format!("0{}", " ".repeat(2_047)), 1, 2 * 4);
}

/// What is laid over a tree of this text, and what that takes.
fn laid<T: DeserializeOwned>(text: &str) -> (T, usize) {
    let budget = Budget::default();
    let (tree, _) = Tree::parse("f.json", text.into(), &budget).expect("a tree");
    let before = budget.used();
    let (value, found) = from_tree::<T>(&tree, 0, &budget);
    assert!(found.is_empty(), "{text}: {found:?}");
    (value.expect("a value").value, (budget.used() - before) as usize)
}

#[test]
fn values_take_twice_the_room_of_an_element_and_their_texts() {
    assert_eq!(laid::<u64>("7"), (7, 0));
    assert_eq!(laid::<String>("\"abc\""), ("abc".into(), 3 + ALLOCATION));
    assert_eq!(laid::<Vec<u64>>("[1,2,3]"), (vec![1, 2, 3], 3 * 2 * 8));
    assert_eq!(laid::<Vec<String>>("[\"abc\"]"), (vec!["abc".into()], 2 * size_of::<String>() + 3 + ALLOCATION));
    assert_eq!(laid::<OneOrMany<u64>>("5"), (OneOrMany(vec![5]), 8));
    assert_eq!(laid::<OneOrMany<u64>>("[5,6]"), (OneOrMany(vec![5, 6]), 2 * 2 * 8));
    let entry = 2 * size_of::<(At<String>, u64)>() + 2 + ALLOCATION;
    assert_eq!(laid::<Map<u64>>("{\"ab\":1,\"cd\":2}").1, 2 * entry);
    let (json, bytes) = laid::<Json>("{\"ab\":[null,true,-1,1.5]}");
    let Json::Obj(entries) = json else { panic!("{json:?}") };
    let Json::Arr(list) = &entries[0].1.value else { panic!("{entries:?}") };
    let values: Vec<&Json> = list.iter().map(|at| &at.value).collect();
    let number = |text: &str| Json::Num(text.parse().expect("a number"));
    assert_eq!(values, [&Json::Null, &Json::Bool(true), &number("-1"), &number("1.5")]);
    let entry = 2 * size_of::<(At<String>, At<Json>)>() + 2 + ALLOCATION;
    assert_eq!(bytes, entry + 4 * 2 * size_of::<At<Json>>());
}

/// A list has room for what it holds, not for what a growing one takes.
#[test]
fn lists_have_no_more_room_than_elements() {
    assert_eq!(laid::<Vec<u64>>("[1,2,3]").0.capacity(), 3);
    assert_eq!(laid::<OneOrMany<u64>>("[1,2,3]").0.0.capacity(), 3);
    assert_eq!(laid::<OneOrMany<u64>>("1").0.0.capacity(), 1);
    assert_eq!(laid::<Map<u64>>("{\"a\":1,\"b\":2,\"c\":3}").0.0.capacity(), 3);
    let Json::Arr(list) = laid::<Json>("[1,2,3]").0 else { panic!("no list") };
    assert_eq!(list.capacity(), 3);
    // No more is taken in advance, however many are said to come.
    let many = format!("[{}0]", "0,".repeat(1_500));
    assert_eq!(laid::<OneOrMany<u64>>(&many).0.0.capacity(), 2_048);
}

#[test]
fn files_that_are_kept_are_counted() {
    let dir = tempfile::tempdir().expect("a directory");
    let (first, second) = (dir.path().join("a.json"), dir.path().join("b.json"));
    std::fs::write(&first, "[]").expect("a file");
    std::fs::write(&second, "[ ]").expect("a file");
    let mut loader = Loader::new(Source::Directory);
    let mut expected = 0;
    for (path, bytes) in [(&first, tree_bytes("[]")), (&second, tree_bytes("[ ]")), (&first, 0)] {
        assert!(loader.load::<RawVendors>(path, None).is_some());
        expected += bytes as u64;
        assert_eq!((loader.kept_bytes(), loader.diags.budget.used()), (expected, expected));
    }
}

#[test]
fn what_the_system_has_not_is_told_once() {
    let mut diags = Diags::default();
    let told = |diags: &Diags| (diags.is_over(), diags.lines().collect::<Vec<_>>());
    assert!(diags.has_memory(Pos::default(), 1_000, "a buffer"));
    assert_eq!(told(&diags), (false, vec![]));
    assert!(!diags.has_memory(Pos::default(), usize::MAX, "a buffer"));
    let expected = format!("?: error: {}", Over::System.text("a buffer", usize::MAX));
    assert_eq!(told(&diags), (true, vec![expected.clone()]));
    // Past it, nothing more is made, and nothing more told.
    assert!(!diags.charge(Pos::default(), 1, "a reply"));
    assert_eq!((told(&diags).1, diags.budget.used()), (vec![expected], 0));
}
