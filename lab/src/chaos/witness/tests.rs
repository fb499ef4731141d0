//! Each contradiction is planted in an answer, and has to be told.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use super::*;
use crate::orders::{Orders, TestOrder};

/// A reader after it has heard that both orders of a user are there, and what it hears next.
struct Stage {
    witness: Witness,
    book: Book,
    orders: [TestOrder; 2],
    user: String,
    now: DateTime<Utc>,
}

fn order_of(user: &str, number: usize) -> TestOrder {
    let mut order = Orders::seeded(3).nth(number).expect("endless");
    order.user_id = user.to_owned();
    order.canonical["user_id"] = json!(user);
    order.currency = "USD".to_owned();
    order.canonical["currency"] = json!("USD");
    order
}

fn answered(status: u16, body: &Value, as_of: DateTime<Utc>) -> Answer {
    let mut headers = HeaderMap::new();
    let as_of = HeaderValue::from_str(&as_of.to_rfc3339()).expect("digits");
    headers.insert(HeaderName::from_static("x-as-of"), as_of);
    Answer {
        status,
        headers,
        body: body.to_string().into_bytes(),
    }
}

impl Stage {
    fn set() -> Self {
        let user = "u".to_owned();
        let orders = [0, 1].map(|number| order_of(&user, number));
        let mut book = Book::default();
        for order in &orders {
            book.enter(order.clone());
        }
        let mut stage = Self {
            witness: Witness::new(false),
            book,
            orders,
            user,
            now: Utc::now(),
        };
        stage.witness.look(stage.now, stage.held(2));
        for (question, body) in stage.truth() {
            stage.tell(&question, 200, &body);
        }
        assert_eq!(stage.witness.violations, Vec::<String>::new());
        assert_eq!(stage.witness.heard, 4);
        stage
    }

    fn held(&self, order_count: i128) -> OrderCounts {
        OrderCounts::from([(("USD".to_owned(), self.user.clone()), order_count)])
    }

    fn user_line(&self, order_count: usize) -> Value {
        let amount: i128 = self.orders[..order_count]
            .iter()
            .map(|order| order.amount)
            .sum();
        let amount = units::print(amount);
        json!({"user_id": "u", "currencies": [{"currency": "USD", "order_count": order_count, "total_amount": amount}]})
    }

    fn truth(&self) -> [(Question, Value); 4] {
        let [first, second] = &self.orders;
        let list = json!({"orders": [second.canonical, first.canonical], "next_cursor": null});
        [
            (
                Question::Order(first.order_id.clone()),
                first.canonical.clone(),
            ),
            (Question::OrdersOf(self.user.clone()), list),
            (Question::User(self.user.clone()), self.user_line(2)),
            (
                Question::Summary,
                json!({"order_count": 2, "currencies": [{"currency": "USD", "order_count": 2}]}),
            ),
        ]
    }

    fn tell(&mut self, question: &Question, status: u16, body: &Value) {
        // A moment later each time: what was shown before is known before `X-As-Of`.
        self.now += TimeDelta::milliseconds(1);
        let answer = answered(status, body, self.now);
        self.hear(question, &answer, self.now);
    }

    fn hear(&mut self, question: &Question, answer: &Answer, asked_at: DateTime<Utc>) {
        let heard = Heard {
            asked_at,
            answered_at: asked_at,
            answer,
        };
        self.witness.hear(question, &heard, &[&self.book]);
    }

    #[track_caller]
    fn objects(self, words: &str) {
        let violations = self.witness.violations;
        assert!(
            violations.len() == 1 && violations[0].contains(words),
            "{words}: {violations:#?}"
        );
    }
}

#[test]
fn an_order_that_was_shown_must_not_go_away_or_change() {
    let mut stage = Stage::set();
    let question = Question::Order(stage.orders[0].order_id.clone());
    stage.tell(&question, 404, &json!({}));
    stage.objects("answered 404, and was there before");

    let mut stage = Stage::set();
    let order = stage.orders[0].clone();
    let entry = stage.book.orders.get_mut(&order.order_id).expect("sent");
    entry.editions = 2;
    let other = super::super::books::canonical(&order, 1);
    stage.tell(&Question::OrderSoon(order.order_id), 200, &other);
    stage.objects("shows content 1, after it has shown content 0");
}

#[test]
fn an_order_that_was_not_there_yet_may_come() {
    let mut stage = Stage::set();
    let later = order_of("u", 2);
    let question = Question::Order(later.order_id.clone());
    stage.tell(&question, 404, &json!({}));
    stage.book.enter(later.clone());
    stage.tell(&question, 200, &later.canonical);
    assert_eq!(stage.witness.violations, Vec::<String>::new());
    assert!(stage.witness.has_seen(&later.order_id));
}

#[test]
fn content_that_was_never_sent_is_told() {
    let mut stage = Stage::set();
    let mut body = stage.orders[0].canonical.clone();
    body["amount"] = json!("0.01");
    let question = Question::Order(stage.orders[0].order_id.clone());
    stage.tell(&question, 200, &body);
    stage.objects("shows what was never sent");

    let mut stage = Stage::set();
    let stranger = order_of("u", 7).canonical;
    let list = json!({"orders": [stranger], "next_cursor": null});
    stage.tell(&Question::OrdersOf("u".to_owned()), 200, &list);
    stage.objects("shows what was never sent");
}

#[test]
fn a_list_without_an_order_that_was_shown_before_is_told() {
    let mut stage = Stage::set();
    let list = json!({"orders": [stage.orders[1].canonical], "next_cursor": null});
    stage.tell(&Question::OrdersOf("u".to_owned()), 200, &list);
    stage.objects("was shown, and is not among them");
}

#[test]
fn sums_that_go_back_are_told() {
    let mut stage = Stage::set();
    stage.witness.look = None;
    let less = stage.user_line(1);
    stage.tell(&Question::User("u".to_owned()), 200, &less);
    stage.objects("went back from 2 orders");

    let mut stage = Stage::set();
    stage.witness.look = None;
    let none = json!({"user_id": "u", "currencies": []});
    stage.tell(&Question::User("u".to_owned()), 200, &none);
    stage.objects("went back from 2 orders");

    let mut stage = Stage::set();
    stage.witness.look = None;
    let less = json!({"order_count": 1, "currencies": [{"currency": "USD", "order_count": 1}]});
    stage.tell(&Question::Summary, 200, &less);
    stage.objects("went back from 2 orders to 1");
}

#[test]
fn sums_of_more_than_was_sent_are_told() {
    let mut stage = Stage::set();
    let twice =
        json!({"currencies": [{"currency": "USD", "order_count": 3, "total_amount": "0.01"}]});
    stage.tell(&Question::User("u".to_owned()), 200, &twice);
    stage.objects("tells of more than was sent");

    let mut stage = Stage::set();
    let mut dearer = stage.user_line(2);
    dearer["currencies"][0]["total_amount"] = json!("99999999.00");
    stage.tell(&Question::User("u".to_owned()), 200, &dearer);
    stage.objects("tells of more than was sent");

    let mut stage = Stage::set();
    let twice = json!({"order_count": 3, "currencies": [{"currency": "USD", "order_count": 3}]});
    stage.tell(&Question::Summary, 200, &twice);
    stage.objects("tells of 3 orders, 2 were sent");

    let mut stage = Stage::set();
    let torn = json!({"order_count": 2, "currencies": [{"currency": "USD", "order_count": 1}]});
    stage.tell(&Question::Summary, 200, &torn);
    stage.objects("its currencies add up to 1");
}

#[test]
fn what_the_database_does_not_hold_is_not_committed() {
    let mut stage = Stage::set();
    let held = stage.held(1);
    stage.witness.look(stage.now, held);
    let violations = stage.witness.violations.join("\n");
    assert!(violations.contains("the summary told of 2 orders and 1 are committed"));
    assert!(violations.contains("2 orders of (\"USD\", \"u\") were told and 1 are committed"));
}

#[test]
fn an_answer_without_what_was_committed_before_its_time_is_told() {
    for question in [Question::User("u".to_owned()), Question::Summary] {
        let mut stage = Stage::set();
        let third = order_of("u", 2);
        stage.book.enter(third);
        let (_, body) = stage
            .truth()
            .into_iter()
            .find(|(asked, _)| *asked == question)
            .expect("it is asked");
        let held = stage.held(3);
        stage.witness.look(stage.now, held);
        // A look that is later than the answer's time binds it to nothing.
        let earlier = answered(200, &body, stage.now - TimeDelta::milliseconds(1));
        stage.hear(&question, &earlier, stage.now);
        assert_eq!(stage.witness.violations, Vec::<String>::new());
        stage.tell(&question, 200, &body);
        stage.objects("committed before X-As-Of");
    }
}

#[test]
fn an_old_answer_that_does_not_say_so_is_told() {
    let (question, body) = Stage::set().truth()[0].clone();
    let mut stage = Stage::set();
    let old = answered(200, &body, stage.now - TimeDelta::milliseconds(400));
    let asked_at = stage.now;
    stage.hear(&question, &old, asked_at);
    stage.objects("old and did not say so");

    let stale = |age: TimeDelta| {
        let mut stage = Stage::set();
        let mut answer = answered(200, &body, stage.now - age);
        let marked = HeaderValue::from_static("true");
        answer.headers.insert("x-stale", marked);
        let asked_at = stage.now;
        stage.hear(&question, &answer, asked_at);
        stage
    };
    assert_eq!(
        stale(TimeDelta::seconds(2)).witness.violations,
        Vec::<String>::new()
    );
    stale(TimeDelta::seconds(60)).objects("with the database within reach all the time");

    let mut stage = Stage::set();
    let mut undated = answered(200, &body, stage.now);
    undated.headers.clear();
    let asked_at = stage.now;
    stage.hear(&question, &undated, asked_at);
    stage.objects("X-As-Of");
}

#[test]
fn an_answer_that_is_neither_content_nor_patience_is_told() {
    let mut stage = Stage::set();
    let question = Question::Summary;
    let mut busy = answered(503, &json!({}), stage.now);
    busy.headers
        .insert("retry-after", HeaderValue::from_static("1"));
    let now = stage.now;
    stage.hear(&question, &busy, now);
    assert_eq!(stage.witness.violations, Vec::<String>::new());
    stage.tell(&question, 503, &json!({}));
    stage.objects("answered 503");

    let mut stage = Stage::set();
    stage.tell(&Question::Summary, 500, &json!({}));
    stage.objects("answered 500");
}
