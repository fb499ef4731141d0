//! What the fuzzer has found to be worth trying: each record of its corpus, against the properties that it checks.

use std::fs;
use std::path::Path;

#[expect(unreachable_pub, reason = "it is the fuzzer's own file")]
#[path = "../../../fuzz/src/record.rs"]
mod record;

#[test]
fn every_record_of_the_corpus_is_an_order_or_a_dead_letter_that_can_be_stored() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/record");
    let mut inputs = 0;
    for input in fs::read_dir(&corpus).unwrap() {
        let path = input.unwrap().path();
        // Shown where the test fails.
        println!("{}", path.display());
        record::check(&fs::read(path).unwrap());
        inputs += 1;
    }
    assert!(inputs > 10, "{inputs} inputs in {}", corpus.display());
}
