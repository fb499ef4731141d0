use common::ids::Offset;
use proptest::prelude::*;

use super::*;

const PLACE: Place = Place { file: 0, line: 1 };

fn delivered(offset: i64) -> Delivered {
    Delivered {
        partition: Partition(0),
        offset: Offset(offset),
    }
}

#[test]
fn the_frontier_stops_at_the_oldest_line_that_is_open() {
    let account = Account::new(vec![FileMark::default()]);
    let first = account.open(PLACE, 10);
    account.rejected();
    let third = account.open(PLACE, 10);
    account.blank();
    account.delivered(third, delivered(7));
    assert_eq!(account.marks()[0], FileMark::default());
    account.delivered(first, delivered(6));
    assert_eq!(
        account.marks()[0],
        FileMark {
            lines: 4,
            accepted: 2,
            rejected: 1,
            complete: false
        }
    );
    assert_eq!(
        account.counts().last_offsets,
        BTreeMap::from([(Partition(0), NextOffset(8))])
    );
}

#[test]
fn a_file_is_complete_when_its_end_is_behind_the_frontier() {
    let account = Account::new(vec![FileMark::default(), FileMark::default()]);
    let first = account.open(PLACE, 10);
    account.end_of_file();
    account.rejected();
    assert!(!account.marks()[0].complete);
    account.delivered(first, delivered(0));
    assert_eq!(
        account.marks(),
        [
            FileMark {
                lines: 1,
                accepted: 1,
                rejected: 0,
                complete: true
            },
            FileMark {
                lines: 1,
                accepted: 0,
                rejected: 1,
                complete: false
            },
        ]
    );
}

#[test]
fn a_line_that_was_not_sent_leaves_no_trace() {
    let account = Account::new(vec![FileMark::default()]);
    account.open(PLACE, 10);
    account.withdraw();
    assert_eq!(account.counts(), Counts::default());
    assert!(account.wait_until_settled(Duration::ZERO));
}

#[test]
fn earlier_loads_count() {
    let mark = FileMark {
        lines: 5,
        accepted: 3,
        rejected: 2,
        complete: false,
    };
    let account = Account::new(vec![mark]);
    let number = account.open(PLACE, 1);
    account.delivered(number, delivered(0));
    assert_eq!(account.marks()[0].lines, 6);
    assert_eq!(
        (account.counts().accepted, account.counts().rejected),
        (4, 2)
    );
}

proptest! {
    /// In whatever order reports come, the mark never claims a line after one that is open.
    #[test]
    fn a_mark_is_a_frontier_and_never_a_high_water_mark(
        order in Just((0..20_u64).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let account = Account::new(vec![FileMark::default()]);
        for _ in 0..20 {
            account.open(PLACE, 1);
        }
        let mut settled = [false; 20];
        for number in order {
            account.delivered(number, delivered(i64::try_from(number).unwrap()));
            settled[usize::try_from(number).unwrap()] = true;
            let without_gap = settled.iter().take_while(|settled| **settled).count();
            prop_assert_eq!(account.marks()[0].lines, without_gap as u64);
        }
    }
}
