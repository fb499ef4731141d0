//! What the fuzzers have found to be worth trying: each input of their corpus, against the properties that they check.

use std::fs;
use std::path::Path;

#[expect(unreachable_pub, reason = "they are the fuzzers' own files")]
#[path = "../../../fuzz/src/body.rs"]
mod body;
#[expect(unreachable_pub, reason = "they are the fuzzers' own files")]
#[path = "../../../fuzz/src/decimal.rs"]
mod decimal;
#[expect(unreachable_pub, reason = "they are the fuzzers' own files")]
#[path = "../../../fuzz/src/json.rs"]
mod json;
#[expect(unreachable_pub, reason = "they are the fuzzers' own files")]
#[path = "../../../fuzz/src/line.rs"]
mod line;

fn replay(target: &str, check: impl Fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let mut inputs = 0;
    for input in fs::read_dir(&corpus).unwrap() {
        let path = input.unwrap().path();
        // Shown where the test fails.
        println!("{}", path.display());
        check(&fs::read(path).unwrap());
        inputs += 1;
    }
    assert!(inputs > 10, "{inputs} inputs in {}", corpus.display());
}

#[test]
fn every_body_of_the_corpus_is_an_order_that_can_be_stored_or_refused_with_reasons() {
    replay("body", body::check);
}

#[test]
fn every_file_of_the_corpus_is_judged_line_by_line() {
    replay("line", line::check);
}

#[test]
fn every_decimal_of_the_corpus_is_what_its_digits_say() {
    replay("decimal", decimal::check);
}
