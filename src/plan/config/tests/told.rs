//! What is told: in which order, how often, where; and names that are like others.

use super::super::at::Pos;
use super::super::budget::Budget;
use super::super::de::{nearest, shown};
use super::super::diag::{DIAGS_MAX, Diags, printable};
use super::super::near;
use super::super::node::{Content, Tree};

fn tree(path: &str, text: &str) -> Tree {
    Tree::parse(path, text.into(), &Budget::default()).expect("a tree").0
}

/// Two files: `b.json` is the first, `a.json` the second.
fn two_files() -> Diags {
    let mut diags = Diags::default();
    diags.files = vec![tree("b.json", "{\"x\": 1,\n \"y\": [2, 3]}"), tree("a.json", "[[], [1]]")];
    diags
}

fn at(file: u32, node: u32) -> Pos {
    Pos { file, node }
}

#[test]
fn lines_are_sorted_by_file_and_place() {
    let mut diags = two_files();
    diags.error(at(0, 4), "list");
    diags.warn(at(0, 2), "x");
    diags.error(at(1, 2), "second");
    diags.error(at(1, 1), "first");
    diags.error_at_file("b.json", Some((1, 9)), "between");
    diags.error_at_file("b.json", None, "whole");
    diags.error(at(9, 0), "nowhere");
    let expected = [
        "?: error: nowhere",
        "a.json:1:2: /0: error: first",
        "a.json:1:6: /1: error: second",
        "b.json: error: whole",
        "b.json:1:7: /x: warning: x",
        "b.json:1:9: /: error: between",
        "b.json:2:7: /y: error: list",
    ];
    assert_eq!(diags.lines().collect::<Vec<_>>(), expected);
    assert_eq!((diags.errors(), diags.warnings(), diags.list().len()), (6, 1, 7));
    assert!(diags.has_errors() && diags.has_unreadable());
    let steps: Vec<_> = diags.list().iter().map(|diag| diags.steps(diag).join(",")).collect();
    assert_eq!(steps, ["y", "x", "1", "0", "", "", ""]);
}

#[test]
fn the_same_is_told_once() {
    let mut diags = two_files();
    for _ in 0..3 {
        diags.error(at(0, 2), "x");
        diags.warn(at(0, 2), "x");
        diags.idle(at(0, 2), "idle");
        diags.info(at(0, 2), "x");
    }
    let place = "b.json:1:7: /x: ";
    let lines = |all: &[&str]| all.iter().map(|text| format!("{place}{text}")).collect::<Vec<_>>();
    assert_eq!(diags.lines().collect::<Vec<_>>(), lines(&["error: x", "warning: x"]));
    assert_eq!(diags.all_lines().collect::<Vec<_>>(), lines(&["error: x", "warning: x", "info: idle", "info: x"]));
    assert_eq!((diags.errors(), diags.warnings()), (1, 1));
    // What does nothing is wrong where all is strict; what is only said stays.
    diags.make_strict();
    assert_eq!(diags.lines().collect::<Vec<_>>(), lines(&["error: x", "error: x", "error: idle"]));
    assert_eq!(diags.all_lines().last(), Some(format!("{place}info: x")));
    assert_eq!((diags.errors(), diags.warnings()), (3, 0));
}

#[test]
fn past_the_list_they_are_counted() {
    let mut diags = Diags::default();
    (0..DIAGS_MAX - 1).for_each(|i| diags.warn(Pos::default(), format!("{i}")));
    diags.error(Pos::default(), "last");
    for _ in 0..2 {
        diags.error(Pos::default(), "past");
        diags.error(Pos::default(), "last");
    }
    assert_eq!((diags.list().len(), diags.errors(), diags.warnings()), (DIAGS_MAX, 3, DIAGS_MAX - 1));
    assert_eq!(diags.lines().last().as_deref(), Some("... and 2 more"));
    let asides = |count: usize| {
        let mut diags = Diags::default();
        (0..count).for_each(|i| diags.idle(Pos::default(), format!("{i}")));
        diags.all_lines().count()
    };
    assert_eq!([DIAGS_MAX - 1, DIAGS_MAX, DIAGS_MAX + 1].map(asides), [DIAGS_MAX - 1, DIAGS_MAX, DIAGS_MAX]);
}

#[test]
fn what_was_told_since_a_mark_is_taken_back() {
    let mut diags = two_files();
    diags.error(at(0, 2), "before");
    let mark = diags.mark();
    diags.error(at(0, 4), "since");
    diags.warn(at(0, 4), "odd");
    let taken: Vec<_> = diags.take_since(mark).iter().map(|diag| diag.text.clone()).collect();
    assert_eq!((taken, diags.errors(), diags.warnings()), (vec!["since".into(), "odd".to_owned()], 1, 0));
    // It may be told again.
    diags.error(at(0, 4), "since");
    assert_eq!((diags.errors(), diags.lines().count()), (2, 2));
    assert!(diags.take_since(diags.mark()).is_empty());
}

#[test]
fn what_stands_at_a_key() {
    let mut diags = Diags::default();
    diags.files = vec![tree("f.json", "{\"a\": null, \"b\": [], \"c\": [1, 2], \"d\": 0}")];
    let root = at(0, 0);
    let written = |key: &str| diags.written(root, key).map(|pos| diags.place(pos));
    let expected = [None, Some("f.json:1:18: /b".to_owned()), Some("f.json:1:40: /d".to_owned()), None];
    assert_eq!(["a", "b", "d", "e"].map(written), expected);
    let pos = |key: &str| diags.written(root, key).expect("written");
    assert_eq!(["b", "c", "d"].map(|key| diags.is_empty_list(pos(key))), [true, false, false]);
    assert!(!diags.is_empty_list(at(1, 0)));
    let whole = |key: &str, elements| diags.is_whole_list(root, key, elements);
    assert_eq!(
        [whole("c", 2), whole("c", 1), whole("c", 3), whole("b", 0), whole("d", 0)],
        [true, false, false, true, false]
    );
    assert_eq!([whole("a", 0), whole("e", 0), whole("e", 1)], [true, true, false]);
    assert_eq!(diags.place(at(1, 0)), "?");
}

#[test]
fn nodes_know_their_place() {
    let tree = tree("f.json", "{\"a\": [1, {\"b/c\": true}],\n\"d\": \"海\", \"e\": 2}");
    let pointers: Vec<_> = (0..11).map(|node| tree.pointer(node)).collect();
    // A key's node is where its value is.
    let expected = ["/", "/a", "/a", "/a/0", "/a/1", "/a/1/b~1c", "/a/1/b~1c", "/d", "/d", "/e", "/e"];
    assert_eq!(pointers, expected);
    let tops: Vec<_> = (0..9).map(|node| tree.top(node)).collect();
    assert_eq!(tops, [None, Some(1), Some(2), Some(2), Some(2), Some(2), Some(2), Some(7), Some(8)]);
    assert_eq!((tree.top(99), tree.pointer(99), tree.line_column(99)), (None, "/".into(), (1, 1)));
    assert_eq!([3, 8, 10].map(|node| tree.line_column(node)), [(1, 8), (2, 6), (2, 16)]);
    assert_eq!((tree.child(0, "d"), tree.child(0, "x"), tree.child(2, "d")), (Some(8), None, None));
    assert_eq!((tree.key(7), tree.key(0), tree.path()), ("d", "", "f.json"));
    assert_eq!((tree.content(6), tree.content(99)), (&Content::Bool(true), &Content::Null));
}

/// Characters are counted from the last mark before a place; there is one every 1,024 bytes.
#[test]
fn columns_are_characters_however_far_the_place_is() {
    for before in [0, 1, 340, 341, 342, 682, 683, 1_000, 2_000] {
        let text = format!("[\"{}\", 1]", "海".repeat(before));
        assert_eq!(tree("f.json", &text).line_column(2), (1, before + 6), "{before}");
        let text = format!("[\"{}\",\n  1]", "海".repeat(before));
        assert_eq!(tree("f.json", &text).line_column(2), (2, 3), "{before}");
    }
}

#[test]
fn many_keys_are_told_apart() {
    for many in [1, 7, 8, 9, 20] {
        let keys: Vec<String> = (0..many).map(|i| format!("\"k{i}\": {i}")).collect();
        for again in [0, many / 2, many - 1] {
            let text = format!("{{{}, \"k{again}\": 7, \"new\": 8, \"k{again}\": 9}}", keys.join(", "));
            let (tree, twice) = Tree::parse("f.json", text.clone(), &Budget::default()).expect("a tree");
            let Content::Obj(entries) = tree.content(0) else { panic!("no object") };
            assert_eq!((entries.len(), twice.len()), (many + 1, 2), "{text}");
            let first = text.find(&format!("\"k{again}\"")).expect("it is there") + 1;
            let told = format!("the key \"k{again}\" is given twice (first at 1:{first})");
            assert!(twice.iter().all(|(_, text)| *text == told), "{twice:?}");
        }
    }
}

#[test]
fn long_keys_and_texts_are_cut_where_they_are_shown() {
    let pointer = |chars: usize| tree("f.json", &format!("{{\"{}\": 1}}", "海".repeat(chars))).pointer(1);
    assert_eq!(pointer(100), format!("/{}", "海".repeat(100)));
    assert_eq!(pointer(101), format!("/{}...", "海".repeat(100)));
    assert_eq!(shown(&"海".repeat(40)), "海".repeat(40));
    assert_eq!(shown(&"海".repeat(41)), format!("{}...", "海".repeat(40)));
    assert_eq!(printable("a\tb\u{7f}海\""), "a\\tb\\u{7f}海\"");
}

#[test]
fn a_key_that_is_like_a_known_one() {
    let check = |name: &str, known: &[&str], expected: Option<&str>| {
        near::reset();
        assert_eq!(nearest(name, known), expected, "{name}");
    };
    check("fsu-list", &["log", "fsu_list"], Some("fsu_list"));
    check("FSU LIST", &["log", "fsu_list"], Some("fsu_list"));
    check("lgo", &["log"], Some("log"));
    // One letter, and one more for each four of the shorter name.
    check("ax", &["ab"], Some("ab"));
    check("xy", &["ab"], None);
    check("abxy", &["abcd"], Some("abcd"));
    check("axyz", &["abcd"], None);
    check("abcdexyz", &["abcdefgh"], Some("abcdefgh"));
    check("abcdwxyz", &["abcdefgh"], None);
    check("abcdefgh", &["abcde"], None);
    check("", &[], None);
    let long = "n".repeat(100);
    check(&long, &[&long], Some(&long));
    let longer = "n".repeat(101);
    check(&longer, &[&longer], None);
}

/// The search for similar names is bounded: past the bound an error suggests none.
#[test]
fn limit_looks_max() {
    near::reset();
    let looks = (0..=near::LOOKS_MAX).take_while(|_| near::may_look()).count();
    assert_eq!(looks, near::LOOKS_MAX as usize);
    assert!(!near::may_look());
    assert_eq!(nearest("lgo", &["log"]), None);
    near::reset();
    assert_eq!(nearest("lgo", &["log"]), Some("log"));
}
